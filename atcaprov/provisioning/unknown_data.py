"""Find data of an unknown program in an open data zone, which cannot be read, by asking for MACs under its slots.

A chip answers MAC with a digest over the first 32 bytes of a slot. Most slots of a chip that only this product's
programs have touched are as the maker left them, so their MAC is that of 32 bytes FF; a slot for which that is not so
holds something else. If not a single slot fits, the digest may be made in another way than is known, and nothing is
concluded: the CRC of stage 8 finds such data later.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Final

from atcaprov.certs.rebuild import unit_content
from atcaprov.chip.memory_map import SLOT_COUNT, USE_LOCK, slots_text
from atcaprov.config_zone.slot import Slot
from atcaprov.config_zone.zone import ConfigZone
from atcaprov.device.device import SECRET_SIZE
from atcaprov.device.key_authorization import mac
from atcaprov.errors import Board, Code, DeviceError, ProvisioningError
from atcaprov.provisioning.preflight import Preflight

_UNTOUCHED: Final = b"\xff" * SECRET_SIZE
_ZEROS: Final = bytes(SECRET_SIZE)
"""No data either, in a slot that is overwritten; one that is not must hold what the data lock's CRC is made of."""
_ANY_KEY: Final = 7  # KeyType of a slot that is no ECC and no AES key
_USE_LOCK_ON: Final = 0x0A


def require_no_unknown_data(flight: Preflight) -> None:
    """Raise ProvisioningError if a slot that the run overwrites, or leaves as it is, holds other data.

    Its code is data-unknown; slot-locked if it may be overwritten and a slot that then has to be is locked.
    Certificates of an earlier run are no unknown data, and what the integrator writes may have been written before.
    """
    fits = untouched_slots(flight)
    overwritten = _certificate_slots(flight)
    unknown = [
        slot
        for slot in _judged(flight)
        if fits.get(slot) is False
        and not (slot in overwritten and _begins_with(flight, slot, _ZEROS))
        and not _holds_name(flight, slot)
    ]
    if not unknown or not any(fits.values()):
        return
    if not flight.profile.fill_unwritten:
        raise ProvisioningError(
            f"The chip's configuration is locked, and it holds data in {slots_text(unknown)} that this server has not"
            " issued: certificates of another program, or a secret of the product.",
            advice="Nothing was overwritten. If that data is not needed, start again with --fill-unwritten, which"
            " overwrites it.",
            code=Code.DATA_UNKNOWN,
            board=Board.SET_ASIDE,
        )

    flight.data_zone.require_open(set(_judged(flight)) & set(fits) - set(flight.slots_to_write()))


def untouched_slots(flight: Preflight) -> dict[int, bool]:
    """Return for each slot that the chip tells about whether it is as the maker left it, by its first 32 bytes."""
    return {slot: fits for slot in _asked(flight) if (fits := _begins_with(flight, slot, _UNTOUCHED)) is not None}


def _judged(flight: Preflight) -> list[int]:
    """Return the slots whose content must be the maker's."""
    certificates = _certificate_slots(flight)
    judged = _slot_of_name(flight) if flight.functions.writes_data_zone else set(range(SLOT_COUNT)) - certificates
    return sorted(judged if flight.issued is not None else judged | certificates)


def _certificate_slots(flight: Preflight) -> set[int]:
    return {*flight.offer.device_definition.write_slots, *flight.offer.signer_definition.write_slots}


def _slot_of_name(flight: Preflight) -> set[int]:
    """Return the slot that begins with the unit's name, if one does; nothing else is written to its first block."""
    rule = flight.offer.device_definition.unit
    return set() if rule is None or rule.slot is None or rule.offset else {rule.slot}


def _holds_name(flight: Preflight, slot: int) -> bool:
    """Tell whether a slot begins with this unit's name, as an earlier run has written it."""
    if slot not in _slot_of_name(flight):
        return False
    name = unit_content(flight.offer.device_definition, flight.unit)
    return bool(_begins_with(flight, slot, name.ljust(SECRET_SIZE, b"\0")[:SECRET_SIZE]))


def _asked(flight: Preflight) -> Iterator[int]:
    """Yield the slots under which a MAC costs nothing and needs nothing."""
    zone = ConfigZone(flight.config)
    use_lock = flight.config[USE_LOCK]
    for slot in zone.slots:
        named = use_lock & 0x0F == _USE_LOCK_ON and use_lock >> 4 == slot.number
        if _gives_mac(slot) and not named:
            yield slot.number


def _gives_mac(slot: Slot) -> bool:
    key, slot_config = slot.key_config, slot.slot_config
    hindered = key.req_random or key.req_auth or key.persistent_disable or slot_config.no_mac or slot_config.limited_use
    return key.key_type == _ANY_KEY and not key.private and not hindered


def _begins_with(flight: Preflight, slot: int, content: bytes) -> bool | None:
    """Return whether a slot begins with these 32 bytes; None if the chip does not tell."""
    challenge = secrets.token_bytes(SECRET_SIZE)
    try:
        answer = flight.device.mac(slot, challenge)
    except DeviceError:
        return None
    return answer == mac(content, slot, challenge, serial_number=flight.serial_number)
