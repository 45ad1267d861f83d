"""A fixture for real boards, and how it notices that one is put in or taken out: kit socket, USB port, I2C bus."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from atcaprov.device.device import Device
from atcaprov.errors import AtcaProvError, Code, TransportError, UsageError
from atcaprov.hal.hotplug import PlugWatcher, is_plugged
from provisioning_client.board_source import BoardSource

SIGHTINGS: Final = 2
"""How many times in a row a board must be seen, or missed, to count as there, or as gone: contacts bounce."""
CHIP_SECONDS: Final = 1.0
"""Seconds between two checks that the chip of a finished board is still the same."""

_EMPTY: Final = frozenset({Code.DEVICE_NOT_FOUND, Code.DEVICE_NO_REPLY, Code.DEVICE_OTHER_ADDRESS})


class Fixture(BoardSource):
    """The boards that come and go at one device URL, without a known end.

    `look_with` opens a chip to read its serial number; `open_board`, if given, opens it again for the board's run.
    """

    def __init__(
        self,
        url: str,
        *,
        look_with: Callable[[str], Device] = Device.open,
        open_board: Callable[[str], Device] | None = None,
        watcher: PlugWatcher | None = None,
        is_plugged: Callable[[str], bool] = is_plugged,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url
        self._chip_url = url
        """The device URL of the chip that `look` returned last."""
        self._look_with = look_with
        self._open_board = open_board
        self._watcher = watcher or PlugWatcher()
        self._is_plugged = is_plugged
        self._now = now
        self._plugged = False
        self._unclear: UsageError | None = None
        self._seen = 0
        self._missed = 0
        self._serial_number: bytes | None = None
        self._ask_chip_at = 0.0

    def look(self) -> Device | None:
        """Return the chip once its board has been seen twice and the chip has returned its serial number."""
        self._missed = 0
        if not self._look_at_port() or self._unclear is not None:
            self._seen = 0
            return None
        self._seen += 1
        return self._open() if self._seen >= SIGHTINGS else None

    def is_removed(self) -> bool:
        """Return whether the port or the chip was missing twice in a row, or another chip is there."""
        if self._look_at_port() and not self._is_chip_gone():
            self._missed = 0
            return False
        self._missed += 1
        self._seen = 0
        return self._missed >= SIGHTINGS

    def follow(self, url: str) -> None:
        """Look for the chip at its new device URL from now on."""
        self._chip_url = url

    def was_taken_out(self) -> bool:
        """Check the port and the chip as many times as a removal needs."""
        self._ask_chip_at = self._now()
        return any(self.is_removed() for _ in range(SIGHTINGS))

    def is_exhausted(self) -> bool:
        """Return False."""
        return False

    def _look_at_port(self) -> bool:
        # While sightings are being counted, look every time.
        if self._seen or self._missed or self._watcher.worth_looking():
            self._unclear = None
            try:
                self._plugged = self._is_plugged(self.url)
            except UsageError as error:  # several boards fit: which one is meant is unknown until one is left
                self._plugged, self._unclear = True, error
        self.hint = self._unclear
        return self._plugged

    def _open(self) -> Device | None:
        self._serial_number, self._chip_url = None, self.url
        try:
            device = self._look_with(self.url)
        except UsageError as error:
            self.hint = error
            return None
        except TransportError as error:
            if error.code == Code.DEVICE_NOT_FOUND or (error.code == Code.DEVICE_NO_REPLY and not self._is_kit()):
                return None
            raise
        try:
            self._serial_number = device.serial_number()
        except AtcaProvError as error:
            device.close()
            if error.code in _EMPTY:  # the kit is there, but its socket is empty
                self.hint = error if error.code == Code.DEVICE_OTHER_ADDRESS else None
                return None
            raise
        except BaseException:
            device.close()
            raise
        if self._open_board is None:
            return device
        device.close()
        return self._open_board(self.url)

    def _is_kit(self) -> bool:
        return self.url.startswith("kit-")

    def _is_chip_gone(self) -> bool:
        """Ask the chip itself from time to time: a socket may be emptied while its kit stays connected."""
        if not self._missed and self._now() < self._ask_chip_at:
            return False
        self._ask_chip_at = self._now() + CHIP_SECONDS
        if self._serial_number is None:
            return False  # no chip ever answered: only the port can tell
        try:
            with self._look_with(self._chip_url) as device:
                return device.serial_number() != self._serial_number
        except TransportError as error:
            return error.code in _EMPTY
        except AtcaProvError:
            return False
