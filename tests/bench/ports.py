"""Boards that misbehave behind a sound USB port: silent ones and babbling ones."""

from __future__ import annotations

import random
from typing import Final

REPORT_SIZE: Final = 64


class SilentPort:
    """A kit that takes everything and answers nothing."""

    def receive_report(self, report: bytes) -> list[bytes]:
        """Answer nothing."""
        return []

    def receive_data(self, data: bytes) -> bytes:
        """Answer nothing."""
        return b""


class BabblingPort:
    """A kit that answers with noise, and talks without being asked."""

    def __init__(self) -> None:
        self._random = random.Random(0x608A)

    def receive_report(self, report: bytes) -> list[bytes]:
        """Answer with three reports of noise."""
        return [self.noise() for _ in range(3)]

    def receive_data(self, data: bytes) -> bytes:
        """Answer with noise."""
        return self.noise()

    def noise(self) -> bytes:
        """Return 64 bytes: half of the time any, else such as stand in answers."""
        if self._random.random() < 0.5:
            return self._random.randbytes(REPORT_SIZE)
        return bytes(self._random.choices(b"0123456789ABCDEF()\n", k=REPORT_SIZE))


class SilentWire:
    """An I2C bus on which nobody acknowledges."""

    def write(self, address: int, data: bytes) -> bool:
        """Acknowledge nothing."""
        return False

    def read(self, address: int, count: int) -> bytes | None:
        """Acknowledge nothing."""
        return None


class BabblingWire:
    """An I2C bus on which every address acknowledges and gives noise."""

    def __init__(self) -> None:
        self._random = random.Random(0x608A)

    def write(self, address: int, data: bytes) -> bool:
        """Acknowledge."""
        return True

    def read(self, address: int, count: int) -> bytes | None:
        """Return noise."""
        return self._random.randbytes(count)
