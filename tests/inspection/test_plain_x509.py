"""Whole certificates in slots, found by parsing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from atcaprov.cli.chip.certificate_texts import chain_lines, chain_object, chain_pem
from atcaprov.inspection.certificates import plain_x509, search
from tests.support.certificates import DEVICE, vector
from tests.support.stored_chip import stored_chip

CASES: Any = vector("stored-certificates")["cases"]
TNGTLS, SIGNER = bytes.fromhex(CASES["tngtls"]["device"]), bytes.fromhex(CASES["nerves-key"]["signer"])
KEY = bytes.fromhex(CASES["tngtls"]["public_key"])


@pytest.mark.parametrize("start", [0, 4, 100])
def test_certificate_longer_than_a_slot_is_found_over_its_neighbours(start: int) -> None:
    """416 bytes of slot 8, and the rest in the slots behind it."""
    content = bytes(start) + TNGTLS
    slots = {8: content[:416]} | {9 + n: content[416 + 72 * n :][:72] for n in range(4)}
    (chain,) = plain_x509.find(stored_chip(slots, {2: KEY}))
    assert (chain.device.der, chain.key_slot, chain.is_signed) == (TNGTLS, 2, None)
    assert chain.device.slots == tuple(slot for slot in range(8, 13) if slots[slot])


def test_certificate_shorter_than_256_bytes_is_found() -> None:
    name = x509.Name([])
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, DEVICE.private.public_key(), 1, begin, begin.replace(year=2040))
    der = builder.sign(DEVICE.private, hashes.SHA256()).public_bytes(Encoding.DER)
    assert der[1] == 0x81
    (chain,) = plain_x509.find(stored_chip({8: der}, {3: DEVICE.public}))
    assert (chain.device.der, chain.key_slot) == (der, 3)


def test_certificate_of_another_key_has_no_key_slot() -> None:
    (chain,) = plain_x509.find(stored_chip({8: SIGNER}, {0: DEVICE.public}))
    assert (chain.device.der, chain.key_slot) == (SIGNER, None)


def test_certificate_in_pem_is_found() -> None:
    pem = x509.load_der_x509_certificate(SIGNER).public_bytes(Encoding.PEM)
    slots = {8: pem[:416]} | {9 + n: pem[416 + 72 * n :][:72] for n in range(4)}
    (chain,) = plain_x509.find(stored_chip(slots, {}))
    assert chain.device.der == SIGNER


@pytest.mark.slow
@given(st.binary(max_size=416), st.binary(max_size=72), st.integers(0, len(SIGNER) - 1))
def test_damaged_and_foreign_bytes_raise_nothing(first: bytes, second: bytes, place: int) -> None:
    damaged = bytearray(SIGNER)
    damaged[place] ^= 0x20
    for content in (first, bytes(damaged)[:416], SIGNER[:place]):
        chip = stored_chip({8: content, 9: second, 10: second, 12: first[:72]}, {0: DEVICE.public})
        search.found_chains(chip, [SIGNER])


@pytest.mark.slow
@given(st.integers(0, len(SIGNER) - 1), st.integers(1, 255))
def test_every_certificate_that_is_found_can_be_shown(place: int, change: int) -> None:
    damaged = bytearray(SIGNER)
    damaged[place] ^= change
    chip = stored_chip({8: bytes(damaged)[:416], 9: bytes(damaged)[416:]}, {0: DEVICE.public})
    for chain in search.found_chains(chip):
        assert list(chain_lines(chain))
        json.dumps(chain_object(chain))
        assert chain_pem(chain)
