"""The state of a log at a moment, in a note that the log has signed: https://c2sp.org/tlog-checkpoint."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

from atcaprov.errors import Code, UsageError
from atcaprov.transparency.line_fields import decode_hash, decode_number, encode_base64, malformed
from atcaprov.transparency.signed_note import NoteSignature, SignedNote, sign_note
from atcaprov.transparency.verifier_keys import NoteSigner, VerifierKey


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log vouches for: its name, the number of entries, the root over them (32 bytes), and further lines."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def to_text(self) -> bytes:
        """Return the text of the note."""
        lines = (self.origin, str(self.size), encode_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines).encode()

    @classmethod
    def from_text(cls, text: bytes) -> Self:
        """Read the text of a note; raises UsageError (LOG_INVALID) if it is not that of a checkpoint."""
        try:
            *lines, rest = text.decode().split("\n")
        except UnicodeDecodeError as error:
            raise malformed("A checkpoint is not UTF-8.") from error
        if len(lines) < 3 or rest or "" in lines:  # origin, size and root
            raise malformed("A checkpoint needs three lines, of which none is empty.")
        origin, size, root, *extensions = lines
        return cls(
            origin,
            decode_number(size, "The size in a checkpoint"),
            decode_hash(root, "The root in a checkpoint"),
            tuple(extensions),
        )

    def signed_by(self, signer: NoteSigner) -> SignedCheckpoint:
        """Return it with a signature."""
        return SignedCheckpoint(self, sign_note(self.to_text(), signer))


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint with the note that it came in. Its signatures may be of unknown keys."""

    checkpoint: Checkpoint
    note: SignedNote

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a checkpoint without a look at its signatures; raises UsageError (LOG_INVALID)."""
        note = SignedNote.parse(data)
        return cls(Checkpoint.from_text(note.text), note)

    def to_bytes(self) -> bytes:
        """Return the note as it is stored and sent."""
        return self.note.to_bytes()

    def verify(self, log_key: VerifierKey, witnesses: Collection[VerifierKey] = ()) -> dict[VerifierKey, NoteSignature]:
        """Check the log's signature, and return those of the given witnesses that have cosigned it.

        Raises:
            UsageError: LOG_MISMATCH if the log has not signed it, or one of these signatures is wrong.
        """
        signatures = self.note.verified_by([log_key, *witnesses])
        if signatures.pop(log_key, None) is None:
            raise UsageError(
                f"The checkpoint of {self.checkpoint.origin} has no signature of {log_key}.",
                advice="Take the verifier key of this log. If it is the right one, the checkpoint is forged.",
                code=Code.LOG_MISMATCH,
            )
        return signatures

    def cosigned_by(self, signer: NoteSigner) -> SignedCheckpoint:
        """Return it with one more signature."""
        return SignedCheckpoint(self.checkpoint, self.note.signed_by(signer))
