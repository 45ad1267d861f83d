"""Read keys from a terminal, blocking (client) or on an event loop (server).

Inside `open_console` the terminal delivers each key at once and does not show what is typed; keys such as Ctrl-C still
send their signals. Its settings are always restored at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Final

from atcaprov.terminal.keys import Key, KeyDecoder, KeyPress

_READ_SIZE: Final = 1024


@contextlib.contextmanager
def open_console(fd: int | None = None) -> Iterator[Console | None]:
    """Yield a console for the terminal behind a file descriptor, by default standard input.

    Yield None if no keys can come: it is not a terminal, or this process is a background job.
    """
    if fd is None:
        fd = _standard_input()
    if fd is None:
        yield None
    elif sys.platform == "win32":
        from atcaprov.terminal.windows_console import console_at

        yield console_at(fd)
    else:
        with _key_by_key(fd) as console:
            yield console


def _standard_input() -> int | None:
    try:
        return sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):  # standard input is missing, closed or replaced
        return None


if sys.platform != "win32":
    import termios

    @contextlib.contextmanager
    def _key_by_key(fd: int) -> Iterator[Console | None]:
        if not _in_foreground(fd):
            yield None
            return
        before = termios.tcgetattr(fd)
        termios.tcsetattr(fd, termios.TCSADRAIN, _unbuffered(before))
        try:
            yield Console(fd)
        finally:
            with contextlib.suppress(termios.error):  # the terminal is gone
                termios.tcsetattr(fd, termios.TCSADRAIN, before)

    def _in_foreground(fd: int) -> bool:
        """Tell whether this process may use its terminal: the system stops a background job that touches it."""
        try:
            return os.isatty(fd) and os.tcgetpgrp(fd) == os.getpgrp()
        except OSError:
            return False

    def _unbuffered(attributes: list[int | list[bytes | int]]) -> list[int | list[bytes | int]]:
        changed = list(attributes)
        local = changed[3]
        assert isinstance(local, int)
        changed[3] = local & ~(termios.ICANON | termios.ECHO)
        control = changed[6]
        assert isinstance(control, list)
        control = list(control)
        control[termios.VMIN], control[termios.VTIME] = 1, 0
        changed[6] = control
        return changed


class Console:
    """Keys of a terminal, one by one. Once the terminal is gone, every read returns Key.END."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._decoder = KeyDecoder()
        self._ready: deque[KeyPress] = deque()
        self._gone = False

    def read_key(self, timeout: float | None = None) -> KeyPress | None:
        """Wait up to `timeout` seconds (None: forever) for a key press and return it; None if none came."""
        until = None if timeout is None else time.monotonic() + timeout
        while not self._ready:
            now = time.monotonic()
            if until is not None and now >= until and not self._esc_is_due(now):
                self._read_within(0)
                return self._ready.popleft() if self._ready else None
            self._read_within(self._wait(now, until))
        return self._ready.popleft()

    def drop_typed(self) -> bool:
        """Drop what was typed so far, such as during a board's run; return whether it contained ESC or the end."""
        wants_to_quit = False
        while (press := self.read_key(0)) is not None and not self._gone:
            wants_to_quit |= press.key in (Key.ESC, Key.INTERRUPT, Key.END)
        return wants_to_quit or self._gone

    async def keys(self) -> AsyncGenerator[KeyPress, None]:
        """Yield key presses as they come, on the running event loop. Ends after Key.END."""
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[KeyPress] = asyncio.Queue()
        reader = _LoopReader(self._fd, loop, self._decoder, queue.put_nowait)
        loop.add_reader(self._fd, reader.readable)
        try:
            while True:
                press = await queue.get()
                yield press
                if press.key is Key.END and reader.gone:
                    return
        finally:
            reader.close()

    def _esc_is_due(self, now: float) -> bool:
        return self._decoder.deadline is not None and now >= self._decoder.deadline

    def _wait(self, now: float, until: float | None) -> float | None:
        times = [moment - now for moment in (until, self._decoder.deadline) if moment is not None]
        return max(0.0, min(times)) if times else None

    def _read_within(self, seconds: float | None) -> None:
        if self._gone:
            self._ready.append(KeyPress(Key.END))
            return
        readable, _, _ = select.select([self._fd], [], [], seconds)
        if not readable:
            self._ready += self._decoder.expire(time.monotonic())
            return
        data = _read(self._fd)
        self._gone = not data
        self._ready += self._decoder.feed(data, time.monotonic())


class _LoopReader:
    """Reads the terminal when the event loop asks for it, and delivers a lone ESC when its time is up."""

    def __init__(
        self, fd: int, loop: asyncio.AbstractEventLoop, decoder: KeyDecoder, deliver: Callable[[KeyPress], None]
    ) -> None:
        self.gone = False
        self._fd = fd
        self._loop = loop
        self._decoder = decoder
        self._deliver = deliver
        self._timer: asyncio.TimerHandle | None = None

    def readable(self) -> None:
        data = _read(self._fd)
        for press in self._decoder.feed(data, self._loop.time()):
            self._deliver(press)
        if data:
            self._set_timer()
        else:
            self.gone = True
            self.close()
            self._deliver(KeyPress(Key.END))

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        if self._timer is not None:
            self._timer.cancel()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._decoder.deadline
        self._timer = None if deadline is None else self._loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        for press in self._decoder.expire(self._loop.time()):
            self._deliver(press)
        self._set_timer()


def _read(fd: int) -> bytes:
    """Return what was typed; b"" if the terminal is gone, which Linux reports as an I/O error."""
    try:
        return os.read(fd, _READ_SIZE)
    except OSError:
        return b""
