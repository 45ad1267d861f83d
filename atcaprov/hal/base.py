"""The interface of every HAL: one chip, reached over some bus."""

from __future__ import annotations

import abc


class Hal(abc.ABC):
    """One chip, reached over some bus.

    Packets carry no word address: `count, opcode, P1, P2 low, P2 high, data, CRC` out, `count, data, CRC` back. All
    methods block, within a time limit of their own, and raise `TransportError` when the chip or its bus is lost.
    The chip's reply, a refusal too, is returned unchanged; the caller checks count and CRC.
    """

    url: str
    """Device URL of this chip, for messages."""

    @abc.abstractmethod
    def wake(self) -> None:
        """Wake the chip. One that is awake stays awake, but before the first wake it is put to sleep.

        So an authorization that a killed program has left in its volatile memory is of no use to the next program.

        Raises:
            DeviceError: the chip woke, but its self test failed (status 07).
        """

    @abc.abstractmethod
    def idle(self) -> None:
        """Send the chip to idle: volatile state is kept."""

    @abc.abstractmethod
    def sleep(self) -> None:
        """Send the chip to sleep, which loses its volatile state. An idle one is woken first: it ignores all else."""

    @abc.abstractmethod
    def exchange(self, packet: bytes) -> bytes:
        """Send one command packet (7 to 151 bytes) to the awake chip and return its reply."""

    def follow(self, address: int) -> str:
        """Also look for the chip at `address` (8-bit form), where it answers after a sleep; return its URL there.

        `url` changes to it when the chip is found there. A HAL without addresses finds the chip as before.

        Raises:
            TransportError: another program has a chip there (code DEVICE_BUSY), or another part answers there (code
                ADDRESS_TAKEN).
        """
        return self.url

    def close(self) -> None:  # noqa: B027 - most HALs hold nothing
        """Release the chip; closing twice does no harm."""


class ForwardingHal(Hal):
    """Passes every call to another HAL; a class that watches or holds back calls overrides those."""

    def __init__(self, hal: Hal) -> None:
        self._hal = hal

    @property
    def url(self) -> str:  # type: ignore[override]
        """Where the chip is now."""
        return self._hal.url

    def follow(self, address: int) -> str:
        """Pass it on."""
        return self._hal.follow(address)

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
        """Return the chip's reply."""
        return self._hal.exchange(packet)

    def close(self) -> None:
        """Release the chip."""
        self._hal.close()
