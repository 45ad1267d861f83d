"""Runs that demand the proof of a genuine part: whole, repeated, and refused before anything changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov import Board, Code, Profile
from atcaprov.emulator.trust_chain import root_certificate
from tests.provisioning.test_trust_flex import PROFILE, acts, part, refused, run
from tests.support.in_memory_server import MemoryCa

pytestmark = pytest.mark.slow
TEST_ROOT = root_certificate().public_bytes(Encoding.DER)
DEMANDING = replace(PROFILE, require_genuine=True, genuine_root=TEST_ROOT)


@pytest.fixture(scope="module")
def authority() -> MemoryCa:
    return MemoryCa()


def test_part_that_proves_itself_is_provisioned_and_confirmed_later(authority: MemoryCa) -> None:
    hal = part()
    done, _ = run(hal, authority, DEMANDING)
    hal.packets.clear()
    again, _ = run(hal, authority, DEMANDING)
    assert again.was_done_before
    assert again.device_certificate == done.device_certificate
    assert not acts(hal)


def test_software_part_is_refused_under_microchips_root(authority: MemoryCa) -> None:
    error = refused(part(), authority, replace(DEMANDING, genuine_root=None))
    assert (error.code, error.board) == (Code.NOT_GENUINE, Board.SET_ASIDE)


def test_part_without_the_makers_certificates_is_refused(authority: MemoryCa) -> None:
    hal = part()
    hal.memory.write_slot(10, 0, bytes(72))
    error = refused(hal, authority, DEMANDING)
    assert (error.code, error.board) == (Code.GENUINE_UNPROVABLE, Board.SET_ASIDE)


@pytest.mark.parametrize("image", ["atecc608a", "atecc608b", "atecc608c"])
def test_blank_part_is_refused_in_a_line_for_blank_parts(authority: MemoryCa, image: str) -> None:
    error = refused(part(image), authority, Profile(require_genuine=True))
    assert (error.code, error.board) == (Code.GENUINE_UNPROVABLE, Board.UNTOUCHED)
    assert "a blank part holds no certificate of the maker" in error.what
