"""What a server has acknowledged, as a line of JSON each: written by the load, read by the checker."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from typing import Self

from cryptography.hazmat.primitives.asymmetric import ec

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the curve P-256 (FIPS 186-4, D.1.2.3)."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The server has replied with a certificate of the chip `number`: its SHA-256 in hex.

    With `proven` it has taken the chip's report as well, and `checkpoint` is the signed note that came with that.
    """

    number: int
    certificate: str
    proven: bool = False
    checkpoint: str = ""

    def line(self) -> bytes:
        """Return it as a line."""
        return json.dumps(asdict(self)).encode("ascii") + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """Read a line."""
        return cls(**json.loads(line))


def whole_lines(data: bytes) -> list[Acknowledgement]:
    """Return what was told in whole; a cut may end within a line."""
    return [Acknowledgement.from_line(line) for line in data.split(b"\n")[:-1]]


def certificates(acknowledged: Iterable[Acknowledgement]) -> dict[int, str]:
    """Return the certificate of each chip.

    Raises:
        AssertionError: a chip was given two different ones.
    """
    found: dict[int, str] = {}
    for each in acknowledged:
        assert found.setdefault(each.number, each.certificate) == each.certificate, f"chip {each.number} got two"
    return found


@cache
def chip_key(number: int) -> ec.EllipticCurvePrivateKey:
    """Return the key of a chip, the same in every process."""
    digest = hashlib.sha256(b"chip %d" % number).digest()
    return ec.derive_private_key(int.from_bytes(digest, "big") % (_ORDER - 1) + 1, ec.SECP256R1())
