"""DER (X.690) written by hand, for the few structures that no library writes as they are needed."""

from __future__ import annotations


def tlv(tag: int, *parts: bytes) -> bytes:
    """Return one element: tag, length and the parts one after the other."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content
