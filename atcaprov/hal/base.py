"""What every way to a chip offers."""

from __future__ import annotations

import abc


class Hal(abc.ABC):
    """One chip, reached over some bus.

    Packets carry no word address: `count, opcode, P1, P2 low, P2 high, data, CRC` out, `count, data, CRC` back. All
    methods block, within a time limit of their own, and raise `TransportError` when the chip or the way to it is gone.
    What the chip itself answers, refusals included, is returned as it came; the caller checks count and CRC.
    """

    url: str
    """How this chip was named, for messages."""

    @abc.abstractmethod
    def wake(self) -> None:
        """Wake the chip; a chip that is awake stays so, but for the first wake, before which it is put to sleep.

        So what a program that was killed has left in its volatile memory, such as an authorization, serves nobody else.

        Raises:
            DeviceError: it woke, but its self test has failed (status 07).
        """

    @abc.abstractmethod
    def idle(self) -> None:
        """Send the chip to idle: volatile state is kept."""

    @abc.abstractmethod
    def sleep(self) -> None:
        """Send the chip to sleep: volatile state is lost. One that is idle hears nothing else: it is woken first."""

    @abc.abstractmethod
    def exchange(self, packet: bytes) -> bytes:
        """Send one command packet (7 to 151 bytes) to the awake chip and return its reply."""

    def follow(self, address: int) -> str:
        """Look for the chip at `address` (8-bit form) too, where it answers once it has slept; return its URL there.

        `url` is that one as soon as it was found there. A way that needs no address finds the chip as before.

        Raises:
            TransportError: another program has a chip there (code DEVICE_BUSY), or another part answers there (code
                ADDRESS_TAKEN).
        """
        return self.url

    def close(self) -> None:  # noqa: B027 - most hands hold nothing
        """Release the way to the chip; closing twice does no harm."""
