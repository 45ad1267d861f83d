"""What each stage would do to a chip, in words, bytes and time: read from the commands of a run on its twin."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from atcaprov.chip.commands import P1_32_BYTES, Opcode, Zone
from atcaprov.chip.execution_times import Times, execution_times_608
from atcaprov.chip.memory_map import BLOCK_SIZE, CHIP_MODE, USER_EXTRA, WORD_SIZE
from atcaprov.chip.modes import BLOCK_SHIFT, SLOT_SHIFT, ZONE_BLOCK_SHIFT
from atcaprov.device.replies import command_name
from atcaprov.provisioning.trial_run import TrialRun
from atcaprov.stages import Stage, StageStatus

_WORDS_IN_BLOCK: Final = 8


class StageState(enum.StrEnum):
    """What a run would do with a stage."""

    TO_DO = "to-do"
    DONE = "done"
    """The chip is as this stage leaves it."""
    SKIPPED = "skipped"
    """The options leave it out."""
    FAILS = "fails"
    NOT_REACHED = "not-reached"


class PlannedWrite(NamedTuple):
    """Bytes that go to a zone, from an offset; `slot` is None outside the data zone."""

    zone: Zone
    slot: int | None
    offset: int
    data: bytes

    def follows(self, other: PlannedWrite) -> bool:
        """Tell whether this begins where the other ends."""
        return self[:2] == other[:2] and self.offset == other.offset + len(other.data)


@dataclass(frozen=True)
class StagePlan:
    """One stage: what it does with the chip, with which commands, and how long the chip takes for them (ms)."""

    stage: Stage
    state: StageState
    writes: tuple[PlannedWrite, ...]
    commands: Mapping[str, int]
    typical_ms: float
    maximum_ms: float


def stage_plans(trial: TrialRun, *, has_slots_to_lock: bool) -> tuple[StagePlan, ...]:
    """Return what the ten stages do, by a run on the chip's twin."""
    return tuple(_plan(trial, stage, has_slots_to_lock=has_slots_to_lock) for stage in Stage)


def _plan(trial: TrialRun, stage: Stage, *, has_slots_to_lock: bool) -> StagePlan:
    packets = trial.packets.get(stage, ())
    typical, maximum = (command_ms(packets, trial.config_after, times) for times in (Times.TYPICAL, Times.MAXIMUM))
    left_out = stage is Stage.VALIDATE_CERTS or (stage is Stage.SLOTS_LOCK and not has_slots_to_lock)
    states = {
        None: StageState.NOT_REACHED,
        StageStatus.DONE: StageState.TO_DO,
        StageStatus.ERROR: StageState.FAILS,
        StageStatus.SKIPPED: StageState.SKIPPED if left_out else StageState.DONE,
    }
    return StagePlan(
        stage,
        states[trial.ended.get(stage)],
        tuple(_joined(planned_writes(packets))),
        Counter(map(command_name, packets)),
        typical,
        maximum,
    )


def command_ms(packets: Sequence[bytes], config: bytes, times: Times) -> float:
    """Return how long an ATECC608 with this configuration zone takes for commands, in milliseconds."""
    table = execution_times_608(config[CHIP_MODE]).of(times)
    return sum(table.get(Opcode(packet[1]), 0) for packet in packets)


def planned_writes(packets: Sequence[bytes]) -> Iterator[PlannedWrite]:
    """Yield what Write and UpdateExtra commands put where."""
    for packet in packets:
        mode, parameter = packet[2], int.from_bytes(packet[3:5], "little")
        if packet[1] == Opcode.WRITE:
            yield _write(mode, parameter, packet[5 : 5 + (BLOCK_SIZE if mode & P1_32_BYTES else WORD_SIZE)])
        elif packet[1] == Opcode.UPDATE_EXTRA:
            yield PlannedWrite(Zone.CONFIG, None, USER_EXTRA + mode, bytes([parameter]))


def _write(mode: int, parameter: int, data: bytes) -> PlannedWrite:
    zone = Zone(mode & 0x03)
    word = parameter % _WORDS_IN_BLOCK
    if zone is Zone.DATA:
        slot, block = parameter >> SLOT_SHIFT & 0x0F, parameter >> BLOCK_SHIFT
        return PlannedWrite(zone, slot, block * BLOCK_SIZE + word * WORD_SIZE, data)
    block = parameter >> ZONE_BLOCK_SHIFT
    return PlannedWrite(zone, None, block * BLOCK_SIZE + word * WORD_SIZE, data)


def _joined(writes: Iterator[PlannedWrite]) -> Iterator[PlannedWrite]:
    """Yield writes, those that follow each other as one."""
    last: PlannedWrite | None = None
    for write in writes:
        if last is not None and write.follows(last):
            last = last._replace(data=last.data + write.data)
            continue
        if last is not None:
            yield last
        last = write
    if last is not None:
        yield last
