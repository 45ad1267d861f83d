"""The certs folder: the full certificates of each device and of its signer, as PEM.

`01234038D92CA571EE_device.pem` and `01234038D92CA571EE_signer.pem`, named by the chip's serial number; a further
certificate of the same chip gets `-2`, `-3` behind the number. The files are read-only and made from the signing log,
which is the record: a missing one is made again at the next start.
"""

from __future__ import annotations

import contextlib
import os
import ssl
from pathlib import Path
from typing import Final

from atcaprov.durable import write_all
from provisioning_server.signing_log import IssuedRecord

READ_ONLY: Final = 0o444


class CertificateFiles:
    """The PEM files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = f"{folder}{os.sep}"
        self._temporary = f"{self._folder}.new"
        Path(self._temporary).unlink(missing_ok=True)
        self._signer_files: dict[bytes, str] = {}
        self._before = {entry.name for entry in os.scandir(folder) if entry.stat().st_size}

    def restore(self, record: IssuedRecord, number: int, signer_certificate: bytes) -> bool:
        """Write the files of a record of an earlier start if one is missing; return whether one was."""
        name = _name(record, number)
        missing = not {f"{name}_device.pem", f"{name}_signer.pem"} <= self._before
        if missing:
            self.write(record, number, signer_certificate)
        return missing

    def write(self, record: IssuedRecord, number: int, signer_certificate: bytes) -> None:
        """Write a device's certificates, each file whole or not at all; `number` counts the chip's, from 1."""
        name = _name(record, number)
        self._write_signer(f"{self._folder}{name}_signer.pem", signer_certificate)
        self._write(f"{self._folder}{name}_device.pem", record.certificate)

    def _write_signer(self, path: str, certificate: bytes) -> None:
        """One file under the names of all its devices where the disk can do that; else a file for each."""
        first = self._signer_files.get(certificate)
        if first is not None:
            with contextlib.suppress(OSError):
                os.link(first, path)
                return
        self._write(path, certificate)
        self._signer_files[certificate] = path

    def _write(self, path: str, certificate: bytes) -> None:
        # Plain system calls: this runs for each device, and making a file costs as much as a signature.
        descriptor = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, READ_ONLY)
        try:
            write_all(descriptor, ssl.DER_cert_to_PEM_cert(certificate).encode("ascii"))
        finally:
            os.close(descriptor)
        os.replace(self._temporary, path)  # noqa: PTH105


def _name(record: IssuedRecord, number: int) -> str:
    serial = record.chip_serial.hex().upper()
    return serial if number == 1 else f"{serial}-{number}"
