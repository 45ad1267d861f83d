"""Replay a recording of a real chip on a software chip, to find where the two differ.

The software chip starts with what the recording shows of the chip: configuration, OTP and slots as they were read
before they were written. Random bytes of the real chip go into the random source of the software chip, so that nonces
and what is computed from them agree. Keys that the chip made are unknown: only the size of public keys, signatures and
shared secrets is compared. Replies that depend on masked bytes are not compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from atcaprov.chip.commands import Opcode, Status
from atcaprov.chip.crc import with_crc
from atcaprov.chip.execution_times import Times
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.open_points import OpenPoints
from atcaprov.emulator.random_source import SystemRandom
from atcaprov.emulator.timing import Clock
from atcaprov.errors import Code, UsageError
from atcaprov.hal.tracing.masking import MASK, masked_packets
from atcaprov.hal.tracing.trace_file import Trace, TraceEvent
from atcaprov.recording.initial_memory import put_initial_memory
from atcaprov.recording.unknown_state import UnknownState

_HEADER: Final = 5
_STATUS_REPLY: Final = 4
_RANDOM_SIZE: Final = 32
_DONE: Final = with_crc(bytes((_STATUS_REPLY, Status.SUCCESS)))
_OWN_KEYS: Final = frozenset({Opcode.GEN_KEY, Opcode.SIGN, Opcode.ECDH})
"""Commands whose answers depend on private keys that never leave the chip."""


@dataclass(frozen=True)
class ReplayDifference:
    """The first event at which the recording and the software chip differ."""

    number: int
    """Counted from 1; in the file the event is on the next line."""
    event: TraceEvent
    found: bytes
    reason: str
    """Why the software chip refused, if it did."""

    def text(self, *, unmasked: bool = False) -> str:
        """Return the difference in words; bytes that may belong to a secret are masked unless `unmasked`."""
        packet, recorded, found = bytes.fromhex(self.event.sent), self.event.got, self.found.hex()
        sent = self.event.sent
        if not unmasked:
            sent, found = masked_packets(packet, self.found)
            recorded = recorded if MASK in recorded else masked_packets(packet, bytes.fromhex(recorded))[1]
        reason = f"\n  because {self.reason}" if self.reason else ""
        return (
            f"event {self.number}: {sent}\n"
            f"  the real chip answered      {recorded or 'nothing'}\n"
            f"  the software chip answered  {found or 'nothing'}{reason}"
        )


class _RecordedClock(Clock):
    """The times of the recording; waiting takes no time."""

    def __init__(self) -> None:
        self.moment = 0.0

    def now(self) -> float:
        """Return the moment of the event that is played."""
        return self.moment

    def reached(self, moment: float) -> bool:
        """Return True: in the recording the chip was ready."""
        return True

    def wait_until(self, moment: float) -> None:
        """Return at once."""


class _RecordedRandom(SystemRandom):
    """The random bytes of the real chip, and the system's where the recording does not show them."""

    def __init__(self) -> None:
        self.drawn = b""

    def take(self, count: int) -> bytes:
        """Return the recorded bytes, once, if there are `count` of them."""
        drawn, self.drawn = self.drawn, b""
        return drawn if len(drawn) == count else super().take(count)


@dataclass(frozen=True)
class Comparison:
    """The result of a replay."""

    difference: ReplayDifference | None
    passed_over: int
    """How many replies were not compared, because they depend on masked bytes; up to the difference if there is one."""


def replay(trace: Trace, memory: Memory, *, open_points: OpenPoints | None = None) -> Comparison:
    """Replay a trace on a software chip that starts with `memory`, up to the first difference.

    `memory` is changed: it first takes what the trace shows of the real chip.

    Raises:
        UsageError: the first five bytes of a command are masked, which are never secret (FILE_INVALID).
    """
    for number, event in enumerate(trace.events, 1):
        if MASK in event.sent[: 2 * _HEADER]:
            raise UsageError(
                f"Event {number} of the trace hides its command: the first five bytes are masked.",
                code=Code.FILE_INVALID,
            )
    put_initial_memory(trace.events, memory)
    return _Replay(memory, open_points).compare(trace.events)


class _Replay:
    """One software chip, and what is unknown of it."""

    def __init__(self, memory: Memory, open_points: OpenPoints | None) -> None:
        self._random, self._clock = _RecordedRandom(), _RecordedClock()
        self._chip = Chip(
            memory, random_source=self._random, open_points=open_points, clock=self._clock, times=Times.TYPICAL
        )
        self._unknown = UnknownState()

    def compare(self, events: Iterable[TraceEvent]) -> Comparison:
        passed_over = 0
        for number, event in enumerate(events, 1):
            self._clock.moment = event.at
            if event.do != "exchange":
                self._power(event.do)
            elif MASK in event.sent:
                self._unknown.pass_over(bytes.fromhex(event.sent[: 2 * _HEADER]), event.got)
                passed_over += 1
            else:
                packet = bytes.fromhex(event.sent)
                found = self._ask(packet, event)
                if event.error and len(packet) >= _HEADER:
                    self._unknown.pass_over(packet, "")  # what the real chip did is unknown
                elif self._unknown.decides(packet):
                    self._unknown.pass_over(packet, event.got)
                    passed_over += 1
                elif not _agree(packet, event, found):
                    return Comparison(
                        ReplayDifference(number, event, found, str(self._chip.last_refusal or "")), passed_over
                    )
                elif found == _DONE:
                    self._unknown.settle(packet)
        return Comparison(None, passed_over)

    def _power(self, do: str) -> None:
        if do == "sleep":
            self._chip.wake()  # an idle chip listens to a wake only
            self._unknown.slept()
        {"wake": self._chip.wake, "idle": self._chip.idle, "sleep": self._chip.sleep}[do]()

    def _ask(self, packet: bytes, event: TraceEvent) -> bytes:
        self._random.drawn = _drawn(packet, event.got)
        return self._chip.exchange(self._unknown.lock_without_crc(packet))


def _drawn(packet: bytes, got: str) -> bytes:
    """Return the random bytes in a reply: all of it, or the nonce that follows an encrypted answer."""
    opcode = packet[1] if len(packet) > 1 else -1
    size = len(got) // 2 - 3
    if MASK in got or size < _RANDOM_SIZE:
        return b""
    if opcode in (Opcode.RANDOM, Opcode.NONCE) or (opcode in (Opcode.ECDH, Opcode.KDF) and size > _RANDOM_SIZE):
        return bytes.fromhex(got)[-2 - _RANDOM_SIZE : -2]
    return b""


def _agree(packet: bytes, event: TraceEvent, found: bytes) -> bool:
    if event.error:
        return True  # the connection failed: there is no reply to compare
    if len(event.got) != 2 * len(found):
        return False
    own_key = len(packet) > 1 and packet[1] in _OWN_KEYS and len(found) > _STATUS_REPLY
    pairs = zip(_bytes_of(event.got), _bytes_of(found.hex()), strict=True)
    return own_key or all(MASK in (one, other) or one == other for one, other in pairs)


def _bytes_of(text: str) -> list[str]:
    return [text[at : at + 2] for at in range(0, len(text), 2)]
