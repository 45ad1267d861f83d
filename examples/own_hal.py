"""A way to a chip of your own: a fixture whose microcontroller speaks lines over TCP.

    python examples/own_hal.py fixture://127.0.0.1:7000

prints what it finds there. The fixture's protocol is invented: `WAKE`, `IDLE` and `SLEEP` are answered by `OK`;
`SEND 0730000000035D` puts a command packet on the bus and is answered by the chip's reply in hexadecimal. Whatever
fails is answered by `ERROR` and a reason. Replace `_ask` for a fixture with another protocol.
"""

from __future__ import annotations

import contextlib
import re
import socket
import sys
from io import BufferedRWPair

from atcaprov import AtcaProvError, Code, Device, Hal, ProtocolError, TransportError, UsageError, register_hal

SECONDS = 5.0  # longer than the longest command of a chip, a self test of 2.4 s


class FixtureHal(Hal):
    """One chip behind a fixture. Connects when it is needed, and again after an error."""

    def __init__(self, host: str, port: int) -> None:
        self.url = f"fixture://{host}:{port}"
        self._place = host, port
        self._stream: BufferedRWPair | None = None
        self._woke_once = False

    def wake(self) -> None:
        """Wake the chip. The first time it is put to sleep in between, so that it forgets what others left in it."""
        self._ask("WAKE")
        if not self._woke_once:
            self._ask("SLEEP")
            self._ask("WAKE")
            self._woke_once = True

    def idle(self) -> None:
        """Send the chip to idle: it keeps its volatile memory."""
        self._ask("IDLE")

    def sleep(self) -> None:
        """Send the chip to sleep. One that is idle hears nothing but the wake pulse, so that comes first."""
        self._ask("WAKE")
        self._ask("SLEEP")

    def exchange(self, packet: bytes) -> bytes:
        """Return the chip's reply as it came: the caller checks its count and CRC."""
        reply = self._ask(f"SEND {packet.hex()}")
        try:
            return bytes.fromhex(reply)
        except ValueError:
            self._disconnect()
            raise ProtocolError(f"The fixture {self.url} sent a reply that is not hexadecimal.") from None

    def close(self) -> None:
        """Leave the chip asleep, if it still answers, and hang up; closing twice does no harm."""
        if self._stream is not None:
            with contextlib.suppress(TransportError, ProtocolError):  # else it falls asleep by its own watchdog
                self.sleep()
            self._disconnect()

    def _ask(self, request: str) -> str:
        """Send a line and return the answer, without `OK`. Raises TransportError when there is none."""
        stream, answer = self._connected(), b""
        try:
            stream.write(request.encode() + b"\n")
            stream.flush()
            answer = stream.readline()
        except OSError as error:
            raise self._silent(str(error)) from error
        finally:
            if not answer.endswith(b"\n"):
                self._disconnect()  # an answer that comes late must not be taken for that of the next request
        word, _, reason = answer.decode("ascii", "replace").strip().partition(" ")
        if word in ("", "ERROR"):
            raise self._silent(reason or "it hung up")
        return "" if word == "OK" else word

    def _connected(self) -> BufferedRWPair:
        if self._stream is None:
            try:
                with socket.create_connection(self._place, SECONDS) as connection:
                    self._stream = connection.makefile("rwb")  # keeps the connection until it is closed
            except OSError as error:
                raise TransportError(
                    f"There is no fixture at {self.url}: {error}.",
                    advice="Check its cable and its power.",
                    code=Code.DEVICE_NOT_FOUND,
                ) from error
        return self._stream

    def _disconnect(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(OSError):  # what could not be sent is not worth a word any more
                stream.close()

    def _silent(self, reason: str) -> TransportError:
        return TransportError(
            f"The chip in the fixture {self.url} does not answer: {reason}.",
            advice="Check the contact of the board in its fixture and try again.",
            code=Code.DEVICE_NO_REPLY,
        )


def open_fixture(rest: str) -> FixtureHal:
    """Return the HAL for what stands behind `fixture:` in a device URL."""
    found = re.fullmatch(r"//([^:/]+):([0-9]{1,5})", rest)
    if found is None:
        raise UsageError(f"'{rest}' names no fixture.", advice="Write fixture://HOST:PORT.")
    return FixtureHal(found[1], int(found[2]))


def main() -> int:
    """Print revision and serial number of the chip in a fixture. Nothing is written to the chip."""
    register_hal("fixture", open_fixture)
    try:
        with Device.open(sys.argv[1]) as device:
            print("revision", device.info().hex(" "))
            print("serial number", device.serial_number().hex().upper())
    except AtcaProvError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
