"""The vendor's library rebuilds from the chip what is issued here: byte for byte, for a thousand random units."""

from __future__ import annotations

import multiprocessing
import random
from concurrent.futures import ProcessPoolExecutor
from typing import Final

import pytest
from cryptography import x509

from atcaprov.certs.definitions.definition import Transform
from atcaprov.certs.rebuild import from_slots, rebuild
from tests.certs.conftest import SLOTS
from tests.support import atcacert
from tests.support.certificates import genuine_definition, vector
from tests.support.chips import awake_chip, configured_memory
from tests.support.random_units import Unit, random_unit
from tests.support.stock_cryptoauthlib import Wheel, driven

SHARDS: Final = 8
UNITS_EACH: Final = 125


def test_the_structures_have_the_librarys_layout() -> None:
    atcacert.check_layout()


@pytest.mark.slow
def test_a_thousand_units() -> None:
    # The library waits a millisecond here and there, and its certificate functions bear one thread only.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(4, mp_context=spawn) as processes:
        assert sum(processes.map(judge_shard, range(SHARDS))) == SHARDS * UNITS_EACH


def judge_shard(shard: int) -> int:
    """Judge one shard of the units; return how many it had."""
    source = random.Random(f"unit {shard}")
    with driven(awake_chip(configured_memory(slots=SLOTS))) as wheel:
        for number in range(UNITS_EACH):
            unit = random_unit(source)
            put_on_chip(wheel, unit)
            judge(wheel, unit, f"shard {shard}, unit {number}")
    return UNITS_EACH


def put_on_chip(wheel: Wheel, unit: Unit) -> None:
    memory = wheel.chip.memory
    memory.config[0:4], memory.config[8:13] = unit.chip_serial[:4], unit.chip_serial[4:]
    scalar = unit.device_key.private.private_numbers().private_value.to_bytes(32, "big")
    memory.write_slot(unit.device_definition.private_key_slot, 0, bytes(4) + scalar)
    for write in unit.writes:
        memory.write_slot(write.slot, write.offset, write.data)


def judge(wheel: Wheel, unit: Unit, name: str) -> None:
    signer_def = atcacert.c_definition(unit.signer_definition)
    device_def = atcacert.c_definition(unit.device_definition)
    signer = atcacert.read_certificate(wheel, signer_def, unit.root_key.public)
    assert signer == unit.signer.der, f"{name}: signer certificate"
    device = atcacert.read_certificate(wheel, device_def, unit.signer_key.public)
    assert device == unit.device.der, f"{name}: device certificate"
    assert atcacert.compress(signer_def, signer) == unit.signer.compressed, f"{name}: signer's 72 bytes"
    assert atcacert.compress(device_def, device) == unit.device.compressed, f"{name}: device's 72 bytes"
    compressed, key = from_slots(unit.signer_definition, wheel.chip.memory.read_slot)
    assert key is not None
    ca_key = unit.root_key.public
    again = rebuild(unit.signer_definition, compressed=compressed, public_key=key, ca_public_key=ca_key)
    assert again == signer, f"{name}: our own reading of the chip"


def test_the_genuine_certificate_of_2015(wheel: Wheel) -> None:
    case = vector("signer-certificate")["signer"]
    wheel.chip.memory.write_slot(11, 0, bytes.fromhex(case["slot_11_three_blocks"]))
    wheel.chip.memory.write_slot(12, 0, bytes.fromhex(case["slot_12_three_blocks"]))
    definition = genuine_definition()
    compressed, key = from_slots(definition, wheel.chip.memory.read_slot)
    assert key is not None
    ca_key = bytes.fromhex(case["ca_public_key"])
    ours = rebuild(definition, compressed=compressed, public_key=key, ca_public_key=ca_key)
    assert ours.hex() == case["der"]
    assert atcacert.read_certificate(wheel, atcacert.c_definition(definition), ca_key) == ours


@pytest.mark.slow
def test_the_units_cover_what_they_should() -> None:
    source = random.Random(7)
    units = [random_unit(source) for _ in range(150)]
    for definitions in ([unit.signer_definition for unit in units], [unit.device_definition for unit in units]):
        assert {definition.format_version for definition in definitions} == {0, 1}
        assert len({definition.sn_source for definition in definitions}) >= 2
        assert len({(each.issue_date_format, each.expire_date_format) for each in definitions}) == 3
        assert len({definition.template_id for definition in definitions}) == 16
        assert len({definition.comp_cert_dev_loc.slot for definition in definitions}) == 8
    # From none to twice in the subject and five times in the subject alternative name.
    assert {len(unit.device_definition.cert_elements) for unit in units} == set(range(0, 16, 2))
    used = {element.transforms[0] for unit in units for element in unit.device_definition.cert_elements}
    assert used == {Transform.NONE, Transform.BIN2HEX_UC, Transform.BIN2HEX_LC}
    assert {unit.device.compressed[70] & 15 for unit in units} == {0, 1}
    assert all(x509.load_der_x509_certificate(unit.device.der) for unit in units)


@pytest.mark.slow
def test_the_library_writes_the_same_bytes() -> None:
    source = random.Random(11)
    for _ in range(20):
        unit = random_unit(source)
        chip = awake_chip(configured_memory(slots=SLOTS, data_locked=False))
        with driven(chip) as wheel:
            signer_def = atcacert.c_definition(unit.signer_definition)
            atcacert.write_certificate(wheel, signer_def, unit.signer.der)
            device_def = atcacert.c_definition(unit.device_definition)
            atcacert.write_certificate(wheel, device_def, unit.device.der)
        for write in unit.writes:
            assert chip.memory.read_slot(write.slot, write.offset, len(write.data)) == write.data
