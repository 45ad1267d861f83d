"""A plan of what goes wrong, by number of the command or by its opcode and P1; and what each fault does.

When the supply fails while a command writes the memory, a write leaves old or new bytes, never a mixture; a lock is set
or not; a key that was being written may be invalid, a derived one unknown; a counter may advance by more than one but
loses no count.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, Final

from atcaprov.bounded_reading import MalformedError, parse_toml, shown
from atcaprov.chip.commands import Opcode, Status
from atcaprov.chip.memory_map import COUNTERS, SLOT_COUNT, SLOT_SIZES
from atcaprov.emulator.core import Core
from atcaprov.emulator.counters import COUNTER_SIZE, MAXIMUM, read_counter, write_counter
from atcaprov.emulator.memory import SLOT_STARTS, Zones
from atcaprov.emulator.slot import PRIVATE_KEY_SIZE
from atcaprov.errors import Code, UsageError

_INVALID_KEY: Final = b"\xff" * PRIVATE_KEY_SIZE


class FaultKind(enum.StrEnum):
    """What goes wrong."""

    NO_ACKNOWLEDGE = "no-acknowledge"
    BIT_FLIP = "bit-flip"
    TRUNCATED = "truncated"
    OVERSIZED = "oversized"
    ECC_FAULT = "ecc-fault"
    HEALTH_TEST = "health-test"
    CRC_ERROR = "crc-error"
    STUCK = "stuck"
    WATCHDOG = "watchdog"
    POWER_BEFORE = "power-before"
    POWER_IN = "power-in"
    POWER_AFTER = "power-after"
    BROWN_OUT = "brown-out"

    @property
    def status(self) -> int | None:
        """The status byte of the reply; the command does not run."""
        return _STATUSES.get(self)

    @property
    def cuts_power(self) -> bool:
        """Whether the supply fails: before, during or after the write of the memory."""
        return self in (FaultKind.POWER_BEFORE, FaultKind.POWER_IN, FaultKind.POWER_AFTER, FaultKind.BROWN_OUT)

    @property
    def cuts_short(self) -> bool:
        """Whether the command may not finish."""
        return self.cuts_power or self is FaultKind.WATCHDOG


_STATUSES: Final = {
    FaultKind.ECC_FAULT: Status.ECC_FAULT,
    FaultKind.HEALTH_TEST: Status.HEALTH_TEST_ERROR,
    FaultKind.CRC_ERROR: Status.CRC_ERROR,
}


@dataclass(slots=True)
class Fault:
    """One fault. It applies to packet number `command` (from 1) or, if that is None, to packets of this opcode and P1.

    `times` is how often it applies. `bit` is the bit of the reply that flips (counted from the count byte's lowest),
    `size` how many bytes of the reply are left (truncated) or added (oversized).
    """

    kind: FaultKind
    command: int | None = None
    opcode: int | None = None
    p1: int | None = None
    times: int = 1
    bit: int = 8
    size: int = 1

    def applies_to(self, number: int, packet: bytes) -> bool:
        """Return whether the fault applies to this packet, the `number`-th."""
        if self.times <= 0:
            return False
        if self.command is not None and self.command != number:
            return False
        if self.opcode is not None and packet[1:2] != bytes((self.opcode,)):
            return False
        return self.p1 is None or packet[2:3] == bytes((self.p1,))


@dataclass(slots=True)
class FaultPlan:
    """Faults in order; the first that fits a packet applies to it."""

    faults: list[Fault]
    packets: int = field(default=0)
    """How many packets came so far."""

    def next(self, packet: bytes) -> Fault | None:
        """Count the packet and return the fault that applies to it, if any."""
        self.packets += 1
        for fault in self.faults:
            if fault.applies_to(self.packets, packet):
                fault.times -= 1
                return fault
        return None

    @classmethod
    def from_toml(cls, text: str) -> FaultPlan:
        """Return the plan in `text`: tables `[[fault]]` with `kind` and any other field of `Fault`.

        `opcode` is a number or a name such as "Sign" or "GEN_KEY".

        Raises:
            UsageError: the text is not a fault plan (FILE_INVALID).
        """
        try:
            document = parse_toml(text)
        except MalformedError as error:
            raise _invalid(str(error)) from None
        tables = document.pop("fault", None)
        if document or not isinstance(tables, list) or not tables:
            raise _invalid("it must consist of [[fault]] tables")
        return cls([_fault(table, number) for number, table in enumerate(tables, 1)])


_NUMBERS: Final = {"command": 1, "p1": 0, "times": 1, "bit": 0, "size": 0}
"""Fields that hold a number, with the smallest that makes sense."""


def _fault(table: Any, number: int) -> Fault:
    if not isinstance(table, dict):
        raise _invalid(f"fault {number} is not a table")
    fields = dict(table)
    try:
        kind = FaultKind(fields.pop("kind", None))
    except ValueError:
        raise _invalid(f"fault {number}: 'kind' must be one of {', '.join(FaultKind)}") from None
    opcode = _opcode(fields.pop("opcode"), number) if "opcode" in fields else None
    for name, value in fields.items():
        if name not in _NUMBERS or type(value) is not int or value < _NUMBERS[name]:
            raise _invalid(f"fault {number}: '{name} = {shown(value)}' is not valid")
    return Fault(kind, opcode=opcode, **fields)


def _opcode(value: Any, number: int) -> int:
    if type(value) is int and 0 <= value <= 0xFF:
        return value
    if isinstance(value, str):
        wanted = value.replace("_", "").lower()
        for opcode in Opcode:
            if opcode.name.replace("_", "").lower() == wanted:
                return opcode
    raise _invalid(f"fault {number}: unknown command '{value}'")


def _invalid(reason: str) -> UsageError:
    return UsageError(f"The fault plan cannot be used: {reason}.", code=Code.FILE_INVALID)


def distort(reply: bytes, fault: Fault) -> bytes:
    """Return the reply as the fault leaves it on the wire."""
    if fault.kind is FaultKind.BIT_FLIP:
        changed = bytearray(reply)
        place = fault.bit % (8 * len(reply))
        changed[place // 8] ^= 1 << place % 8
        return bytes(changed)
    if fault.kind is FaultKind.TRUNCATED:
        return reply[: fault.size]
    if fault.kind is FaultKind.OVERSIZED:
        return reply + b"\xff" * fault.size
    return reply


def cut_short(core: Core, fault: Fault, before: Zones, packet: bytes) -> None:
    """Put the memory, which is as after the command, into the state that the fault leaves; `before`: before it."""
    if fault.kind in (FaultKind.POWER_BEFORE, FaultKind.WATCHDOG):
        core.memory.restore(before)
    elif fault.kind in (FaultKind.POWER_IN, FaultKind.BROWN_OUT):
        _interrupt(core, before, packet[1] if len(packet) > 1 else 0)


def _interrupt(core: Core, before: Zones, opcode: int) -> None:
    """Put the memory, which is as after the command, into a state that a failing supply may leave."""
    changed = _changed_slots(core, before)
    if opcode in (Opcode.PRIV_WRITE, Opcode.GEN_KEY):
        for slot in changed:
            core.memory.write_slot(slot, 0, _INVALID_KEY)
    elif opcode == Opcode.DERIVE_KEY:
        for slot in changed:
            core.memory.write_slot(slot, 0, core.random_source.take(32))
    elif opcode == Opcode.COUNTER:
        _advance_again(core, before)
    elif core.random_source.take(1)[0] & 1:
        core.memory.restore(before)


def _changed_slots(core: Core, before: Zones) -> list[int]:
    old = before[2]
    places = ((slot, SLOT_STARTS[slot], SLOT_STARTS[slot] + SLOT_SIZES[slot]) for slot in range(SLOT_COUNT))
    return [slot for slot, start, end in places if old[start:end] != core.memory.data[start:end]]


def _advance_again(core: Core, before: Zones) -> None:
    if before[0] == core.memory.config:
        return
    for number in range(2):
        value = read_counter(core.memory, number)
        start = COUNTERS.start + COUNTER_SIZE * number
        stored = slice(start, start + COUNTER_SIZE)
        changed = core.memory.config[stored] != before[0][stored]
        if changed and value < MAXIMUM:
            write_counter(core.memory, number, value + core.random_source.take(1)[0] % 2)
