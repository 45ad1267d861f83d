"""Play a recording of a real part against a software chip, to find where the two differ.

The software chip begins with what the recording shows of the part: configuration, OTP and slots as they were read
before they were written. What the part drew at random goes into the software chip's random source, so that nonces and
what is computed from them agree. Keys that the part made for itself are unknown: of public keys, signatures and shared
secrets only the size is compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.clock import Clock
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.random_source import SystemRandom
from atcaprov.emulator.switches import Switches
from atcaprov.errors import Code, UsageError
from atcaprov.hal.trace import MASK, Trace, TraceEvent, masked_packets
from atcaprov.serving.learning import learn

_STATUS_REPLY: Final = 4
_RANDOM_SIZE: Final = 32
_OWN_KEYS: Final = frozenset({Opcode.GEN_KEY, Opcode.SIGN, Opcode.ECDH})
"""Commands whose answers depend on private keys that never leave the part."""


@dataclass(frozen=True)
class Difference:
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


def replay(trace: Trace, memory: Memory, *, switches: Switches | None = None) -> Difference | None:
    """Play a recording against a software chip that begins with `memory`, and return where they first differ.

    `memory` is changed: what the recording shows of the part goes in first.

    Raises:
        UsageError: a packet of the trace is masked (FILE_INVALID): it is no recording.
    """
    for number, event in enumerate(trace.events, 1):
        if MASK in event.sent:
            raise UsageError(
                f"Event {number} of the trace has masked bytes.",
                advice="Only a recording, which keeps every byte, can be replayed.",
                code=Code.FILE_INVALID,
            )
    learn(trace.events, memory)
    random, clock = _RecordedRandom(), _RecordedClock()
    chip = Chip(memory, random_source=random, switches=switches, clock=clock)
    return _first_difference(trace.events, chip, random, clock)


def _first_difference(
    events: Iterable[TraceEvent], chip: Chip, random: _RecordedRandom, clock: _RecordedClock
) -> Difference | None:
    for number, event in enumerate(events, 1):
        clock.moment = event.at
        if event.do != "exchange":
            {"wake": chip.wake, "idle": chip.idle, "sleep": chip.sleep}[event.do]()
            continue
        packet = bytes.fromhex(event.sent)
        random.drawn = _drawn(packet, event.got)
        found = chip.exchange(packet)
        if not _agree(packet, event, found):
            return Difference(number, event, found, str(chip.last_refusal or ""))
    return None


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
        return True  # the way to the part failed; what the part did is unknown
    if len(event.got) != 2 * len(found):
        return False
    own_key = len(packet) > 1 and packet[1] in _OWN_KEYS and len(found) > _STATUS_REPLY
    pairs = zip(_bytes_of(event.got), _bytes_of(found.hex()), strict=True)
    return own_key or all(MASK in (one, other) or one == other for one, other in pairs)


def _bytes_of(text: str) -> list[str]:
    return [text[at : at + 2] for at in range(0, len(text), 2)]
