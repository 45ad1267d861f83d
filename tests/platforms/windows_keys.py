"""Runs beside Wine: types keys on a terminal, and looks what a program of Windows' Python makes of them."""

from __future__ import annotations

import os

import pexpect

_PATIENCE = 120
_PROGRAM = """
from atcaprov.terminal import Key, open_console
with open_console() as console:
    print("ready", flush=True)
    while (press := console.read_key(60)) is not None and press.key is not Key.ESC:
        print(f"<{press.key.value}{press.text}>", flush=True)
    print("end" if press else "nothing came", flush=True)
"""


def main() -> None:
    """Type a letter, an arrow, ENTER and ESC; raises pexpect.TIMEOUT when one is not understood."""
    program = pexpect.spawn(
        "wine", ["/w/python/python.exe", "-c", _PROGRAM], env={**os.environ, "TERM": "xterm"}, timeout=_PATIENCE
    )
    program.expect_exact("ready")
    for typed, shown in (("q", "<textq>"), ("\x1b[A\r", "<enter>"), ("\x1b", "end")):
        program.send(typed)
        program.expect_exact(shown)
    program.expect(pexpect.EOF)


if __name__ == "__main__":
    main()
