"""Tell systemd how the server is: ready, reloading, stopping, alive. The protocol is that of sd_notify(3)."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Mapping, MutableMapping

from atcaprov.terminal.printable import printable


class ServiceManager:
    """Sends datagrams to the socket of the service manager; without one every method does nothing.

    A service manager that does not take them ends no server.
    """

    def __init__(self, address: str = "", watchdog_seconds: float | None = None) -> None:
        """`watchdog_seconds`: the server is killed if it gives no sign of life for so long; None: it is not watched."""
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.watchdog_seconds = watchdog_seconds if address else None
        self._status = ""
        self._is_ready = False

    def ready(self) -> None:
        """Tell that the server listens."""
        self._is_ready = True
        self._send("READY=1")

    def status(self, text: str) -> None:
        """Tell in a line how the server is; `systemctl status` shows it. A text that was told already is not sent."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={printable(text)}")

    def reloading(self) -> None:
        """Tell that the server reloads, until `reloaded`; one that has not begun to listen is still starting."""
        if self._is_ready:
            self._send(f"RELOADING=1\nMONOTONIC_USEC={_monotonic_microseconds()}")

    def reloaded(self) -> None:
        """Tell that the reload has ended, well or not."""
        if self._is_ready:
            self._send("READY=1")

    def stopping(self) -> None:
        """Tell that the server ends."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Give the sign of life that the watchdog waits for."""
        self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if not self._address or sys.platform == "win32":
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.setblocking(False)
            channel.sendto(text.encode(), self._address)


def service_manager(environment: MutableMapping[str, str]) -> ServiceManager:
    """Return the service manager that started this process, if one did, and take it out of the environment.

    So no program that is started from here speaks in the name of the server.
    """
    taken = {name: environment.pop(name, "") for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")}
    address = taken["NOTIFY_SOCKET"]
    if not address.startswith(("/", "@")) or not hasattr(socket, "AF_UNIX"):
        return ServiceManager()
    return ServiceManager(address, _watchdog_seconds(taken))


def _monotonic_microseconds() -> int:
    """Return CLOCK_MONOTONIC, which systemd compares with its own; Windows has neither."""
    if sys.platform == "win32":
        return 0
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def _watchdog_seconds(taken: Mapping[str, str]) -> float | None:
    """Return how long the watchdog waits; None if it watches no process, or another one. As sd_watchdog_enabled(3)."""
    microseconds, process = taken["WATCHDOG_USEC"], taken["WATCHDOG_PID"]
    if not microseconds.isdecimal() or int(microseconds) == 0 or process not in ("", str(os.getpid())):
        return None
    return int(microseconds) / 1_000_000
