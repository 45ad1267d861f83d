"""Whatever stands in a chip's slots, the search ends: chains or named leftovers, and no error."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atcaprov.cli.chip.certificate_texts import chain_lines, chain_object, chain_pem, error_object
from atcaprov.inspection.certificates.leftovers import certificates_by_slot, leftovers
from atcaprov.inspection.certificates.search import found_chains
from tests.inspection.test_cert2certdef import company_signer, padded
from tests.inspection.test_nerves_key import LONG_OTP, SHORT_OTP
from tests.support.certificates import DEVICE, SIGNER, vector
from tests.support.stored_chip import stored_chip

pytestmark = pytest.mark.slow
CASES = vector("stored-certificates")["cases"]
SIGNATURE = bytes.fromhex(CASES["tngtls"]["slots"]["10"])[:64]


@st.composite
def compressed_forms(draw: st.DrawFn) -> bytes:
    """Return 72 bytes with a valid signature form, any date, any ids, and every serial number source and version."""
    day = draw(st.sampled_from([2 << 15 | 29 << 10, 1 << 15 | 1 << 10, 12 << 15 | 31 << 10 | 23 << 5, 0]))
    dates = (draw(st.integers(0, 31)) << 19 | day | draw(st.integers(0, 31))).to_bytes(3)
    ids = draw(st.binary(min_size=2, max_size=2)) + draw(st.sampled_from([b"\x00", b"\x10", b"\x20", b"\x30", b"\x45"]))
    source = draw(st.sampled_from([0xA0, 0xA0, 0xB0, 0x00, 0x80, 0xF0]))
    extension = draw(st.sampled_from([0, 0, 0x40, 0xF0]))
    return SIGNATURE + dates + ids + bytes((source | bool(extension), extension))


TEXTS = st.one_of(st.binary(max_size=72), st.text(max_size=36).map(str.encode), st.just(b"F" * 16))
SLOTS = st.one_of(compressed_forms(), TEXTS, st.sampled_from([padded(SIGNER.public), SIGNER.public + bytes(8)]))


SOME = st.dictionaries(st.sampled_from([5, *range(8, 16)]), SLOTS)
WHOLE_CHAINS = st.fixed_dictionaries(
    {
        5: st.just(b"0004A3FFFE12"),
        8: st.tuples(compressed_forms(), compressed_forms()).map(
            lambda pair: padded(SIGNER.public) + pair[0] + pair[1]
        ),
        9: compressed_forms(),
        10: compressed_forms(),
        11: st.sampled_from([padded(SIGNER.public), SIGNER.public + bytes(8)]),
        12: compressed_forms(),
        14: st.just(SIGNER.public + bytes(8)),
        15: compressed_forms(),
    }
)


@settings(max_examples=80)
@given(
    st.one_of(SOME, WHOLE_CHAINS),
    st.dictionaries(st.sampled_from([0, 1, 2]), st.sampled_from([DEVICE.public, SIGNER.public])),
    st.one_of(st.binary(min_size=64, max_size=64), st.sampled_from([SHORT_OTP, LONG_OTP])),
)
def test_search_ends_and_everything_can_be_shown(slots: dict[int, bytes], keys: dict[int, bytes], otp: bytes) -> None:
    chip = stored_chip(slots, keys, otp=otp)
    chains = found_chains(chip, [company_signer()])
    for chain in chains:
        assert list(chain_lines(chain))
        assert json.dumps(chain_object(chain))
        assert chain_pem(chain)
    for error in leftovers(chip, chains):
        assert json.dumps(error_object(error))
    assert set(certificates_by_slot(chip)) <= set(range(16))


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("date", [24 << 19 | 2 << 15 | 29 << 10 | 1, 31 << 19 | 12 << 15 | 31 << 10, 0])
def test_dates_that_no_certificate_can_have_are_not_taken_for_one(date: int, version: int) -> None:
    """29 February plus a year; 2063 as a UTCTime; month 0. The compressed form can hold them all."""
    end = bytes((0xA0 | version, 0x40 * version))
    form = SIGNATURE + date.to_bytes(3) + b"\0\0\x30" + end
    signer = SIGNATURE + date.to_bytes(3) + b"\0\0\x10" + end
    trust = {5: b"0004A3FFFE12", 10: form, 11: padded(SIGNER.public), 12: signer}
    lora = {8: padded(SIGNER.public) + form + signer, 10: b"0004A3FFFE123456"}
    for slots in (trust, lora, trust | {11: SIGNER.public + bytes(8)}):
        for otp in (SHORT_OTP, bytes(64)):
            chip = stored_chip(slots, {0: DEVICE.public, 1: DEVICE.public}, otp=otp)
            assert not [chain for chain in found_chains(chip, [company_signer()]) if chain.is_signed]
            assert list(leftovers(chip, []))
