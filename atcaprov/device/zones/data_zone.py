"""Write the open data zone, keep an image of it, and lock it with the CRC of that image.

An open data zone cannot be read, so its content is known only from what was written. The image starts as a fresh part
(all FF) and follows every write.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, Protocol

from atcaprov.certs.rebuild import SlotContent
from atcaprov.chip.commands import Status
from atcaprov.chip.crc import crc16
from atcaprov.chip.memory_map import BLOCK_SIZE, OTP_SIZE, SLOT_COUNT, SLOT_SIZES, key_config, slots_text
from atcaprov.device.device import Device
from atcaprov.errors import Board, Code, DeviceError, ProvisioningError, UsageError

_FRESH: Final = 0xFF
_OTP: Final = -1
"""Stands for the OTP zone among the numbers of slots."""
_PRIVATE: Final = 0x0001


class SlotWriter(Protocol):
    """What writes data slots, whether the data zone is open or locked."""

    def write(self, slot: int, offset: int, data: bytes) -> None:
        """Write `data` to a slot; `offset` is a multiple of 32, the rest of the last block becomes zero."""


def _is_private(config_zone: bytes, slot: int) -> bool:
    return bool(key_config(config_zone, slot) & _PRIVATE)


def require_fitting(config_zone: bytes, slot: int, offset: int, size: int) -> None:
    """Raise UsageError unless `size` bytes can be written to a slot at `offset` while the data zone is open."""
    if not 0 <= slot < SLOT_COUNT or _is_private(config_zone, slot):
        raise UsageError(f"Slot {slot} does not take data.", code=Code.SLOT_NOT_ALLOWED)
    if offset % BLOCK_SIZE or offset < 0 or not size or offset + size > SLOT_SIZES[slot]:
        raise UsageError(
            f"{size} bytes at offset {offset} do not fit slot {slot}, which has {SLOT_SIZES[slot]}.",
            advice="While the data zone is open, an offset is a multiple of 32.",
        )


class DataZone:
    """The open data and OTP zones of one chip, as far as this run knows them.

    `config_zone` is the one that the chip has or is to have; `locked` are the slots that are locked one by one already.
    """

    def __init__(self, device: Device, config_zone: bytes, locked: Collection[int] = ()) -> None:
        self._device = device
        self._config_zone = config_zone
        self._locked = frozenset(locked)
        self._private = {slot for slot in range(SLOT_COUNT) if _is_private(config_zone, slot)}
        self._slots = [bytearray([_FRESH]) * size for size in SLOT_SIZES]
        self._otp = bytearray([_FRESH]) * OTP_SIZE
        self._written: set[tuple[int, int]] = set()

    def write(self, slot: int, offset: int, data: bytes) -> None:
        """Write `data` to a slot; `offset` is a multiple of 32, the rest of the last block becomes zero."""
        require_fitting(self._config_zone, slot, offset, len(data))
        self.require_open([slot])
        for position in range(0, len(data), BLOCK_SIZE):
            self._write_block(slot, (offset + position) // BLOCK_SIZE, data[position : position + BLOCK_SIZE])

    def write_otp(self, data: bytes, offset: int = 0) -> None:
        """Write the OTP zone; `offset` is a multiple of 32, the rest of the last block becomes zero."""
        if not data or offset % BLOCK_SIZE or not 0 <= offset <= OTP_SIZE - len(data):
            at = f" from byte {offset} on" if offset else ""
            raise UsageError(f"The OTP zone takes 1 to {OTP_SIZE} bytes, not {len(data)}{at}.")
        for start in range(0, len(data), BLOCK_SIZE):
            padded = data[start : start + BLOCK_SIZE].ljust(BLOCK_SIZE, b"\0")
            block = (offset + start) // BLOCK_SIZE
            self._device.write_otp_block(block, padded)
            self._otp[block * BLOCK_SIZE : (block + 1) * BLOCK_SIZE] = padded
            self._written.add((_OTP, block))

    def _write_block(self, slot: int, block: int, data: bytes) -> None:
        padded = data.ljust(BLOCK_SIZE, b"\0")
        self._device.write_slot_block(slot, block, padded)
        image, start = self._slots[slot], block * BLOCK_SIZE
        image[start : start + BLOCK_SIZE] = padded[: len(image) - start]
        self._written.add((slot, block))

    def unwritten(self) -> list[str]:
        """Name the places where this run wrote nothing: `slot 5`, `slot 11 from byte 64`, `OTP`."""
        places = [(f"slot {slot}", self._written_bytes(slot), SLOT_SIZES[slot]) for slot in self._public()]
        places.append(("OTP", self._written_bytes(_OTP), OTP_SIZE))
        return [f"{name} from byte {end}" if end else name for name, end, size in places if end < size]

    def lock(self, *, may_fill: bool) -> None:
        """Lock the zone with the CRC of what was written, and of FF where nothing was.

        Whether a fresh part holds FF is not documented. If the chip says that the CRC is another one, nothing was
        locked; with `may_fill` the rest is written too, and only then the lock is asked for again.

        Raises:
            ProvisioningError: the chip holds something else and it may not be overwritten (code DATA_UNKNOWN), or it
                refuses the CRC also of a zone that this run has written whole (code DATA_CRC_REFUSED).
        """
        if self._locks():
            return
        if not may_fill:
            raise self._unknown_content()
        self.require_fillable()
        self.fill_unwritten()
        if not self._locks():
            raise _other_crc()

    def _locks(self) -> bool:
        """Lock the zone; False if the chip says that the CRC is another one."""
        try:
            self._device.lock_data(self.summary_crc())
        except DeviceError as error:
            if error.status != Status.EXECUTION_ERROR:
                raise
            return False
        return True

    def fill_unwritten(self) -> None:
        """Write FF wherever this run wrote nothing, so that the image is true for any earlier content."""
        for slot in self._public():
            for block in range(-(-SLOT_SIZES[slot] // BLOCK_SIZE)):
                if (slot, block) not in self._written:
                    self._write_block(slot, block, bytes([_FRESH]) * BLOCK_SIZE)
        for block in range(OTP_SIZE // BLOCK_SIZE):
            self._device.write_otp_block(block, bytes(self._otp[block * BLOCK_SIZE : (block + 1) * BLOCK_SIZE]))

    def _public(self) -> list[int]:
        return [slot for slot in range(SLOT_COUNT) if slot not in self._private]

    def _written_bytes(self, slot: int) -> int:
        """Return how many bytes from the slot's beginning were written without a gap."""
        block = 0
        while (slot, block) in self._written:
            block += 1
        return block * BLOCK_SIZE

    def require_fillable(self) -> None:
        """Raise ProvisioningError (code SLOT_LOCKED) if a locked slot is not written whole: it cannot be filled."""
        self.require_open(slot for slot in self._public() if self._written_bytes(slot) < SLOT_SIZES[slot])

    def require_open(self, slots: Iterable[int]) -> None:
        """Raise ProvisioningError (code SLOT_LOCKED) before anything is sent that a locked slot refuses."""
        if refused := [slot for slot in slots if slot in self._locked]:
            raise ProvisioningError(
                f"This run cannot write {slots_text(refused)}: locked one by one before.",
                advice="Nothing was written there. Find out which program locked it: only that can finish this chip.",
                code=Code.SLOT_LOCKED,
                board=Board.SET_ASIDE,
            )

    def _unknown_content(self) -> ProvisioningError:
        return ProvisioningError(
            "The chip holds data that this run did not write, and its configuration was locked before the run began:"
            f" it may be a secret of the product. This run wrote nothing to {', '.join(self.unwritten())}.",
            advice="Nothing there was overwritten. If that data is not needed, start again with"
            " --fill-unwritten, which overwrites it with FF.",
            code=Code.DATA_UNKNOWN,
            board=Board.SET_ASIDE,
        )

    def summary_crc(self) -> int:
        """Return the CRC that Lock compares: slots in order without private keys, then OTP (DS20005927A, 9.10)."""
        public = (bytes(content) for slot, content in enumerate(self._slots) if slot not in self._private)
        return crc16(b"".join(public) + bytes(self._otp))


