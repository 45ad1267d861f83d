"""The newest list of each signer, for everybody: files in a folder, and the same bytes for the web port."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from atcaprov import durable_files
from provisioning_server.revocation.crl import crl_pem

_READABLE: Final = 0o644
"""A list is public, and a web server of another user may serve it."""


@dataclass(frozen=True, slots=True)
class PublishedCrl:
    """A list (DER) with its times (UTC) and its number."""

    der: bytes
    number: int
    this_update: datetime
    next_update: datetime
    key_id: bytes
    """That of the signer, as its certificates name it."""

    @classmethod
    def of(cls, crl: bytes) -> PublishedCrl:
        """Read a list (DER) that a signer of this ledger has signed."""
        parsed = x509.load_der_x509_crl(crl)
        number = parsed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        key_id = parsed.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        until = parsed.next_update_utc
        assert until is not None, "a list without nextUpdate"
        assert key_id is not None, "a list without the signer's key id"
        return cls(crl, number, parsed.last_update_utc, until, key_id)

    @property
    def tag(self) -> str:
        """Return what tells it from others, for HTTP."""
        return hashlib.sha256(self.der).hexdigest()[:32]


class PublishedCrls:
    """The newest lists by the names of their signers: serial number and key id, in hexadecimal digits of any case.

    Read by any thread, changed by one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._by_name: dict[str, PublishedCrl] = {}

    def find(self, name: str) -> PublishedCrl | None:
        """Return the newest list of a signer."""
        return self._by_name.get(name.lower())

    def publish(self, signer_serial: bytes, crl: bytes) -> PublishedCrl:
        """Write a list (DER) of a signer (9 bytes) unless it stands there already; raises OSError."""
        published = PublishedCrl.of(crl)
        self._folder.mkdir(exist_ok=True)
        name = signer_serial.hex().upper()
        for path, data in ((f"{name}.crl", crl), (f"{name}.crl.pem", crl_pem(crl))):
            _replace_other(self._folder / path, data)
        for each in (signer_serial, published.key_id):
            self._by_name[each.hex()] = published
        return published


def _replace_other(path: Path, data: bytes) -> None:
    """Write a whole file unless it has these bytes: a web server sees the old list or the new one."""
    try:
        if path.read_bytes() == data:
            return
    except OSError:
        pass  # it is missing, or cannot be read: then writing it tells why
    durable_files.replace(path, data, _READABLE)
