"""A HAL through which nothing passes that changes the chip."""

from __future__ import annotations

from atcaprov.device.guard import require_permit
from atcaprov.hal.base import Hal


class GuardedHal(Hal):
    """Passes every call to `hal`, but a packet only if it is known to be harmless."""

    def __init__(self, hal: Hal) -> None:
        self._hal = hal

    @property
    def url(self) -> str:  # type: ignore[override]
        """Where the chip is now."""
        return self._hal.url

    def wake(self) -> None:
        """Wake the chip."""
        self._hal.wake()

    def idle(self) -> None:
        """Send the chip to idle."""
        self._hal.idle()

    def sleep(self) -> None:
        """Send the chip to sleep."""
        self._hal.sleep()

    def exchange(self, packet: bytes) -> bytes:
        """Return the chip's reply.

        Raises:
            UsageError: the packet would change the chip (READ_ONLY); it was not sent.
        """
        require_permit(packet, frozenset())
        return self._hal.exchange(packet)

    def close(self) -> None:
        """Release the way to the chip."""
        self._hal.close()
