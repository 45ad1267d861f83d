"""Edit a line typed key by key, such as a password that is not shown. No I/O."""

from __future__ import annotations

from typing import Final

from atcaprov.terminal.keys import Key, KeyPress

LINE_LENGTH_MAX: Final = 1024
"""Characters that a line keeps; further ones are dropped."""


class Line:
    """Collects key presses until ENTER. BACKSPACE removes the last character, CLEAR (Ctrl-U) all of them."""

    def __init__(self) -> None:
        self._characters: list[str] = []

    def press(self, press: KeyPress) -> str | None:
        """Take one key press; return the whole line at ENTER, otherwise None. Other keys do nothing."""
        if press.key is Key.ENTER:
            line = "".join(self._characters)
            self._characters.clear()
            return line
        if press.key is Key.TEXT:
            self._characters += press.text
            del self._characters[LINE_LENGTH_MAX:]
        elif press.key is Key.BACKSPACE and self._characters:
            self._characters.pop()
        elif press.key is Key.CLEAR:
            self._characters.clear()
        return None
