"""A signer of your own: the key stays with another program, here with OpenSSL's command line.

    python examples/own_signer.py signer /safe/key.pem --data server

`signer` is a folder made by `signer-module signer create`, from which `key.pem` was moved away. Everything that is
public stays there: certificates and definitions. The Provisioning Server asks a signer for one thing, the signature of
a SHA-256 digest. So a key in a cloud service or on a smart card is reached in the same way: replace `sign`.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from atcaprov import AtcaProvError, TransportError
from provisioning_server.app import ProvisioningServer
from provisioning_server.program_log import ProgramLog
from provisioning_server.records.data_folder import DataFolder
from provisioning_server.records.signer_documents import SignerDocuments
from provisioning_server.settings import Settings
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.signers.signer import SignatureCounter
from signer_module.on_files.signer_folder import SignerFolder

PATIENCE_SECONDS = 10


class OpenSslSigner:
    """Signs with a key that only OpenSSL reads. Has the form of `provisioning_server.signers.signer.Signer`."""

    ready = True  # it needs no password from the server
    slow = True  # it gets a thread of its own, so others need not wait for it
    remaining: int | None = None  # no quota
    quota_low = False
    counter: SignatureCounter | None = None  # nothing outside this computer counts its signatures
    password_missing = False
    wrong_tries_at: str | None = None

    def __init__(self, folder: Path, key: Path) -> None:
        found = SignerFolder.load(folder, key_elsewhere=True)
        self.name = found.name
        self.serial = found.serial
        self.signer_id = found.signer_id
        self.documents = SignerDocuments.of(found)
        self._command = ["openssl", "pkeyutl", "-sign", "-inkey", str(key), "-pkeyopt", "digest:sha256"]

    def sign(self, digest: bytes) -> bytes:
        """Return R||S (64 bytes) over a SHA-256 digest (32 bytes).

        A TransportError says that the signer is gone; its work goes to another signer of the product, if there is one.
        The server proves each signature before it gives it out, so a wrong key cannot do harm.
        """
        try:
            done = subprocess.run(
                self._command, input=digest, capture_output=True, timeout=PATIENCE_SECONDS, check=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise TransportError(f"OpenSSL did not sign: {error}.", advice="Check the key's file.") from error
        r, s = decode_dss_signature(done.stdout)
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def unlock(self, password: bytes | None) -> None:
        """Nothing: it is always ready."""

    def rest(self) -> None:
        """Nothing: no session stays open between signatures."""

    def close(self) -> None:
        """Nothing: no session stays open."""


def main() -> int:
    """Run a server with this one signer until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(description="Run a Provisioning Server whose key is with OpenSSL.")
    parser.add_argument("signer", type=Path, help="folder of the signer, without key.pem")
    parser.add_argument("key", type=Path, help="its key, a file that OpenSSL reads")
    parser.add_argument("--data", type=Path, default=Path("server"))
    parser.add_argument("--port", type=int, default=11235)
    given = parser.parse_args()
    try:
        signers = SignerRegistry([OpenSslSigner(given.signer, given.key)])
        settings = Settings(signer_folders=(given.signer,), data=given.data, port=given.port)
        folder = DataFolder(given.data, datetime.now())
        with folder.locked(), folder.program_log() as file:
            log = ProgramLog(file, sys.stdout)
            asyncio.run(ProvisioningServer(settings, signers, folder, log, None).run())
    except AtcaProvError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