def _other_crc() -> ProvisioningError:
    """Return the error for a chip whose CRC cannot be computed: DS20005927A leaves private keys out of it."""
    return ProvisioningError(
        "The chip refuses the CRC of the data zone although this run has written every byte of it. It was not locked.",
        advice="Set the board aside and try another one. If every board stops like this, the CRC of these chips covers"
        " the private keys, which no program can know.",
        code=Code.DATA_CRC_REFUSED,
        board=Board.SET_ASIDE,
    )


class DataZoneWriter:
    """What `write_data_zone` gets: the slots that can be written, without those of the certificates."""

    def __init__(
        self,
        zone: SlotWriter,
        reserved: frozenset[int],
        serial_number: bytes,
        unit: SlotContent | None = None,
    ) -> None:
        """`reserved` are the slots of the certificates, `unit` is the unit's name that the chip holds in a slot."""
        self._zone = zone
        self._reserved = reserved
        self._unit = unit
        self.serial_number = serial_number
        """Serial number of the chip, 9 bytes, for data that differ from chip to chip."""

    def write(self, slot: int, offset: int, data: bytes) -> None:
        """Write to a data slot; `offset` is a multiple of 32 and the rest of the last block becomes zero.

        Raises:
            ProvisioningError: the slot belongs to the certificates, or the unit's name is there (code
                SLOT_NOT_ALLOWED).
            UsageError: the data do not fit the slot, or the slot holds a private key.
        """
        if slot in self._reserved:
            raise ProvisioningError(
                f"Slot {slot} holds a certificate and may not be overwritten.", code=Code.SLOT_NOT_ALLOWED
            )
        if self._overwrites_unit(slot, offset, len(data)):
            raise ProvisioningError(
                f"The unit's name is in slot {slot} from byte {offset} on and may not be overwritten.",
                code=Code.SLOT_NOT_ALLOWED,
            )
        self._zone.write(slot, offset, data)

    def _overwrites_unit(self, slot: int, offset: int, size: int) -> bool:
        """Tell whether a block that is written holds a part of the unit's name."""
        if self._unit is None or slot != self._unit.slot:
            return False
        end, of_unit = offset + size, self._unit.offset + len(self._unit.data)
        whole = -(-end // BLOCK_SIZE) * BLOCK_SIZE
        return offset < -(-of_unit // BLOCK_SIZE) * BLOCK_SIZE and self._unit.offset < whole
