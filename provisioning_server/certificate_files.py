"""The certs folder: the full certificates of each device and of its signer, as PEM.

`01234038D92CA571EE_device.pem` and `01234038D92CA571EE_signer.pem`, named by the chip's serial number; a further
certificate of the same chip gets `-2`, `-3` behind the number. The files are made from the signing log, which is the
record: a missing one is made again at the next start.
"""

from __future__ import annotations

import functools
import os
import ssl
from pathlib import Path

from provisioning_server.durable import write_all
from provisioning_server.signing_log import IssuedRecord


class CertificateFiles:
    """The PEM files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = f"{folder}{os.sep}"
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
        self._write(f"{name}_signer.pem", _signer_pem(signer_certificate))
        self._write(f"{name}_device.pem", _pem(record.certificate))

    def _write(self, name: str, pem: bytes) -> None:
        # Plain system calls: this runs twice for each device, and file objects cost more than the signature.
        temporary = f"{self._folder}.new"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            write_all(descriptor, pem)
        finally:
            os.close(descriptor)
        os.replace(temporary, self._folder + name)  # noqa: PTH105


def _name(record: IssuedRecord, number: int) -> str:
    serial = record.chip_serial.hex().upper()
    return serial if number == 1 else f"{serial}-{number}"


def _pem(certificate: bytes) -> bytes:
    return ssl.DER_cert_to_PEM_cert(certificate).encode("ascii")


@functools.lru_cache(maxsize=64)
def _signer_pem(certificate: bytes) -> bytes:
    return _pem(certificate)
