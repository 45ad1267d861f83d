"""`atcaprov import-key`: write a private key from a file to a chip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from atcaprov.bounded_reading import read_bytes
from atcaprov.certs.key_files.private_key import key_is_encrypted, read_private_key
from atcaprov.certs.keys import key_id
from atcaprov.chip.memory_map import SLOT_COUNT
from atcaprov.cli.chip.options import FILE, device_option, hex_text, json_option, say_json
from atcaprov.device.device import SECRET_SIZE, Device
from atcaprov.device.read_only import open_read_only
from atcaprov.errors import Code, UsageError
from atcaprov.importing.chip_session import look_at
from atcaprov.importing.private_key_import import PrivateKeyImport, plan_private_key, run_private_key
from atcaprov.program.console_text import say
from atcaprov.program.password_prompt import ask_password
from atcaprov.program.process_hardening import harden_process


@click.command("import-key")
@device_option
@click.option(
    "--insecure-private-key",
    "path",
    type=FILE,
    required=True,
    help="Private key on P-256 (PEM, DER, PKCS#12, JWK).",
)
@click.option("--slot", metavar="SLOT", type=click.IntRange(0, SLOT_COUNT - 1), required=True, help="Slot of the key.")
@click.option("--write-key", type=FILE, help="File of the slot's WriteKey, 32 bytes: the key is sent encrypted.")
@click.option("--replace-key", is_flag=True, help="Replace another key in the slot, which is lost.")
@click.option("--dry-run", is_flag=True, help="Check everything and write nothing.")
@json_option
def command(
    url: str, path: Path, slot: int, write_key: Path | None, replace_key: bool, dry_run: bool, as_json: bool
) -> None:
    """Write a private key from a file to a chip.

    Whoever has the file can pose as the device: a key that the chip makes itself is better. Nothing is locked.
    """
    harden_process()
    data = read_bytes(path)
    password = _password(path) if key_is_encrypted(data, str(path)) else None
    key = read_private_key(data, password, str(path))
    secret = None if write_key is None else _secret(write_key)
    with open_read_only(url) as device:
        plan = plan_private_key(look_at(device, slots=()), slot, key, write_key=secret, replace_key=replace_key)
    proved = False
    if not dry_run:
        with Device.open(url) as device:
            proved = run_private_key(device, plan)
    if as_json:
        say_json(_key_facts(plan, proved=proved, dry_run=dry_run))
    else:
        _tell_key(plan, proved=proved, dry_run=dry_run)


def _password(path: Path) -> bytes:
    return ask_password(
        f"Password of {path}",
        advice="Nothing was written. Start the command in a terminal, where it asks for the password.",
    )


def _secret(path: Path) -> bytes:
    """Return the 32 bytes of a file, which may hold them as 64 hexadecimal digits."""
    data = read_bytes(path, 1024)
    try:
        secret = data if len(data) == SECRET_SIZE else bytes.fromhex(data.decode("ascii"))
    except ValueError:
        secret = b""
    if len(secret) != SECRET_SIZE:
        raise UsageError(
            f"{path} does not hold a key of 32 bytes, raw or as 64 hexadecimal digits.", code=Code.KEY_FILE_INVALID
        )
    return secret


def _key_facts(plan: PrivateKeyImport, *, proved: bool, dry_run: bool) -> dict[str, Any]:
    return {
        "serial_number": hex_text(plan.snapshot.serial_number),
        "key_slot": plan.slot,
        "key_id": hex_text(key_id(plan.public_key)),
        "written": not plan.is_there and not dry_run,
        "encrypted": plan.is_encrypted,
        "verified": proved,
        "dry_run": dry_run,
    }


def _tell_key(plan: PrivateKeyImport, *, proved: bool, dry_run: bool) -> None:
    done = "is there already" if plan.is_there else ("would be written" if dry_run else "written")
    how = "" if plan.is_there else (", encrypted" if plan.is_encrypted else ", in clear")
    say(f"Slot {plan.slot}: the key with id {key_id(plan.public_key).hex().upper()} {done}{how}.")
    if proved:
        say("The chip proved that it holds this key.")
    if dry_run:
        say("Nothing was changed.")
    say("Whoever has the file of this key can pose as the device: delete it.")
