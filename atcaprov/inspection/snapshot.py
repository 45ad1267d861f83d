"""What a chip shows to someone who only reads: its part, its zones, which keys it holds, and their public halves.

What can be read is decided by the configuration zone, so nothing is asked that the chip must refuse: neither data nor
OTP before the data lock, no secret slots, no keys before the configuration lock (DS20005927A, 2.2 and 2.3). A command
that is refused all the same leaves a gap, and the rest is read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Final, TypeVar

from atcaprov.certs.definitions.fields import DeviceLocation, DeviceZone
from atcaprov.chip.memory_map import OTP_SIZE, SLOT_COUNT, SLOT_SIZES
from atcaprov.chip.parts import is_508, is_608, part_name, spaced
from atcaprov.config_zone.slot import ReadRule, Slot
from atcaprov.config_zone.zone import ConfigZone
from atcaprov.device.device import Device
from atcaprov.errors import Board, Code, DeviceError, ProvisioningError, TransportError

_Answer = TypeVar("_Answer")
ALL_SLOTS: Final = frozenset(range(SLOT_COUNT))


@dataclass(frozen=True)
class ChipSnapshot:
    """What was read of one chip. `revision` is the 4 bytes that Info answers, `config` the zone of 128 bytes."""

    url: str
    revision: bytes
    config: bytes
    otp: bytes | None = None
    """64 bytes; None if it was not read or cannot be."""
    slots: Mapping[int, bytes] = field(default_factory=dict)
    """Whole contents of the slots that the chip shows in clear, by number: 36, 416 or 72 bytes."""
    keys: Mapping[int, bool] = field(default_factory=dict)
    """For slots of private keys: whether the chip says that it holds a valid one. Slots not asked about are missing."""
    public_keys: Mapping[int, bytes] = field(default_factory=dict)
    """X||Y, 64 bytes, of the private keys whose public key the chip gives."""

    @cached_property
    def zone(self) -> ConfigZone:
        """The configuration zone with a name for each field."""
        return ConfigZone(self.config)

    @property
    def serial_number(self) -> bytes:
        """9 bytes."""
        return self.zone.serial_number

    def stored(self, slot: int, offset: int, count: int) -> bytes | None:
        """Return `count` bytes of a data slot from `offset`; None if the chip does not show them."""
        content = self.slots.get(slot, b"")[offset : offset + count]
        return content if len(content) == count else None

    def place(self, location: DeviceLocation) -> bytes | None:
        """Return the bytes of a location that a certificate definition names; None if the chip does not show them."""
        zones = {
            DeviceZone.CONFIG: self.config,
            DeviceZone.OTP: self.otp,
            DeviceZone.DATA: self.slots.get(location.slot),
        }
        content = (zones.get(location.zone) or b"")[location.offset : location.end]
        return content if len(content) == location.count else None


def read_identity(device: Device) -> ChipSnapshot:
    """Read what identifies a chip, by five commands: its revision and its configuration zone.

    Raises:
        ProvisioningError: it is a part with another memory than the ATECC508A and the ATECC608 (WRONG_PART).
    """
    with device.burst():
        revision = device.info()
        if not is_508(revision) and not is_608(revision):
            raise ProvisioningError(
                f"This chip is not an ATECC608: its revision is {spaced(revision)} ({part_name(revision)}).",
                advice="Wrong chip type: call the technician.",
                code=Code.WRONG_PART,
                board=Board.UNTOUCHED,
            )
        return ChipSnapshot(device.url, revision, device.read_config())


def read_snapshot(device: Device, *, slots: Collection[int] = ALL_SLOTS) -> ChipSnapshot:
    """Read all that a chip shows: its identity, OTP, which keys it holds, and of `slots` what they show in clear.

    Raises:
        TransportError: the chip does not answer, or another one answered in between (DEVICE_NOT_FOUND).
        ProvisioningError: as `read_identity`.
    """
    with device.burst():
        identity = read_identity(device)
        zone = identity.zone
        shown = [slot for slot in zone.slots if slot.number in slots and shows_content(zone, slot)]
        contents = {slot.number: _tried(partial(_whole, device, slot)) for slot in shown}
        otp = _tried(partial(device.read_otp, 0, OTP_SIZE)) if zone.data_locked else None
        keys, public_keys = _keys(device, zone)
        if device.serial_number() != zone.serial_number:
            raise _changed(device.url)
    return ChipSnapshot(identity.url, identity.revision, identity.config, otp, _known(contents), keys, public_keys)


def shows_content(zone: ConfigZone, slot: Slot) -> bool:
    """Tell whether a chip with this zone gives the content of a slot in clear."""
    return zone.data_locked and not slot.private and slot.slot_config.read is ReadRule.CLEAR


def _keys(device: Device, zone: ConfigZone) -> tuple[dict[int, bool], dict[int, bytes]]:
    """Return which slots of private keys hold one, and the public keys that the chip gives."""
    private = [slot for slot in zone.slots if slot.private and slot.p256] if zone.config_locked else []
    valid = {slot.number: _tried(partial(device.has_valid_key, slot.number)) for slot in private}
    asked = [slot for slot in private if valid[slot.number] is not False and gives_public_key(zone, slot)]
    given = {slot.number: _tried(partial(device.get_pubkey, slot.number)) for slot in asked}
    public_keys = _known(given)
    return _known(valid) | dict.fromkeys(public_keys, True), public_keys


def gives_public_key(zone: ConfigZone, slot: Slot) -> bool:
    """Tell whether a chip with this zone computes the public key of a private one for anybody who asks.

    Before the data lock KeyConfig restricts nothing (DS20005927A, 2.2.5).
    """
    return not zone.data_locked or (slot.key_config.pub_info and not slot.key_config.req_auth)


def _whole(device: Device, slot: Slot) -> bytes:
    return device.read_slot(slot.number, 0, SLOT_SIZES[slot.number])


def _tried(ask: Callable[[], _Answer]) -> _Answer | None:
    """Return the answer, or None if the chip refuses."""
    try:
        return ask()
    except DeviceError:
        return None


def _known(answers: Mapping[int, _Answer | None]) -> dict[int, _Answer]:
    return {slot: answer for slot, answer in answers.items() if answer is not None}


def _changed(url: str) -> TransportError:
    return TransportError(
        f"Another chip answers at {url}: the board was exchanged while it was read.",
        advice="Leave the board in its fixture until it has been read, and try again.",
        code=Code.DEVICE_NOT_FOUND,
    )
