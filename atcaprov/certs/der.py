"""Read DER with the position of each element, and write single elements (ITU-T X.690, 8.1 and 10.1).

Certificate definitions need offsets, which X.509 libraries do not give; and these libraries do not write encrypted
PKCS#8 with a slow key derivation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from atcaprov.errors import CertificateError

INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
OBJECT_ID: Final = 0x06
BOOLEAN: Final = 0x01
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18
SEQUENCE: Final = 0x30
SET: Final = 0x31


@dataclass(frozen=True, slots=True)
class Tlv:
    """One element: it starts at `start`, its content fills `content` to `end`."""

    tag: int
    start: int
    content: int
    end: int


def read_tlv(data: bytes, offset: int, limit: int) -> Tlv:
    """Return the element at `offset`, which must end at or before `limit`.

    Only single-byte tags and definite lengths in their shortest form. Raises CertificateError for anything else.
    """
    if offset + 2 > limit:
        raise broken(offset, "it ends too early")
    first = data[offset + 1]
    content = offset + 2
    length = first
    if first & 0x80:
        count = first & 0x7F
        content += count
        if not 1 <= count <= 2 or content > limit:
            raise broken(offset, "its length is not valid DER")
        length = int.from_bytes(data[offset + 2 : content], "big")
        if length < 0x80 or (count == 2 and length < 0x100):
            raise broken(offset, "its length is not in the shortest form")
    if content + length > limit:
        raise broken(offset, "an element is longer than its container")
    return Tlv(data[offset], offset, content, content + length)


def children(data: bytes, parent: Tlv) -> list[Tlv]:
    """Return the elements inside a constructed element, in order."""
    found = []
    offset = parent.content
    while offset < parent.end:
        child = read_tlv(data, offset, parent.end)
        found.append(child)
        offset = child.end
    return found


def expect(tlv: Tlv, tag: int, name: str) -> Tlv:
    """Return the element if it has the tag; raises CertificateError that names what was expected."""
    if tlv.tag != tag:
        raise broken(tlv.start, f"{name} must have tag {tag:02X}, not {tlv.tag:02X}")
    return tlv


def broken(offset: int, why: str) -> CertificateError:
    """Return the error for bytes that are not a certificate in DER; `why` is the end of a sentence."""
    return CertificateError(f"The bytes are not a certificate: at byte {offset}, {why}.")


def write_tlv(tag: int, *parts: bytes) -> bytes:
    """Return one element: tag, length in its shortest form, and the parts one after the other."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content
