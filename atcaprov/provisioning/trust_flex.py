"""What is checked of a TFLXTLS before stage 1: the maker's table, and that its slots can take what the run writes.

Such a part comes with both zones locked, so that its rules are in force and its slots can be read. It has served nobody
yet for all that: it is never scrap because it is locked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from atcaprov.certs.rebuild import SlotContent
from atcaprov.chip.maker_tables import TFLXTLS_TABLE
from atcaprov.chip.memory_map import slots_text
from atcaprov.chip.trust_parts import TFLXTLS, trust_part
from atcaprov.config_zone.slot import Slot
from atcaprov.config_zone.zone import ConfigZone
from atcaprov.device.zones.config_zone import named_fields, wrong_trust_part
from atcaprov.device.zones.locked_data_zone import LockedDataZone
from atcaprov.errors import Board, Code, ProvisioningError
from atcaprov.inspection.certificates import microchip
from atcaprov.inspection.snapshot import read_snapshot
from atcaprov.provisioning.earlier_run import ANSWERS_FOR_A_NEW_KEY, existing_key, was_certified
from atcaprov.provisioning.finished_elsewhere import finished_elsewhere
from atcaprov.provisioning.preflight import Preflight
from atcaprov.provisioning.profile import TFLXTLS_KEY_SLOTS

_NOT_ISSUED: Final = frozenset({Code.NOT_ISSUED})


def require_maker_table(config: bytes) -> None:
    """Return if a zone (128 bytes) is that of a TFLXTLS, whatever its order has chosen.

    Raises:
        ProvisioningError: it is another part (WRONG_PART), or its table is not the published one
            (CONFIG_LOCKED_OTHER).
    """
    part = trust_part(config)
    if part is None:
        raise ProvisioningError(
            "This chip is not a TFLXTLS: it does not have the configuration of one, locked by the maker.",
            advice="Wrong chip type for this product: call the technician. A line for blank chips leaves --part out.",
            code=Code.WRONG_PART,
            board=Board.UNTOUCHED,
        )
    if part is not TFLXTLS:
        raise wrong_trust_part(part)
    differing = TFLXTLS_TABLE.differing_bytes(config)
    if differing:
        raise ProvisioningError(
            "This chip has the address and serial number of a TFLXTLS, but another configuration:"
            f" {named_fields(differing, config, TFLXTLS_TABLE.config)}.",
            advice="Nothing was changed. Set the board aside and call the technician: its slots may have other rules.",
            code=Code.CONFIG_LOCKED_OTHER,
            board=Board.SET_ASIDE,
        )


def require_usable_key(flight: Preflight) -> None:
    """Raise ProvisioningError (SLOT_NOT_ALLOWED) if the key was ordered to be used only after a secure boot."""
    slot = _slot(flight, flight.profile.device_key_slot)
    if slot.key_config.persistent_disable:
        raise ProvisioningError(
            f"The key in slot {slot.number} was ordered so that it works only after a secure boot.",
            advice="Nothing was changed. Its certificate has to be ordered from the maker, or use --key-slot 2, 3 or 4"
            " with a signer for that slot.",
            code=Code.SLOT_NOT_ALLOWED,
            board=Board.SET_ASIDE,
        )


def find_earlier_run(flight: Preflight) -> None:
    """Set `chip`, and `issued` if the server has certified its key; a key that can be made anew is kept only then.

    Raises:
        ProvisioningError: the chip has certificates under the pinned root that this server does not know
            (FINISHED_ELSEWHERE), or its fixed key is missing (PROVISIONING).
        ServerRejected: the server has certified this chip with another key or by another signer.
    """
    slot = flight.profile.device_key_slot
    is_fixed = slot == 0
    chip = existing_key(flight, slot)
    if chip is None and is_fixed:
        raise _no_key()
    if chip is not None and was_certified(flight, chip, _NOT_ISSUED, 1 if is_fixed else ANSWERS_FOR_A_NEW_KEY):
        flight.chip = chip
        return
    _require_not_finished(flight)
    flight.chip = chip if is_fixed else None


def _require_not_finished(flight: Preflight) -> None:
    """Raise ProvisioningError (FINISHED_ELSEWHERE) if the certificates on the chip are good for a key of any slot."""
    for slot in TFLXTLS_KEY_SLOTS:
        chip = existing_key(flight, slot)
        finished = chip and finished_elsewhere(flight.device, chip, flight.offer, flight.cert_info, slot)
        if finished:
            raise finished


def require_open_slots(flight: Preflight) -> None:
    """Check that each slot can take what the run writes, makes and locks in it.

    Raises:
        ProvisioningError: a slot is locked or permanent (SLOT_LOCKED), or is to be locked and cannot be
            (SLOT_NOT_LOCKABLE).
    """
    zone = LockedDataZone(flight.device, flight.config)
    closed = {slot for slot in _certificate_slots(flight) if not zone.is_writable(slot)}
    if flight.issued is not None:
        closed = {write.slot for write in outstanding(zone, flight.issued.writes) if write.slot in closed}
    elif not _can_make_key(flight):
        closed.add(flight.profile.device_key_slot)
    if closed:
        raise ProvisioningError(
            f"This run cannot write {slots_text(sorted(closed))}: locked, or ordered as permanent.",
            advice="Nothing was changed. Set the board aside: only parts with slots that are open fit this product.",
            code=Code.SLOT_LOCKED,
            board=Board.SET_ASIDE,
        )
    _require_lockable(flight)


def require_consent(flight: Preflight) -> None:
    """Raise ProvisioningError (CERTIFICATES_PRESENT) before certificates of others are overwritten without consent.

    Those of the maker need one consent, and any others another one: they may be the identity of another product's unit,
    which nothing protects as long as its slots are not locked. Once the server has certified the chip, an earlier run
    may have been cut while it wrote, so that no one can tell any more what was there.
    """
    zone = LockedDataZone(flight.device, flight.config)
    if flight.issued is None:
        taken = {slot for slot in _certificate_slots(flight) if not zone.is_empty(slot)}
    else:
        taken = {write.slot for write in flight.issued.writes if zone.overwrites(write.slot, write.offset, write.data)}
    if not taken:
        return
    if (
        flight.issued is None
        and next(microchip.find(read_snapshot(flight.device, slots=microchip.SLOTS)), None) is None
    ):
        if not flight.profile.replace_foreign_certificates:
            raise _foreign(taken)
    elif not flight.profile.replace_certificates:
        raise ProvisioningError(
            f"This part comes with the maker's certificates in {slots_text(sorted(taken))}. Once they are"
            " overwritten, it can no longer prove that the maker made it.",
            advice="Nothing was changed. If they are not needed, start again with --replace-certificates.",
            code=Code.CERTIFICATES_PRESENT,
            board=Board.UNTOUCHED,
        )


def _foreign(slots: Iterable[int]) -> ProvisioningError:
    return ProvisioningError(
        f"This part holds data in {slots_text(sorted(slots))} that are neither the maker's certificates nor this"
        " line's. It may be a unit of another product.",
        advice="Nothing was changed. Ask for which product it was made. If no one needs what is there, start again with"
        " --replace-foreign-certificates.",
        code=Code.CERTIFICATES_PRESENT,
        board=Board.SET_ASIDE,
    )


def outstanding(zone: LockedDataZone, writes: Iterable[SlotContent]) -> list[SlotContent]:
    """Return the writes whose content is not on the chip yet."""
    return [write for write in writes if not zone.holds(write.slot, write.offset, write.data)]


def _certificate_slots(flight: Preflight) -> set[int]:
    return {*flight.offer.device_definition.write_slots, *flight.offer.signer_definition.write_slots}


def _can_make_key(flight: Preflight) -> bool:
    """Return whether stage 4 can do its work: the maker's key is taken, any other is made."""
    slot = _slot(flight, flight.profile.device_key_slot)
    return slot.number == 0 or (slot.slot_config.gen_key and slot.open)


def _require_lockable(flight: Preflight) -> None:
    zone = LockedDataZone(flight.device, flight.config)
    for slot in (_slot(flight, number) for number in flight.profile.slots_to_lock):
        can_change = slot.slot_config.gen_key if slot.private else zone.is_writable(slot.number)
        if slot.open and can_change and not slot.key_config.lockable:
            raise ProvisioningError(
                f"Slot {slot.number} is to be locked, but these parts were ordered so that it cannot be.",
                advice="Nothing was changed. Take it off the list of slots to lock (--lock-slot).",
                code=Code.SLOT_NOT_LOCKABLE,
                board=Board.SET_ASIDE,
            )


def _slot(flight: Preflight, number: int) -> Slot:
    return ConfigZone(flight.config).slots[number]


def _no_key() -> ProvisioningError:
    return ProvisioningError(
        "This TFLXTLS has no key in slot 0, which the maker makes before delivery.",
        advice="Set the board aside: the part is damaged, or does not come from the maker.",
        board=Board.SET_ASIDE,
    )
