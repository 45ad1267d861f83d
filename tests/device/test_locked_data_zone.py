"""Writes to the open slots of a locked data zone: what is there is kept, what is missing is written, nothing else."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import AtcaProvError, Device
from atcaprov.chip.memory_map import BLOCK_SIZE, SLOT_SIZES
from atcaprov.device.command_guard import Act, act_of
from atcaprov.device.zones.locked_data_zone import LockedDataZone
from tests.support.scripted_hal import ScriptedHal

READABLE = [8, 10, 11, 12, 13, 15]


def padded(slot: int, offset: int, data: bytes) -> bytes:
    end = min(-(-(offset + len(data)) // BLOCK_SIZE) * BLOCK_SIZE, SLOT_SIZES[slot])
    return data.ljust(end - offset, b"\0")


@pytest.mark.slow
@given(st.data())
def test_a_write_leaves_exactly_what_was_asked_for(data: st.DataObject) -> None:
    slot = data.draw(st.sampled_from(READABLE))
    size = SLOT_SIZES[slot]
    offset = data.draw(st.integers(0, (size - 1) // BLOCK_SIZE)) * BLOCK_SIZE
    before = data.draw(st.binary(min_size=size, max_size=size))
    wanted = data.draw(st.binary(min_size=1, max_size=size - offset))
    hal = ScriptedHal("emulator:?image=tflxtls")
    hal.memory.write_slot(slot, 0, before)
    with Device(hal) as device, device.permit(Act.WRITE_DATA):
        zone = LockedDataZone(device, device.read_config())
        foreign = zone.overwrites(slot, offset, wanted)
        zone.write(slot, offset, wanted)
        assert zone.holds(slot, offset, wanted)
        hal.packets.clear()
        zone.write(slot, offset, wanted)
        assert not any(act_of(packet) for packet in hal.packets)
        assert not zone.overwrites(slot, offset, wanted)
    full = padded(slot, offset, wanted)
    assert hal.memory.read_slot(slot, 0, size) == before[:offset] + full + before[offset + len(full) :]
    if before[offset : offset + len(wanted)] == wanted:
        assert not foreign


@pytest.mark.parametrize("slot", READABLE)
@pytest.mark.parametrize("fill", [b"\x00", b"\xff"])
def test_an_unused_slot_is_empty_and_may_be_written(slot: int, fill: bytes) -> None:
    hal = ScriptedHal("emulator:?image=tflxtls")
    hal.memory.write_slot(slot, 0, fill * SLOT_SIZES[slot])
    with Device(hal) as device:
        zone = LockedDataZone(device, device.read_config())
        assert zone.is_empty(slot)
        assert not zone.overwrites(slot, 0, bytes(range(SLOT_SIZES[slot] % 256)))
        hal.memory.write_slot(slot, SLOT_SIZES[slot] - 1, b"\x01")
        assert not zone.is_empty(slot)


@pytest.mark.slow
@given(
    st.integers(-1, 17),
    st.integers(-33, 500),
    st.binary(max_size=500),
    st.binary(min_size=112, max_size=112),
)
def test_no_argument_and_no_table_ends_in_anything_but_a_typed_error(
    slot: int, offset: int, data: bytes, table: bytes
) -> None:
    hal = ScriptedHal("emulator:?image=tflxtls")
    with Device(hal) as device, device.permit(Act.WRITE_DATA):
        config = device.read_config()[:16] + table
        with contextlib.suppress(AtcaProvError):
            LockedDataZone(device, config).write(slot, offset, data)
