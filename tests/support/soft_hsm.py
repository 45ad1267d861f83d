"""SoftHSM: tokens in a folder, behind the PKCS#11 library that Debian's package softhsm2 brings."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pkcs11
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from signer_module.on_files.key_file import SoftwareKey
from signer_module.on_files.signer_folder import KEY_FILE, SignerFolder
from tests.support.signer_folders import make_signer_folder
from tests.support.system_programs import require_program

PIN: Final = b"246810"
LIBRARY: Final = Path("/usr/lib/softhsm/libsofthsm2.so")


@dataclass(frozen=True)
class SoftHsm:
    """One token store."""

    folder: Path
    program: str

    def make_token(self, label: str) -> None:
        self._run("--init-token", "--free", "--label", label, "--pin", PIN.decode(), "--so-pin", "13579")

    def import_key(self, token: str, key: SoftwareKey, label: str, number: int = 1) -> None:
        path = self.folder / "key.pk8"
        private = key.cryptography_key
        path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        options = ("--token", token, "--label", label, "--id", f"{number:02x}", "--pin", PIN.decode())
        self._run("--import", str(path), *options)
        path.unlink()

    def unplug(self) -> None:
        """Remove all tokens."""
        (self.folder / "tokens").rename(self.folder / "away")
        (self.folder / "tokens").mkdir()

    def _run(self, *options: str) -> None:
        subprocess.run([self.program, *options], check=True, capture_output=True)


def make_soft_hsm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> SoftHsm:
    """Make an empty token store and name it in the environment; skip the test where SoftHSM is missing."""
    program = require_program("softhsm2-util")
    pkcs11.unload(str(LIBRARY))  # the one of a test before this has its token store, as long as it is loaded
    (folder / "tokens").mkdir(parents=True)
    config = folder / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(config))
    return SoftHsm(folder, program)


def make_hsm_signer(folder: Path, hsm: SoftHsm, token: str, key: str = "device ca", number: int = 1) -> SignerFolder:
    """Make a signer whose key is in the token and no longer in its folder."""
    folder.mkdir()
    signer = make_signer_folder(folder)
    hsm.import_key(token, signer.unlock(None), key, number)
    (signer.path / KEY_FILE).unlink()
    place = f'library = "{LIBRARY}"\ntoken = "{token}"\nkey = "{key}"\n'
    (signer.path / "pkcs11.toml").write_text(place)
    return signer
