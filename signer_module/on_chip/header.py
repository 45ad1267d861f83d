"""Slot 9 of a module: what the rest is and how to read it, 72 bytes.

Offset 0 magic "ATSM", 4 version, 5 role, 6 log2 of scrypt's N, 7 zero, 8 salt (16), 24 size of the
description (2, big-endian), 26 its SHA-256 (32), 58 zeros. docs/reference/signer-module-chip.md has the table.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import Final, Self

from atcaprov.config_zone.module_zones import MODULE_MARK, MODULE_ROLES, ModuleRole
from atcaprov.errors import CertificateError, Code
from signer_module.on_chip.password_keys import MOST_COST, PasswordScheme
from signer_module.on_chip.slot_layout import DESCRIPTION_SIZE

Role = ModuleRole
VERSION: Final = 2
SIZE: Final = 72
_FORMAT: Final = struct.Struct(">4sBBBx16sH32s14x")


@dataclass(frozen=True)
class ModuleHeader:
    """The fields of slot 9."""

    role: Role
    scheme: PasswordScheme
    description_size: int
    description_digest: bytes
    version: int = VERSION
    """That of the layout: 1 or 2."""

    @classmethod
    def of(cls, role: Role, scheme: PasswordScheme, description: bytes, version: int = VERSION) -> Self:
        """Return the head for a description."""
        return cls(role, scheme, len(description), hashlib.sha256(description).digest(), version)

    def pack(self) -> bytes:
        """Return the 72 bytes."""
        return _FORMAT.pack(
            MODULE_MARK,
            self.version,
            MODULE_ROLES.index(self.role),
            self.scheme.cost,
            self.scheme.salt,
            self.description_size,
            self.description_digest,
        )

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read 72 bytes; raises CertificateError (module-invalid) for anything else than `pack` gives."""
        if len(data) != SIZE or data[:4] != MODULE_MARK:
            raise _invalid("slot 9 does not begin with ATSM")
        _, version, role, cost, salt, size, digest = _FORMAT.unpack(data)
        if not 1 <= version <= VERSION:
            raise _invalid(f"it has version {version}, this program reads 1 to {VERSION}")
        if role >= len(MODULE_ROLES) or not 0 < cost <= MOST_COST or size > DESCRIPTION_SIZE:
            raise _invalid("a field of slot 9 is out of range")
        found = cls(MODULE_ROLES[role], PasswordScheme(salt, cost), size, digest, version)
        if found.pack() != data:
            raise _invalid("reserved bytes of slot 9 are not zero")
        return found

    def description(self, stored: bytes) -> bytes:
        """Return the description out of the slots' content; raises CertificateError (module-invalid)."""
        description = stored[: self.description_size]
        if hashlib.sha256(description).digest() != self.description_digest:
            raise _invalid("the description does not have the digest that slot 9 names")
        return description


def _invalid(why: str) -> CertificateError:
    return CertificateError(f"The signer module is damaged or of another kind: {why}.", code=Code.MODULE_INVALID)
