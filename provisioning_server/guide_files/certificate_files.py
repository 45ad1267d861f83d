"""The certs folder: the full certificates of each device and of its signer, as PEM.

`01234038D92CA571EE_device.pem` and `01234038D92CA571EE_signer.pem`, named by the chip's serial number; a further
certificate of the same chip gets `-2`, `-3` behind the number. The files are read-only and made from the ledger, which
is the record. Other files in the folder are never touched.
"""

from __future__ import annotations

import base64
import contextlib
import os
import stat
import sys
from pathlib import Path
from typing import Final

from atcaprov.certs.issued_record import IssuedRecord
from atcaprov.durable_files import write_all

READ_ONLY: Final = 0o444
_BEGIN: Final = b"-----BEGIN CERTIFICATE-----\n"
_END: Final = b"-----END CERTIFICATE-----\n"
_LINE: Final = 64  # RFC 7468, section 2


class CertificateFiles:
    """The PEM files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = f"{folder}{os.sep}"
        self._signer_files: dict[bytes, str] = {}

    def restore(self, record: IssuedRecord, number: int, signer_certificate: bytes) -> bool:
        """Make the files of a record unless they are there with its bytes; return whether they were made."""
        name = _name(record, number)
        files = {f"{name}_signer.pem": signer_certificate, f"{name}_device.pem": record.certificate}
        wrong = [file for file, certificate in files.items() if not _holds(f"{self._folder}{file}", pem(certificate))]
        if wrong:
            for file in files:
                _remove(f"{self._folder}{file}")
            self.write(record, number, signer_certificate)
        return bool(wrong)

    def write(self, record: IssuedRecord, number: int, signer_certificate: bytes) -> None:
        """Write a device's certificates, the chip's `number`-th (from 1); raises OSError and leaves no partial file."""
        name = _name(record, number)
        self._write_signer(f"{self._folder}{name}_signer.pem", signer_certificate)
        _write(f"{self._folder}{name}_device.pem", record.certificate)

    def _write_signer(self, path: str, certificate: bytes) -> None:
        """Write one file with a link for each device, where the disk can link; else a file for each."""
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


def _holds(path: str, content: bytes) -> bool:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - for each device
            return file.read(len(content) + 1) == content
    except (FileNotFoundError, IsADirectoryError):
        return False


def _remove(path: str) -> None:
    if sys.platform == "win32":  # which deletes nothing that is read-only
        with contextlib.suppress(FileNotFoundError):
            os.chmod(path, stat.S_IWRITE)  # noqa: PTH101
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108


def _write(path: str, certificate: bytes) -> None:
    # Plain system calls, and as few as can be: this runs for each device, and each costs as much as a hash or more.
    try:
        descriptor = _create(path)
    except FileExistsError:  # put there since the start
        _remove(path)
        descriptor = _create(path)
    try:
        write_all(descriptor, pem(certificate))
    except OSError:
        os.close(descriptor)  # Windows removes no open file
        _remove(path)
        raise
    os.close(descriptor)


def _create(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), READ_ONLY)


def _name(record: IssuedRecord, number: int) -> str:
    serial = record.chip_serial.hex().upper()
    return serial if number == 1 else f"{serial}-{number}"
