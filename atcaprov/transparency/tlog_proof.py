"""A proof that an entry is in a log, in one file that verifies offline: https://c2sp.org/tlog-proof."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from atcaprov.transparency.checkpoint import SignedCheckpoint
from atcaprov.transparency.line_fields import decode_base64, decode_hash, decode_number, encode_base64, malformed
from atcaprov.transparency.merkle import verify_inclusion

_FIRST_LINE: Final = "c2sp.org/tlog-proof@v1"
_MAX_HASHES: Final = 63
"""The depth of the largest tree."""


@dataclass(frozen=True, slots=True)
class TlogProof:
    """Index of an entry, hashes from its sibling up to the root's child, a checkpoint, and data without a proof.

    The signatures of the checkpoint are not checked here: `checkpoint.verify` does.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: SignedCheckpoint
    extra: bytes = b""

    def to_bytes(self) -> bytes:
        """Return the file."""
        lines = [_FIRST_LINE]
        if self.extra:
            lines.append(f"extra {encode_base64(self.extra)}")
        lines += [f"index {self.index}", *map(encode_base64, self.hashes), "", ""]
        return "\n".join(lines).encode() + self.checkpoint.to_bytes()

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a file; raises UsageError (LOG_INVALID)."""
        head, _, checkpoint = data.partition(b"\n\n")
        try:
            first, *lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise malformed("The first lines of a proof are not ASCII.") from error
        if first != _FIRST_LINE:
            raise malformed(f"A proof does not begin with {_FIRST_LINE}.")
        extra = b""
        if lines and lines[0].startswith("extra "):
            extra = decode_base64(lines.pop(0).removeprefix("extra "), "The extra data of a proof")
            if not extra:
                raise malformed("The extra data of a proof is empty.")
        if not lines or not lines[0].startswith("index "):
            raise malformed("A proof has no index line.")
        index = decode_number(lines.pop(0).removeprefix("index "), "The index of a proof")
        if len(lines) > _MAX_HASHES:
            raise malformed(f"A proof has more than {_MAX_HASHES} hashes.")
        hashes = tuple(decode_hash(line, "A hash of a proof") for line in lines)
        return cls(index, hashes, SignedCheckpoint.parse(checkpoint), extra)

    def verify_leaf(self, leaf: bytes) -> None:
        """Check that the leaf hash is in the tree of the checkpoint; raises UsageError (LOG_MISMATCH, LOG_INVALID)."""
        head = self.checkpoint.checkpoint
        verify_inclusion(leaf, self.index, head.size, self.hashes, head.root)
