"""Every parser of logs with the whole input, truncated, one bit flipped, and garbage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Code, UsageError
from atcaprov.transparency.checkpoint import Checkpoint, SignedCheckpoint
from atcaprov.transparency.signed_note import MAX_NOTE, SignedNote
from atcaprov.transparency.tile_files import TilePath, pack_bundle, unpack_bundle
from atcaprov.transparency.tlog_proof import TlogProof
from atcaprov.transparency.verifier_keys import VerifierKey
from tests.transparency.known_notes import ECDSA_KEYS, GO_KEY, GO_NOTE, proof, signed_checkpoint

Rewrite = Callable[[bytes], bytes]


def of_text(read: Callable[[str], object]) -> Rewrite:
    def rewrite(data: bytes) -> bytes:
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise UsageError("not text", code=Code.LOG_INVALID) from error
        return str(read(text)).encode()

    return rewrite


PARSERS: Final[dict[str, tuple[Rewrite, bytes]]] = {
    "note": (lambda data: SignedNote.parse(data).to_bytes(), GO_NOTE),
    "signed checkpoint": (lambda data: SignedCheckpoint.parse(data).to_bytes(), signed_checkpoint().to_bytes()),
    "checkpoint": (lambda data: Checkpoint.from_text(data).to_text(), signed_checkpoint().note.text),
    "proof": (lambda data: TlogProof.parse(data).to_bytes(), proof().to_bytes()),
    "Ed25519 key": (of_text(VerifierKey.parse), GO_KEY.encode()),
    "P-256 key": (of_text(VerifierKey.parse), ECDSA_KEYS["rekor"].encode()),
    "bundle": (lambda data: pack_bundle(unpack_bundle(data)), pack_bundle([b"", b"one", b"x" * 300])),
    "tile path": (of_text(TilePath.parse), b"tile/12/x001/x234/067.p/8"),
    "entries path": (of_text(TilePath.parse), b"tile/entries/x001/000"),
}
NAMES: Final = list(PARSERS)


def reads_or_refuses(name: str, data: bytes) -> None:
    """Whatever is accepted is written again to the same bytes, so no two files mean the same."""
    rewrite, _ = PARSERS[name]
    try:
        outcome: bytes | UsageError = rewrite(data)
    except UsageError as error:
        outcome = error
    if isinstance(outcome, UsageError):
        assert outcome.code == Code.LOG_INVALID
        assert len(outcome.what) < 200
    else:
        assert outcome == data


@pytest.mark.parametrize("name", NAMES)
def test_whole_input_is_written_again_to_the_same_bytes(name: str) -> None:
    rewrite, whole = PARSERS[name]
    assert rewrite(whole) == whole


@pytest.mark.parametrize("name", NAMES)
def test_truncated_input_is_read_or_refused(name: str) -> None:
    whole = PARSERS[name][1]
    for length in range(len(whole)):
        reads_or_refuses(name, whole[:length])


@pytest.mark.parametrize("name", NAMES)
def test_input_with_one_flipped_bit_is_read_or_refused(name: str) -> None:
    whole = PARSERS[name][1]
    for place in range(min(len(whole), 400)):
        for bit in range(8):
            changed = bytearray(whole)
            changed[place] ^= 1 << bit
            reads_or_refuses(name, bytes(changed))


@given(st.sampled_from(NAMES), st.binary(max_size=300))
def test_garbage_is_read_or_refused(name: str, data: bytes) -> None:
    reads_or_refuses(name, data)


@given(st.sampled_from(NAMES), st.data())
def test_spliced_input_is_read_or_refused(name: str, data: st.DataObject) -> None:
    whole = PARSERS[name][1]
    start, end = sorted((data.draw(st.integers(0, len(whole))), data.draw(st.integers(0, len(whole)))))
    reads_or_refuses(name, whole[:start] + data.draw(st.binary(max_size=20)) + whole[end:])


@pytest.mark.parametrize("text", [GO_KEY, ECDSA_KEYS["pixel"]])
def test_every_changed_verifier_key_is_refused(text: str) -> None:
    # The key id of a P-256 key does not cover the name.
    for place in range(0 if text == GO_KEY else text.index("+"), len(text)):
        with pytest.raises(UsageError):
            VerifierKey.parse(text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :])
        with pytest.raises(UsageError):
            VerifierKey.parse(text[:place])


def test_note_that_is_too_long_or_has_too_many_signatures_is_refused() -> None:
    text, _, signature = GO_NOTE.rpartition(b"\n\n")
    many = b"%s\n\n%s" % (text, signature * 101)
    for note in (many, b"x" * MAX_NOTE + GO_NOTE):
        with pytest.raises(UsageError) as caught:
            SignedNote.parse(note)
        assert caught.value.code == Code.LOG_INVALID
