"""Play a recording of a real part against a software chip, to find where the two differ.

The software chip begins with what the recording shows of the part: configuration, OTP and slots as they were read
before they were written. What the part drew at random goes into the software chip's random source, so that nonces and
what is computed from them agree. Keys that the part made for itself are unknown: of public keys, signatures and shared
secrets only the size is compared. A trace with masked bytes is replayed as far as what is not masked decides.
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
from atcaprov.recording.initial_memory import learn
from atcaprov.recording.unknown_state import UnknownState

_HEADER: Final = 5
_STATUS_REPLY: Final = 4
_RANDOM_SIZE: Final = 32
_DONE: Final = with_crc(bytes((_STATUS_REPLY, Status.SUCCESS)))
_OWN_KEYS: Final = frozenset({Opcode.GEN_KEY, Opcode.SIGN, Opcode.ECDH})
"""Commands whose answers depend on private keys that never leave the part."""


@dataclass(frozen=True)
class ReplayDifference:
    """The first event where recording and software chip part."""

    number: int
    """Counted from 1 over all events of the trace; the line of its file is one more."""
    event: TraceEvent
    found: bytes
    reason: str
    """Why the software chip refused, if it did."""

    def text(self, *, unmasked: bool = False) -> str:
        """Return the difference in words; bytes that could belong to a secret are masked unless wanted."""
        packet, recorded, found = bytes.fromhex(self.event.sent), self.event.got, self.found.hex()
        sent = self.event.sent
        if not unmasked:
            sent, found = masked_packets(packet, self.found)
            recorded = recorded if MASK in recorded else masked_packets(packet, bytes.fromhex(recorded))[1]
        reason = f"\n  because {self.reason}" if self.reason else ""
        return (
            f"event {self.number}: {sent}\n"
            f"  the part answered           {recorded or 'nothing'}\n"
            f"  the software chip answered  {found or 'nothing'}{reason}"
        )


class _RecordedClock(Clock):
    """Time as the recording tells it; nobody waits."""

    def __init__(self) -> None:
        self.moment = 0.0

    def now(self) -> float:
        """Return the moment of the event that is played."""
        return self.moment

    def reached(self, moment: float) -> bool:
        """The part was ready when the recording says so."""
        return True

    def wait_until(self, moment: float) -> None:
        """Nobody waits."""


class _RecordedRandom(SystemRandom):
    """Gives what the part drew, and the system's random bytes where the recording does not tell."""

    def __init__(self) -> None:
        self.drawn = b""

    def take(self, count: int) -> bytes:
        """Return the recorded bytes once, if they are as many."""
        drawn, self.drawn = self.drawn, b""
        return drawn if len(drawn) == count else super().take(count)


@dataclass(frozen=True)
class Comparison:
    """What a replay has found."""

    difference: ReplayDifference | None
    passed_over: int
    """Events before the difference, or in all, whose reply depends on masked bytes: it was not compared."""


def replay(trace: Trace, memory: Memory, *, open_points: OpenPoints | None = None) -> Comparison:
    """Play a trace against a software chip that begins with `memory`, up to where they first differ.

    `memory` is changed: what the trace shows of the part goes in first.

    Raises:
        UsageError: the first five bytes of a command, which are no secret, are masked (FILE_INVALID).
    """
    for number, event in enumerate(trace.events, 1):
        if MASK in event.sent[: 2 * _HEADER]:
            raise UsageError(f"Event {number} of the trace does not tell its command.", code=Code.FILE_INVALID)
    learn(trace.events, memory)
    return _Replay(memory, open_points).compare(trace.events)


class _Replay:
    """One software chip, and what is not known of it."""

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
                    self._unknown.pass_over(packet, "")  # what the part did with it is unknown
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
            self._chip.wake()  # an idle chip hears nothing else
            self._unknown.slept()
        {"wake": self._chip.wake, "idle": self._chip.idle, "sleep": self._chip.sleep}[do]()

    def _ask(self, packet: bytes, event: TraceEvent) -> bytes:
        self._random.drawn = _drawn(packet, event.got)
        return self._chip.exchange(self._unknown.lock_without_crc(packet))


def _drawn(packet: bytes, got: str) -> bytes:
    """Return the random bytes that a reply shows: the whole answer, or the nonce behind an encrypted one."""
    opcode = packet[1] if len(packet) > 1 else -1
    size = len(got) // 2 - 3
    if MASK in got or size < _RANDOM_SIZE:
        return b""
    if opcode in (Opcode.RANDOM, Opcode.NONCE) or (opcode in (Opcode.ECDH, Opcode.KDF) and size > _RANDOM_SIZE):
        return bytes.fromhex(got)[-2 - _RANDOM_SIZE : -2]
    return b""


def _agree(packet: bytes, event: TraceEvent, found: bytes) -> bool:
    if event.error:
        return True  # the way to the part failed
    if len(event.got) != 2 * len(found):
        return False
    own_key = len(packet) > 1 and packet[1] in _OWN_KEYS and len(found) > _STATUS_REPLY
    pairs = zip(_bytes_of(event.got), _bytes_of(found.hex()), strict=True)
    return own_key or all(MASK in (one, other) or one == other for one, other in pairs)


def _bytes_of(text: str) -> list[str]:
    return [text[at : at + 2] for at in range(0, len(text), 2)]
