"""Text that is signed by one or more keys: https://c2sp.org/signed-note.

A note is its text, which ends with a line end, an empty line, and a line for each signature.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Self

from atcaprov.errors import Code, UsageError
from atcaprov.transparency.line_fields import decode_base64, encode_base64, malformed
from atcaprov.transparency.verifier_keys import KEY_ID_SIZE, NoteSigner, VerifierKey, is_key_name

MAX_NOTE: Final = 1 << 16
"""Bytes of a note; the format demands room for 16 signatures."""
MAX_SIGNATURES: Final = 100

_DASH: Final = "\N{EM DASH} "


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """A signature line: the name of the key, its id (4 bytes), and the signature."""

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {encode_base64(self.key_id + self.signature)}\n"

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read a line without its end; raises UsageError (LOG_INVALID)."""
        name, _, rest = line.removeprefix(_DASH).partition(" ")
        if not line.startswith(_DASH) or not is_key_name(name):
            raise malformed("A signature line of a note does not begin with a dash and the name of a key.")
        data = decode_base64(rest, "A signature of a note")
        if len(data) <= KEY_ID_SIZE:
            raise malformed("A signature of a note is too short.")
        return cls(name, data[:KEY_ID_SIZE], data[KEY_ID_SIZE:])


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A note: the bytes that are signed, and signatures that may be of unknown keys."""

    text: bytes
    signatures: tuple[NoteSignature, ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a note; raises UsageError (LOG_INVALID) for anything else."""
        if len(data) > MAX_NOTE:
            raise malformed(f"A note is longer than {MAX_NOTE} bytes.")
        try:
            whole = data.decode()
        except UnicodeDecodeError as error:
            raise malformed("A note is not UTF-8.") from error
        if any(char < " " and char != "\n" for char in whole):
            raise malformed("A note holds a control character.")
        text, empty_line, lines = whole.rpartition("\n\n")
        if not empty_line or not lines.endswith("\n"):
            raise malformed("A note does not end with an empty line and signature lines.")
        signatures = lines[:-1].split("\n")
        if len(signatures) > MAX_SIGNATURES:
            raise malformed(f"A note has more than {MAX_SIGNATURES} signatures.")
        return cls(f"{text}\n".encode(), tuple(NoteSignature.parse(line) for line in signatures))

    def to_bytes(self) -> bytes:
        """Return the note as it is stored and sent."""
        return self.text + b"\n" + "".join(str(signature) for signature in self.signatures).encode()

    def verified_by(self, keys: Collection[VerifierKey]) -> dict[VerifierKey, NoteSignature]:
        """Return which of the keys have signed it, and how. Signatures of other keys are ignored.

        Raises:
            UsageError: LOG_MISMATCH if a signature that names one of the keys does not verify.
        """
        found = dict[VerifierKey, NoteSignature]()
        for signature in self.signatures:
            for key in keys:
                if (signature.name, signature.key_id) != (key.name, key.key_id):
                    continue
                if not key.verifies(self.text, signature.signature):
                    raise UsageError(
                        f"The signature of {key.name} on a note is wrong.",
                        advice="The note was changed, or it is forged.",
                        code=Code.LOG_MISMATCH,
                    )
                found.setdefault(key, signature)
        return found

    def signed_by(self, signer: NoteSigner) -> SignedNote:
        """Return the note with one more signature, which replaces an earlier one of the same key."""
        key = signer.key
        kept = tuple(one for one in self.signatures if (one.name, one.key_id) != (key.name, key.key_id))
        return SignedNote(self.text, (*kept, NoteSignature(key.name, key.key_id, signer.sign(self.text))))


def sign_note(text: bytes, signer: NoteSigner) -> SignedNote:
    """Sign a text, which must end with a line end."""
    return SignedNote(text, ()).signed_by(signer)
