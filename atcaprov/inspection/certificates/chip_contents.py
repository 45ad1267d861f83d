"""What can be read of a chip, asked once and only when it is needed; nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from atcaprov.chip.memory_map import OTP_SIZE, SLOT_COUNT, SLOT_SIZES
from atcaprov.config_zone import locks
from atcaprov.config_zone.slot import ReadRule
from atcaprov.config_zone.zone import ConfigZone
from atcaprov.device.device import Device
from atcaprov.errors import DeviceError


class ChipContents:
    """The readable contents of one chip; a part that the chip refuses to show is None.

    Raises what `Device` raises when the chip does not answer.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.revision = device.info()
        self.config = device.read_config()
        """The configuration zone, 128 bytes."""
        self.zone = ConfigZone(self.config)
        self._slots: dict[int, bytes | None] = {}
        self._keys: dict[int, bytes | None] = {}

    @property
    def serial_number(self) -> bytes:
        """The chip's serial number, 9 bytes."""
        return self.zone.serial_number

    @cached_property
    def otp(self) -> bytes | None:
        """The OTP zone, 64 bytes."""
        if not locks.is_config_locked(self.config):
            return None
        return _shown(lambda: self.device.read_otp(0, OTP_SIZE))

    def slot(self, slot: int) -> bytes | None:
        """Return the whole content of a data slot that may be read in clear."""
        if slot not in self._slots:
            self._slots[slot] = self._read_slot(slot)
        return self._slots[slot]

    def public_key(self, slot: int) -> bytes | None:
        """Return the public key (X||Y, 64 bytes) of the private key in a slot."""
        if slot not in self._keys:
            self._keys[slot] = self._read_public_key(slot)
        return self._keys[slot]

    def read(self, slot: int, offset: int, count: int) -> bytes | None:
        """Return `count` bytes of a data slot from `offset`."""
        content = self.slot(slot)
        return None if content is None else content[offset : offset + count]

    @cached_property
    def key_slots(self) -> tuple[int, ...]:
        """The slots that hold a private key whose public key the chip shows."""
        return tuple(slot for slot in range(SLOT_COUNT) if self.public_key(slot) is not None)

    def _read_slot(self, slot: int) -> bytes | None:
        rules = self.zone.slots[slot]
        if not locks.is_config_locked(self.config) or rules.key_config.private:
            return None
        if rules.slot_config.read is not ReadRule.CLEAR:
            return None
        return _shown(lambda: self.device.read_slot(slot, 0, SLOT_SIZES[slot]))

    def _read_public_key(self, slot: int) -> bytes | None:
        rules = self.zone.slots[slot]
        if not locks.is_config_locked(self.config) or not rules.key_config.private or not rules.key_config.pub_info:
            return None
        return _shown(lambda: self.device.get_pubkey(slot))


def _shown(ask: Callable[[], bytes]) -> bytes | None:
    """Return the chip's answer, or None if it refuses."""
    try:
        return ask()
    except DeviceError:
        return None
