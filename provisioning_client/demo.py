"""Run all programs once from root to verified product, without hardware: `make demo`.

Makes a root and a signer, starts the Provisioning Server, provisions three blank software chips through the
Provisioning Client, checks each chain, and prints the openssl commands that check them. Every step is a program as a
user would start it; this module only starts them.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov.certs.cert_info import CertInfo
from atcaprov.certs.chain import verify_chain
from atcaprov.errors import AtcaProvError
from atcaprov.program.console_text import say

CHIPS: Final = 3
STOP_SECONDS: Final = 20
_LISTENING: Final = "Server listening on 127.0.0.1:"
_CERTIFIED: Final = " certified by "


class Demo:
    """One demonstration in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signer = folder / "signer-0034"
        self.server_data = folder / "server"
        self.certificates = folder / "certificates"
        self._password_file = folder / "password"

    def run(self) -> None:
        """Run all steps; raises AtcaProvError if a chain is not good."""
        self._make_signer()
        with self._server() as port:
            self._provision(port)
        self._collect()
        self._check()

    def _make_signer(self) -> None:
        self.folder.mkdir(parents=True)
        descriptor = os.open(self._password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(16) + "\n")
        password = ("--password-file", self._password_file)
        root = self.folder / "root"
        self._show("signer-module", "root", "create", *password, "--out", root)
        self._show(
            "signer-module", "signer", "create", "--root", root, "--root-password-file", self._password_file,
            *password, "--signer-id", "0034", "--out", self.signer,
        )  # fmt: skip

    @contextmanager
    def _server(self) -> Iterator[int]:
        command = _program(
            "provisioning-server", "--signer", self.signer, "--password-file", self._password_file,
            "--data", self.server_data, "--port", "0",
        )  # fmt: skip
        _say(command)
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            recorded = ""
            try:
                port = None
                for line in server.stdout:
                    say(line, end="")
                    if _LISTENING in line:
                        port = int(line.split(_LISTENING)[1].rstrip(".\n"))
                    if port is not None and "ready" in line:
                        break
                if port is None:
                    raise AtcaProvError("The Provisioning Server did not start.")
                yield port
                recorded = _until_written(server.stdout)
            finally:
                server.terminate()
                rest, _ = server.communicate(timeout=STOP_SECONDS)
        say("\nThe server's log of these boards:\n" + recorded + rest, end="")

    def _provision(self, port: int) -> None:
        chips = [f"emulator:{self.folder / f'chip{number}.json'}" for number in range(1, CHIPS + 1)]
        devices = [word for chip in chips for word in ("--device", chip)]
        certinfo = self.signer / "atcaprov_cert_info_0.c"
        options = ("--certinfo", certinfo, "--port", port)
        kept = ("--reports", self.folder / "reports", "--checkpoints", self.folder / "checkpoints")
        self._show("provisioning-client", *options, *kept, "--auto", *devices)

    def _collect(self) -> None:
        shutil.copytree(self.server_data / "certs", self.certificates)
        shutil.copy(self.signer / "root.pem", self.certificates / "root.pem")

    def _check(self) -> None:
        root_key = CertInfo.parse((self.signer / "atcaprov_cert_info_0.c").read_text()).root_public_key
        devices = sorted(self.certificates.glob("*_device.pem"))
        say(f"\nThe certificates are in {self.certificates}.\nChecking each chain:")
        for device in devices:
            verify_chain(_der(device), _der(_signer_of(device)), root_key, at=datetime.now(UTC))
            say(f"  {device.name}: good")
        if len(devices) != CHIPS:
            raise AtcaProvError(f"There are {len(devices)} device certificates instead of {CHIPS}.")
        say("\nCheck them with OpenSSL yourself:")
        for device in devices:
            words = ("openssl", "verify", "-x509_strict", "-purpose", "sslclient")
            files = ("-CAfile", self.certificates / "root.pem", "-untrusted", _signer_of(device), device)
            say(f"  {shlex.join(map(str, (*words, *files)))}")

    def _show(self, *words: object) -> None:
        """Print a command and run it."""
        command = _program(*words)
        _say(command)
        done = subprocess.run(command, stdin=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            raise AtcaProvError(f"{words[0]} ended with exit code {done.returncode}.")


def _until_written(log: Iterable[str]) -> str:
    """Return the lines of a server's log until it has written the files of each board, which follow in a pause."""
    lines, written = "", 0
    for line in log:
        lines += line
        written += _CERTIFIED in line
        if written == CHIPS:
            break
    return lines


def _remove(folder: Path) -> None:
    if sys.platform == "win32":  # which does not delete read-only files
        for path in folder.rglob("*"):
            path.chmod(stat.S_IWRITE)
    shutil.rmtree(folder, ignore_errors=True)


def _program(name: object, *words: object) -> list[str]:
    return [str(Path(sysconfig.get_path("scripts")) / str(name)), *map(str, words)]


def _say(command: list[str]) -> None:
    say(f"\n$ {shlex.join([Path(command[0]).name, *command[1:]])}")


def _signer_of(device: Path) -> Path:
    return device.with_name(device.name.replace("_device", "_signer"))


def _der(pem: Path) -> bytes:
    return x509.load_pem_x509_certificate(pem.read_bytes()).public_bytes(Encoding.DER)


@click.command()
@click.argument("folder", default="demo", type=click.Path(path_type=Path))
def command(folder: Path) -> None:
    """Run the demonstration in FOLDER (default: demo), which is emptied first."""
    if (folder / "server").is_dir() or not folder.exists():
        _remove(folder)
    else:
        raise click.UsageError(f"{folder} is not a folder of this demonstration. Choose another folder.")
    try:
        Demo(folder).run()
    except AtcaProvError as error:
        say(f"\nThe demonstration failed: {error}", err=True)
        sys.exit(error.exit_code)
    say(f"\nAll {CHIPS} boards are good.")


if __name__ == "__main__":
    command()
