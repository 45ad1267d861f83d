"""The kinds of fields of messages. Each kind checks a value and describes what is wrong with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Protocol

SLOTS: Final = 16
SLOT_BYTES_MAX: Final = 416
"""Size of the largest slot of the chip (slot 8)."""
STAGES: Final = 10
STAGE_WORD_SIZE_MAX: Final = 32
MILLISECONDS_MAX: Final = 0xFFFFFFFF
_CODE_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class SlotWrite:
    """Where on the chip a part of a certificate goes: data slot 0-15, byte offset in it, 1-416 bytes."""

    slot: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ReportedStage:
    """How a stage of a run ended: its number 1-10, a word such as `done`, and how long it took."""

    stage: int
    outcome: str
    milliseconds: int


class Kind(Protocol):
    """One kind of field. `fault` is None for a valid value, else part of a sentence such as "is empty"."""

    def fault(self, value: Any) -> str | None:
        """Describe what is wrong with a value of the message class."""

    def to_cbor(self, value: Any) -> Any:
        """Return a valid value as CBOR carries it."""

    def from_cbor(self, value: Any) -> Any:
        """Return a value that CBOR carried, for `fault`; anything else is returned unchanged."""


class _AsIs:
    def to_cbor(self, value: Any) -> Any:
        return value

    def from_cbor(self, value: Any) -> Any:
        return value


@dataclass(frozen=True)
class Octets(_AsIs):
    """A byte string of `minimum` to `maximum` bytes."""

    minimum: int
    maximum: int

    def fault(self, value: Any) -> str | None:
        """Wrong type or length."""
        if type(value) is not bytes:
            return "is not a byte string"
        if not self.minimum <= len(value) <= self.maximum:
            expected = str(self.minimum) if self.minimum == self.maximum else f"{self.minimum} to {self.maximum}"
            return f"has {len(value)} bytes, not {expected}"
        return None


@dataclass(frozen=True)
class Words(_AsIs):
    """Text of 1 to `maximum` bytes of UTF-8 without control characters."""

    maximum: int

    def fault(self, value: Any) -> str | None:
        """Wrong type, length or character: what comes over the wire is shown on a console."""
        if type(value) is not str:
            return "is not text"
        if not value.isprintable():
            return "has characters that cannot be printed"
        if not 1 <= len(value.encode()) <= self.maximum:
            return f"has {len(value.encode())} bytes, not 1 to {self.maximum}"
        return None


@dataclass(frozen=True)
class CodeName(_AsIs):
    """A stable error code: lower-case letters, digits and hyphens, at most `maximum` characters."""

    maximum: int

    def fault(self, value: Any) -> str | None:
        """Wrong type or spelling. A code that this program does not know is valid."""
        if type(value) is not str:
            return "is not text"
        return None if _is_code_name(value, self.maximum) else "is not a code of lower-case letters, digits and hyphens"


@dataclass(frozen=True)
class Flag(_AsIs):
    """True or false."""

    def fault(self, value: Any) -> str | None:
        """Wrong type."""
        return None if type(value) is bool else "is not true or false"


@dataclass(frozen=True)
class Number(_AsIs):
    """An unsigned integer of at most `maximum`."""

    maximum: int

    def fault(self, value: Any) -> str | None:
        """Wrong type or range."""
        if type(value) is not int:
            return "is not a number"
        return None if 0 <= value <= self.maximum else f"is not a number from 0 to {self.maximum}"


@dataclass(frozen=True)
class SlotWrites:
    """At most `maximum` slot writes, each as the array [slot, offset, data]."""

    maximum: int

    def fault(self, value: Any) -> str | None:
        """Wrong type, number or range."""
        if type(value) is not tuple:
            return "is not an array of [slot, offset, data]"
        if len(value) > self.maximum:
            return f"has {len(value)} writes, not 0 to {self.maximum}"
        return next((f"has a write {fault}" for item in value if (fault := _write_fault(item))), None)

    def to_cbor(self, value: Any) -> Any:
        """Each write as an array."""
        return [[write.slot, write.offset, write.data] for write in value]

    def from_cbor(self, value: Any) -> Any:
        """Arrays of three as slot writes."""
        if type(value) is not list or any(type(item) is not list or len(item) != 3 for item in value):
            return value
        return tuple(SlotWrite(*item) for item in value)


def _write_fault(write: Any) -> str | None:
    if type(write) is not SlotWrite:
        return "that is not a SlotWrite"
    if type(write.slot) is not int or not 0 <= write.slot < SLOTS:
        return f"to a slot outside 0 to {SLOTS - 1}"
    if type(write.offset) is not int or type(write.data) is not bytes or not write.data:
        return f"to slot {write.slot} without data or with a wrong offset"
    if write.offset < 0 or write.offset + len(write.data) > SLOT_BYTES_MAX:
        return f"beyond the end of slot {write.slot}"
    return None


@dataclass(frozen=True)
class ReportedStages(_AsIs):
    """Reported stages in ascending order, each once, each as the array [stage, outcome, milliseconds]."""

    def fault(self, value: Any) -> str | None:
        """Wrong type, order or range."""
        if type(value) is not tuple:
            return "is not an array of [stage, outcome, milliseconds]"
        fault = next((f"has a stage {fault}" for item in value if (fault := _stage_fault(item))), None)
        if fault is None and any(later.stage <= earlier.stage for earlier, later in pairwise(value)):
            return "has a stage twice, or in another order"
        return fault

    def to_cbor(self, value: Any) -> Any:
        """Each stage as an array."""
        return [[item.stage, item.outcome, item.milliseconds] for item in value]

    def from_cbor(self, value: Any) -> Any:
        """Arrays of three as reported stages."""
        if type(value) is not list or any(type(item) is not list or len(item) != 3 for item in value):
            return value
        return tuple(ReportedStage(*item) for item in value)


def _stage_fault(item: Any) -> str | None:
    if type(item) is not ReportedStage:
        return "that is not a ReportedStage"
    if type(item.stage) is not int or not 1 <= item.stage <= STAGES:
        return f"outside 1 to {STAGES}"
    if type(item.outcome) is not str or not _is_code_name(item.outcome, STAGE_WORD_SIZE_MAX):
        return "whose outcome is not a word"
    if type(item.milliseconds) is not int or not 0 <= item.milliseconds <= MILLISECONDS_MAX:
        return "with a time that is not a number of milliseconds"
    return None


def _is_code_name(text: str, maximum: int) -> bool:
    return len(text) <= maximum and _CODE_NAME.fullmatch(text) is not None
