"""The certs folder: the full certificates of each device and of its signer, as PEM.

`01234038D92CA571EE_device.pem` and `01234038D92CA571EE_signer.pem`, named by the chip's serial number; a further
certificate of the same chip gets `-2`, `-3` behind the number. The files are read-only and made from the signing log,
which is the record: one that is missing, or that a crash left unfinished, is made again at the next start.
"""

from __future__ import annotations

import base64
import contextlib
import os
from pathlib import Path
from typing import Final

from atcaprov.durable import write_all
from provisioning_server.records.signing_log import IssuedRecord

READ_ONLY: Final = 0o444
_BEGIN: Final = b"-----BEGIN CERTIFICATE-----\n"
_END: Final = b"-----END CERTIFICATE-----\n"
_LINE: Final = 64  # RFC 7468, section 2


class CertificateFiles:
    """The PEM files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = f"{folder}{os.sep}"
        self._signer_files: dict[bytes, str] = {}
        self._before = {entry.name: entry.stat().st_size for entry in os.scandir(folder)}

    def restore(self, record: IssuedRecord, number: int, signer_certificate: bytes) -> bool:
        """Write the files of a record of an earlier start if one is missing; return whether one was."""
        name = _name(record, number)
        sizes = {f"{name}_signer.pem": pem_size(signer_certificate), f"{name}_device.pem": pem_size(record.certificate)}
        missing = any(self._before.get(file) != size for file, size in sizes.items())
        if missing:
            for file in sizes:
                Path(self._folder, file).unlink(missing_ok=True)
            self.write(record, number, signer_certificate)
        return missing

    def write(self, record: IssuedRecord, number: int, signer_certificate: bytes) -> None:
        """Write a device's certificates; `number` counts the chip's, from 1. Raises OSError and leaves no half file."""
        name = _name(record, number)
        self._write_signer(f"{self._folder}{name}_signer.pem", signer_certificate)
        _write(f"{self._folder}{name}_device.pem", record.certificate)

    def _write_signer(self, path: str, certificate: bytes) -> None:
        """One file under the names of all its devices where the disk can do that; else a file for each."""
        first = self._signer_files.get(certificate)
        if first is not None:
            with contextlib.suppress(OSError):
                os.link(first, path)
                return
        _write(path, certificate)
        self._signer_files[certificate] = path


def pem(certificate: bytes) -> bytes:
    """Return a certificate (DER) as PEM."""
    text = base64.b64encode(certificate)
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    return b"%s%s\n%s" % (_BEGIN, b"\n".join(lines), _END)


def pem_size(certificate: bytes) -> int:
    """Return how many bytes `pem` gives."""
    text = (len(certificate) + 2) // 3 * 4
    return len(_BEGIN) + text + -(-text // _LINE) + len(_END)


def _write(path: str, certificate: bytes) -> None:
    # Plain system calls, and as few as can be: this runs for each device, and each costs as much as a hash or more.
    try:
        descriptor = _create(path)
    except FileExistsError:  # of a record that is no more: the records were lost, the certs folder was not
        os.unlink(path)  # noqa: PTH108
        descriptor = _create(path)
    try:
        write_all(descriptor, pem(certificate))
    except OSError:
        os.unlink(path)  # noqa: PTH108
        raise
    finally:
        os.close(descriptor)


def _create(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), READ_ONLY)


def _name(record: IssuedRecord, number: int) -> str:
    serial = record.chip_serial.hex().upper()
    return serial if number == 1 else f"{serial}-{number}"
