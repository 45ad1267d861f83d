"""Commands of one chip through its own handle of the vendor's library: sent, sent again where safe, and checked."""

from __future__ import annotations

import ctypes
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from atcaprov.chip.commands import Status
from atcaprov.device.command_guard import Guard
from atcaprov.device.deferred_signals import beyond_signals
from atcaprov.device.kit_bridge import KitBridge
from atcaprov.device.library_abi import (
    DEVICE_TYPE_608,
    KIT_DEV_IDENTITY,
    KIT_DEV_INTERFACE_I2C,
    KIT_INTERFACE,
    load_library,
)
from atcaprov.device.replies import refusal
from atcaprov.device.wake_idle import AwakeChip
from atcaprov.errors import AtcaProvError, TransportError
from atcaprov.hal.base import Hal
from atcaprov.vendor_library import InterfaceConfig

_LOG: Final = logging.getLogger(__name__)
_SUCCESS: Final = 0
_RESENDS: Final = 2
_NOT_BEGUN: Final = frozenset({Status.CRC_ERROR, Status.WATCHDOG})
"""Statuses of a command that the chip did not begin."""
_NOT_EXECUTED: Final = _NOT_BEGUN | {Status.ECC_FAULT}
"""Statuses after which the chip's memory is as it was before the command, so that sending it again is safe."""


class Driver:
    """Carries the calls of one device; any thread may call, and one call runs at a time."""

    def __init__(self, hal: Hal, now: Callable[[], float] = time.monotonic) -> None:
        self.guard = Guard()
        self.lock = threading.RLock()
        """Held for each call, and by who wants several without another thread's between them."""
        self._sent_again: frozenset[int] = _NOT_EXECUTED
        self._hal = hal
        self._chip = AwakeChip(hal, now)
        self._bridge = KitBridge(self._chip, hal.url)
        self._library = load_library()
        self._handle = ctypes.c_void_p()
        self._config = InterfaceConfig(iface_type=KIT_INTERFACE, devtype=DEVICE_TYPE_608, rx_retries=1)
        self._config.parameters.kit.dev_interface = KIT_DEV_INTERFACE_I2C
        self._config.parameters.kit.dev_identity = KIT_DEV_IDENTITY
        self._attach()

    def _attach(self) -> None:
        self._library.hal_kit_attach_phy(ctypes.byref(self._config), ctypes.byref(self._bridge.phy))
        status = self._library.atcab_init_ext(ctypes.byref(self._handle), ctypes.byref(self._config))
        self._bridge.raise_failure()
        if status != _SUCCESS:
            raise TransportError(f"The vendor's driver could not be started for {self._hal.url} (status {status}).")

    def close(self) -> None:
        """Send the chip to sleep, if it still answers, and release it; closing twice does no harm.

        Errors while it goes to sleep are ignored: no command depends on them.
        """
        with self.lock:
            if not self._handle:
                return
            try:
                with suppress(AtcaProvError):
                    self.call("calib_sleep")
            finally:
                self._library.atcab_release_ext(ctypes.byref(self._handle))
                self._handle = ctypes.c_void_p()
                self._hal.close()

    @contextmanager
    def burst(self) -> Iterator[None]:
        """Leave the chip awake between the calls of a block."""
        with self.lock:
            self._chip.begin_burst()
        try:
            yield
        finally:
            with self.lock:
                beyond_signals(self._chip.end_burst)

    @property
    def url(self) -> str:
        """Where the chip is now."""
        return self._hal.url

    def follow(self, address: int) -> str:
        """Look for the chip at another address, too; see `Hal.follow`."""
        with self.lock:
            return self._hal.follow(address)

    def rest(self) -> None:
        """Send the chip to sleep until the next call, in the middle of a burst too."""
        with self.lock:
            beyond_signals(self._chip.rest)

    @contextmanager
    def begun_once(self) -> Iterator[None]:
        """Send no command of a block again that has failed inside the chip (05): it may have used up what it needs."""
        with self.lock:
            before, self._sent_again = self._sent_again, _NOT_BEGUN
            try:
                yield
            finally:
                self._sent_again = before

    def call(self, function: str, *arguments: Any) -> None:
        """Run one function of the library; a command that the chip did not execute is sent again.

        Raises:
            TransportError: the chip does not answer, or was closed.
            ProtocolError: its answer is damaged.
            DeviceError: it refuses.
            UsageError: the command would change the chip, and no permit allows it.
        """
        with self.lock:
            if not self._handle:
                raise TransportError(f"{self._hal.url} is closed.")
            for attempt in range(_RESENDS + 1):
                if attempt:
                    _LOG.info("%s: %s again after status %02X.", self.url, function, self._bridge.last_status)
                status = self._attempt(function, arguments)
                if self._bridge.last_status not in self._sent_again:
                    break
            if status == _SUCCESS:
                return
            if self._bridge.last_status is None:
                raise self._bridge.unexplained(status)
            raise refusal(self._bridge.packet, self._bridge.last_status)

    def filled(self, size: int, call: Callable[[Any], None]) -> bytes:
        """Return the `size` bytes with which `call` fills the array that it gets."""
        out = (ctypes.c_uint8 * size)()
        call(out)
        return bytes(out)

    def _attempt(self, function: str, arguments: tuple[Any, ...]) -> int:
        self._bridge.begin(self.guard.permitted)
        status = beyond_signals(lambda: getattr(self._library, function)(self._handle, *arguments))
        self._bridge.raise_failure()
        return int(status)
