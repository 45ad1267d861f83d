"""What `signer-module info --device` shows of a module, and the files of its public backup."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from atcaprov.certs.keys import key_id
from atcaprov.chip.memory_map import OTP_SIZE, SLOT_SIZES
from signer_module.export import export_contents
from signer_module.on_chip import slot_layout
from signer_module.on_chip.module import RootModule, SignerModule
from signer_module.on_files import folder_files
from signer_module.on_files.info import certificate_facts, definition_facts, reader_facts, warning_facts
from signer_module.on_files.root_folder import common_name

AnyModule = SignerModule | RootModule
_FORMAT: Final = "atcaprov-module-backup"
_VERSION: Final = 1
_PUBLIC_SLOTS: Final = (
    slot_layout.LIMIT_SLOT,
    slot_layout.HEAD_SLOT,
    slot_layout.CERTIFICATE_SLOT,
    slot_layout.PUBLIC_KEY_SLOT,
    slot_layout.ROOT_KEY_SLOT,
)


def module_facts(module: AnyModule, now: datetime) -> dict[str, Any]:
    """Return the report: what anyone can read, and what the chip still allows."""
    facts: dict[str, Any] = {
        "kind": "signer module" if isinstance(module, SignerModule) else "root module",
        "name": module.name,
        "serial": module.serial.hex().upper(),
        "device": module.url,
    }
    if isinstance(module, SignerModule):
        facts["signer id"] = module.signer_id.hex().upper()
    facts |= certificate_facts(module.certificate, module.public_key)
    if isinstance(module, SignerModule):
        facts |= {"warnings": warning_facts(module, now), "not accepted by": reader_facts(module, now)}
    facts |= {"password": _password(module), **_quota(module)}
    if isinstance(module, SignerModule):
        facts |= {
            "root": common_name(module.root_certificate),
            "root key id": key_id(module.root_public_key).hex(),
            "signer certificates": definition_facts(module.signer_definition),
            "device certificates": definition_facts(module.device_definition),
        }
    return facts


def _password(module: AnyModule) -> str:
    if not module.contents.variant.password:
        return "none, and never will be"
    if not module.needs_password:
        return "not set yet: everyone who reaches the module can sign with it"
    return f"set; wrong ones so far: {module.wrong_passwords()}"


def _quota(module: AnyModule) -> dict[str, Any]:
    quota = module.read_quota()
    if quota is None:
        return {"signatures left": "no limit"}
    return {"signatures left": quota.remaining, "make a new module soon": "yes" if quota.low else "no"}


def write_backup(module: AnyModule, out: Path, chain: Sequence[bytes] = ()) -> list[str]:
    """Write what is public of a module into a new folder; return the names of its files.

    `chain` are the CA certificates (DER) above a signer, which are not on the module.
    """
    contents = {"module.json": _backup(module).encode()}
    if isinstance(module, SignerModule):
        contents |= export_contents(module, 0, chain)
    else:
        contents["root.pem"] = folder_files.pem_certificate(module.certificate)
    with folder_files.new_folder(out, 0o755) as folder:
        folder_files.write_all(
            folder, {name: (data, folder_files.PUBLIC) for name, data in contents.items()}, named=out
        )
    return list(contents)


def _public_slots(module: AnyModule) -> list[int]:
    described = [slot for slot, _ in module.contents.variant.description_parts if slot is not None]
    return sorted((*_PUBLIC_SLOTS, *described))


def _backup(module: AnyModule) -> str:
    device = module.device
    quota = module.read_quota()
    contents = {
        "format": _FORMAT,
        "version": _VERSION,
        "serial": module.serial.hex().upper(),
        "config_zone": device.read_config().hex(),
        "slots": {str(slot): device.read_slot(slot, 0, SLOT_SIZES[slot]).hex() for slot in _public_slots(module)},
        "otp": device.read_otp(0, OTP_SIZE).hex(),
        "signatures_left": None if quota is None else quota.remaining,
    }
    return json.dumps(contents, indent=2) + "\n"
