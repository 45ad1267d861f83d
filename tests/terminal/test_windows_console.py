"""Keys of a Windows console, from a keyboard that behaves as the module msvcrt."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest

from atcaprov.terminal.keys import Key, KeyPress
from atcaprov.terminal.windows_console import WindowsConsole


class Typed:
    """A keyboard that types the next text at each pause."""

    def __init__(self, *bursts: str) -> None:
        self._bursts = deque(bursts)
        self._units: deque[str] = deque()

    def kbhit(self) -> bool:
        return bool(self._units)

    def getwch(self) -> str:
        return self._units.popleft()

    def pause(self, _seconds: float) -> None:
        if self._bursts:
            code = self._bursts.popleft().encode("utf-16-le", "surrogatepass")
            self._units += [code[at : at + 2].decode("utf-16-le", "surrogatepass") for at in range(0, len(code), 2)]


def console(*bursts: str) -> WindowsConsole:
    keyboard = Typed(*bursts)
    return WindowsConsole(keyboard, keyboard.pause)


def text(characters: str) -> KeyPress:
    return KeyPress(Key.TEXT, characters)


@pytest.mark.parametrize(
    ("burst", "presses"),
    [
        ("\r", [KeyPress(Key.ENTER)]),
        ("\x1b", [KeyPress(Key.ESC)]),
        ("\x03", [KeyPress(Key.INTERRUPT)]),
        ("\x08", [KeyPress(Key.BACKSPACE)]),
        ("secret\r", [text("secret"), KeyPress(Key.ENTER)]),
        ("a\x1b\x1bb", [text("a"), KeyPress(Key.ESC), KeyPress(Key.ESC), text("b")]),
        ("\xe0Hx", [text("x")]),
        ("\x00;x", [text("x")]),
        ("\xe0", [text("\xe0")]),
        ("voil\xe0.", [text("voil\xe0.")]),
        ("gr\u00fc\u20ac\U0001f511", [text("gr\u00fc\u20ac\U0001f511")]),
        ("\ud83d", [text("\ufffd")]),
    ],
)
def test_typed_characters_become_keys(burst: str, presses: list[KeyPress]) -> None:
    keys = console("", burst)
    assert [keys.read_key() for _ in presses] == presses
    assert keys.read_key(0) is None


def test_no_input_gives_no_key() -> None:
    assert console().read_key(0) is None
    assert console("").read_key(0) is None


@pytest.mark.parametrize(("burst", "wants_out"), [("abc\r", False), ("abc\x1b", True), ("\x03", True)])
def test_earlier_input_is_dropped_but_esc_in_it_is_reported(burst: str, wants_out: bool) -> None:
    keyboard = Typed(burst)
    keyboard.pause(0)
    keys = WindowsConsole(keyboard, keyboard.pause)
    assert keys.drop_typed() is wants_out
    assert keys.read_key(0) is None


def test_keys_reach_an_event_loop() -> None:
    keyboard = Typed("pa", "ss\r", "\x1b")

    async def first(count: int) -> list[KeyPress]:
        presses = []
        keys = WindowsConsole(keyboard).keys()
        keyboard.pause(0)
        async for press in keys:
            presses.append(press)
            keyboard.pause(0)
            if len(presses) == count:
                break
        await keys.aclose()
        return presses

    assert asyncio.run(first(4)) == [text("pa"), text("ss"), KeyPress(Key.ENTER), KeyPress(Key.ESC)]
