"""Decode the bytes of a console into key presses: ESC, ENTER, text. Bytes and the time in, key presses out, no I/O.

Arrow and function keys start with the byte of ESC, too (ECMA-48: CSI and SS3 sequences). So an ESC counts as the key
only if nothing follows it within ESC_WAIT_SECONDS. Such sequences are ignored: an arrow key does nothing.
"""

from __future__ import annotations

import codecs
import enum
from dataclasses import dataclass, field
from typing import Final

ESC_WAIT_SECONDS: Final = 0.05

_ESC: Final = 0x1B
_NAMED: Final = {
    0x03: "INTERRUPT",
    0x04: "END",
    0x08: "BACKSPACE",
    0x0A: "ENTER",
    0x0D: "ENTER",
    0x15: "CLEAR",
    0x7F: "BACKSPACE",
}


class Key(enum.Enum):
    """A key: INTERRUPT is Ctrl-C if it comes as a byte, END is Ctrl-D or a console that is gone, CLEAR is Ctrl-U."""

    ESC = "esc"
    ENTER = "enter"
    TEXT = "text"
    BACKSPACE = "backspace"
    CLEAR = "clear"
    INTERRUPT = "interrupt"
    END = "end"


@dataclass(frozen=True, slots=True)
class KeyPress:
    """One key, or consecutive typed or scanned characters as one TEXT. It may be a password, so no repr shows it."""

    key: Key
    text: str = field(default="", repr=False)


class _Sequence(enum.Enum):
    """Which part of an escape sequence the decoder is in."""

    NOTHING = enum.auto()
    ESC = enum.auto()
    CONTROL = enum.auto()
    SINGLE_SHIFT = enum.auto()


class KeyDecoder:
    """Turns the bytes of a console into key presses."""

    def __init__(self) -> None:
        self.deadline: float | None = None
        """The latest time to call `expire`, on the clock of `feed`; None if no ESC is pending."""
        self._sequence = _Sequence.NOTHING
        self._after_return = False
        self._text = codecs.getincrementaldecoder("utf-8")("replace")
        self._run: list[str] = []
        self._presses: list[KeyPress] = []

    def feed(self, data: bytes, now: float) -> list[KeyPress]:
        """Take the bytes that came at `now`, in seconds of a monotonic clock; return the keys that are certain."""
        self._presses = self._expired(now)
        for byte in data:
            self._take(byte)
        self._end_text()
        self.deadline = None if self._sequence is _Sequence.NOTHING else now + ESC_WAIT_SECONDS
        return self._presses

    def expire(self, now: float) -> list[KeyPress]:
        """Return the ESC that nothing followed in time, if any."""
        return self._expired(now)

    def _expired(self, now: float) -> list[KeyPress]:
        if self.deadline is None or now < self.deadline:
            return []
        lone = self._sequence is _Sequence.ESC
        self._sequence = _Sequence.NOTHING
        self.deadline = None
        return [KeyPress(Key.ESC)] if lone else []

    def _take(self, byte: int) -> None:
        if byte == _ESC:
            self._end_text()
            self._sequence = _Sequence.ESC
        elif self._sequence is _Sequence.NOTHING:
            self._take_key(byte)
        elif self._sequence is _Sequence.ESC and byte in _NAMED:
            # No sequence continues like this: ESC and then another key were typed before anyone read them.
            self._sequence = _Sequence.NOTHING
            self._presses.append(KeyPress(Key.ESC))
            self._take_key(byte)
        else:
            self._sequence = self._after(byte)

    def _after(self, byte: int) -> _Sequence:
        """Return the next part of the escape sequence; its bytes are dropped."""
        if self._sequence is _Sequence.ESC:
            return {ord("["): _Sequence.CONTROL, ord("O"): _Sequence.SINGLE_SHIFT}.get(byte, _Sequence.NOTHING)
        if self._sequence is _Sequence.CONTROL and not 0x40 <= byte <= 0x7E:
            return _Sequence.CONTROL
        return _Sequence.NOTHING

    def _take_key(self, byte: int) -> None:
        second_half = byte == 0x0A and self._after_return
        self._after_return = byte == 0x0D
        if second_half:
            return
        name = _NAMED.get(byte)
        if name is not None:
            self._end_text()
            self._presses.append(KeyPress(Key[name]))
        elif byte >= 0x20:
            self._run.append(self._text.decode(bytes([byte])))

    def _end_text(self) -> None:
        text = "".join(self._run)
        self._run.clear()
        if text:
            self._presses.append(KeyPress(Key.TEXT, text))
