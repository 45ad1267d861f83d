"""The maker's certificates on Trust parts: a genuine part's, and what the vendor's functions rebuild."""

from __future__ import annotations

from ctypes import c_uint8
from pathlib import Path
from typing import Any

import pytest

from atcaprov.emulator.chip import Chip
from atcaprov.inspection.certificates import microchip
from atcaprov.inspection.certificates.found import FoundChain, StorageLayout
from atcaprov.inspection.genuine import require_chain, vendor_root
from atcaprov.inspection.snapshot import ChipSnapshot, read_snapshot
from tests.support.atcacert import Definition, read_certificate
from tests.support.certificates import DEVICE, SIGNER, vector
from tests.support.openssl import verify_with_openssl
from tests.support.stock_cryptoauthlib import LIBRARY, driven
from tests.support.stored_chip import stored_chip
from tests.support.trust_parts import opened, trust_part

GENUINE: Any = vector("stored-certificates")["cases"]["tngtls"]


def genuine_chip(*, public_key: bytes = b"", **changed: bytes) -> ChipSnapshot:
    slots = {int(slot): bytes.fromhex(content) for slot, content in GENUINE["slots"].items()}
    slots |= {int(name[1:]): content for name, content in changed.items()}
    keys = {0: public_key or bytes.fromhex(GENUINE["public_key"])}
    return stored_chip(slots, keys, serial_number=bytes.fromhex(GENUINE["serial_number"]))


def found(chip: ChipSnapshot) -> FoundChain | None:
    return next(microchip.find(chip), None)


def test_certificate_of_a_genuine_part_is_rebuilt_byte_for_byte() -> None:
    """nerves-hub/atecc508a test/support/sim608b_tng.ex: slots of a genuine ATECC608B-TNGTLS, and its certificate."""
    chain = found(genuine_chip())
    assert chain is not None
    assert chain.layout is StorageLayout.TNGTLS
    assert chain.device.der == bytes.fromhex(GENUINE["device"])
    assert [certificate.slots for certificate in chain.certificates] == [(10, 5), (12, 11)]


def test_chain_of_a_genuine_part_leads_to_the_root_in_the_vendors_library(tmp_path: Path) -> None:
    chain = found(genuine_chip())
    assert chain is not None
    require_chain(chain, vendor_root())
    # Microchip's root lacks the key usage that -x509_strict demands of a CA.
    ders = [certificate.der for certificate in chain.certificates]
    verify_with_openssl(tmp_path, *ders, vendor_root(), strict=False)


def test_certificate_of_another_key_is_not_found() -> None:
    assert found(genuine_chip(public_key=DEVICE.public)) is None


@pytest.mark.parametrize("slot", [5, 10, 11])
def test_one_changed_byte_is_not_taken_for_a_certificate(slot: int) -> None:
    content = bytearray(genuine_chip().slots[slot])
    content[6] ^= 1
    assert found(genuine_chip(**{f"_{slot}": bytes(content)})) is None


@pytest.mark.parametrize("content", [b"", bytes(72), b"\xff" * 72, b"-" * 72])
@pytest.mark.parametrize("slot", [5, 10, 11, 12])
def test_slots_with_something_else_hold_no_chain(slot: int, content: bytes) -> None:
    assert found(genuine_chip(**{f"_{slot}": content})) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("symbol", "part"),
    [
        ("g_tngtls_cert_def_2_device", "tngtls-2"),
        ("g_tngtls_cert_def_3_device", "tngtls-3"),
        ("g_tflxtls_cert_def_4_device", "tflxtls"),
        ("g_tnglora_cert_def_2_device", "tnglora-2"),
        ("g_tnglora_cert_def_4_device", "tnglora-4"),
    ],
)
def test_the_vendors_definitions_rebuild_the_same_certificates(symbol: str, part: str) -> None:
    """The definitions in the installed library read what their own places on the chip hold."""
    memory = trust_part(part)
    with driven(Chip(memory)) as wheel:
        device = read_certificate(wheel, Definition.in_dll(LIBRARY, symbol), SIGNER.public)
        issuer = symbol.split("_")[1]
        root_key = (c_uint8 * 64)()
        assert LIBRARY.tng_atcacert_root_public_key(root_key) == 0
        definition = Definition.in_dll(LIBRARY, f"g_{issuer.replace('tflx', 'tng')}_cert_def_1_signer")
        signer = read_certificate(wheel, definition, bytes(root_key))
    with opened(memory) as opened_part:
        chain = next(microchip.find(read_snapshot(opened_part)))
    assert [certificate.der for certificate in chain.certificates] == [device, signer]
    assert chain.layout == part.split("-")[0]


def test_early_trust_flex_part_is_named_by_its_configuration() -> None:
    """Its certificate is of the kind of an early TNGTLS, whose definition the library takes for it, too."""
    memory = trust_part("tngtls-2")
    memory.config[16] = 0x6C
    with opened(memory) as opened_part:
        chain = next(microchip.find(read_snapshot(opened_part)))
    assert chain.layout is StorageLayout.TFLXTLS
