"""A chip as far as it is read, for certificates whose private key nobody has here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from atcaprov.device.device import Device
from atcaprov.errors import DeviceError
from atcaprov.inspection.certificates.chip_contents import ChipContents
from tests.support.certificates import CHIP_SERIAL
from tests.support.chips import configured_memory

_PRIVATE = (0x2083, 0x0033)
_CLEAR = (0x0000, 0x001C)


@dataclass
class StoredChip:
    """What `ChipContents` asks of a `Device`; slots 0 to 4 hold private keys, the others data that may be read."""

    slots: dict[int, bytes]
    keys: dict[int, bytes]
    serial_number: bytes = CHIP_SERIAL
    otp: bytes = b"\xff" * 64
    asked: list[str] = field(default_factory=list)

    def contents(self) -> ChipContents:
        return ChipContents(cast("Device", self))

    def info(self) -> bytes:
        return bytes.fromhex("00006003")

    def read_config(self) -> bytes:
        rules = {slot: _PRIVATE if slot < 5 else _CLEAR for slot in range(16)}
        config = bytes(configured_memory(slots=rules).config)
        return self.serial_number[:4] + config[4:8] + self.serial_number[4:] + config[13:]

    def read_slot(self, slot: int, offset: int, count: int) -> bytes:
        self.asked.append(f"slot {slot}")
        return self.slots.get(slot, b"").ljust(offset + count, b"\0")[offset : offset + count]

    def read_otp(self, block: int, count: int) -> bytes:
        return self.otp[32 * block :][:count]

    def get_pubkey(self, slot: int) -> bytes:
        if slot not in self.keys:
            raise DeviceError("There is no key.", command="GenKey", status=0x0F)
        return self.keys[slot]
