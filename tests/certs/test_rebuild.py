from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import CertificateError, Code
from atcaprov.certs import keys
from atcaprov.certs.rebuild import SlotContent, from_slots, rebuild, slot_contents
from tests.support.certificates import chain_definition, genuine_definition, vector

GENUINE = vector("signer-certificate")["signer"]
KEY = bytes.fromhex(GENUINE["subject_public_key"])
CA_KEY = bytes.fromhex(GENUINE["ca_public_key"])
COMPRESSED = bytes.fromhex(GENUINE["compressed"])


CHAINS = [
    pytest.param(chain[role], id=f"{chain['name']}-{role}")
    for chain in vector("certificate-roundtrip")["chains"]
    for role in ("signer", "device")
]


def test_genuine_certificate() -> None:
    found = rebuild(genuine_definition(), compressed=COMPRESSED, public_key=KEY, ca_public_key=CA_KEY)
    assert found.hex() == GENUINE["der"]


@pytest.mark.parametrize("case", CHAINS)
def test_known_chains(case: dict[str, Any]) -> None:
    serial = case["device_serial"]
    found = rebuild(
        chain_definition(case),
        compressed=bytes.fromhex(case["compressed"]),
        public_key=bytes.fromhex(case["subject_public_key"]),
        ca_public_key=bytes.fromhex(case["ca_public_key"]),
        chip_serial=bytes.fromhex(serial) if serial else None,
    )
    assert found.hex() == case["der"]


@pytest.mark.parametrize(
    ("position", "value", "name"),
    [(69, 0x20, "template id 2"), (69, 0x11, "chain id 1"), (70, 0x80, "serial number source 8")],
)
def test_another_definitions_certificate(position: int, value: int, name: str) -> None:
    changed = bytearray(COMPRESSED)
    changed[position] = value
    with pytest.raises(CertificateError, match=name) as caught:
        rebuild(genuine_definition(), compressed=bytes(changed), public_key=KEY, ca_public_key=CA_KEY)
    assert caught.value.code == Code.CERTIFICATE_MISMATCH


@pytest.mark.slow
@given(st.binary(max_size=80), st.binary(max_size=70), st.binary(max_size=70))
def test_garbage_gives_certificate_errors_only(compressed: bytes, key: bytes, ca_key: bytes) -> None:
    with pytest.raises(CertificateError):
        rebuild(genuine_definition(), compressed=compressed, public_key=key, ca_public_key=ca_key)


def test_one_flipped_bit_never_gives_the_same_certificate() -> None:
    definition = genuine_definition()
    for bit in range(72 * 8):
        flipped = bytearray(COMPRESSED)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        try:
            found = rebuild(definition, compressed=bytes(flipped), public_key=KEY, ca_public_key=CA_KEY)
        except CertificateError:
            continue
        assert found.hex() != GENUINE["der"]


def test_chip_serial_must_be_given_when_the_definition_needs_it() -> None:
    case = vector("certificate-roundtrip")["chains"][2]["device"]
    key, ca_key = bytes.fromhex(case["subject_public_key"]), bytes.fromhex(case["ca_public_key"])
    compressed = bytes.fromhex(case["compressed"])
    with pytest.raises(CertificateError, match="serial number"):
        rebuild(chain_definition(case), compressed=compressed, public_key=key, ca_public_key=ca_key)


def test_slot_writes_and_back() -> None:
    definition = genuine_definition()
    writes = slot_contents(definition, compressed=COMPRESSED, public_key=KEY)
    assert writes == [SlotContent(12, 0, COMPRESSED), SlotContent(11, 0, keys.padded_public_key(KEY))]
    assert set(definition.write_slots) == {11, 12}
    slots = {write.slot: write.data for write in writes}
    found = from_slots(definition, lambda slot, offset, count: slots[slot][offset : offset + count])
    assert found == (COMPRESSED, KEY)


def test_gen_key_needs_no_slot() -> None:
    definition = genuine_definition("device_template")
    chain = vector("certificate-roundtrip")["chains"][0]["device"]
    compressed = bytes.fromhex(chain["compressed"])
    assert slot_contents(definition, compressed=compressed, public_key=KEY) == [SlotContent(10, 0, compressed)]
    assert dict(definition.write_slots) == {10: "device compressed certificate"}
    assert from_slots(definition, lambda slot, offset, count: compressed) == (compressed, None)


def test_unwritten_slot_is_refused_as_key() -> None:
    with pytest.raises(CertificateError, match="not hold a public key"):
        from_slots(genuine_definition(), lambda slot, offset, count: b"\xff" * count)
