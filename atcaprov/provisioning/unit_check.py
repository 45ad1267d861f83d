"""What is checked of the unit's own name before stage 1: its form, its place on the chip, that it is this chip's."""

from __future__ import annotations

from atcaprov.certs.unit_rule import UnitRule
from atcaprov.config_zone.slot import Slot
from atcaprov.config_zone.zone import ConfigZone
from atcaprov.device.zones.locked_data_zone import LockedDataZone
from atcaprov.device.zones.places import read_place
from atcaprov.errors import Board, Code, ProvisioningError, UsageError
from atcaprov.provisioning.preflight import Preflight
from atcaprov.provisioning.profile import DeliveredPart, Profile
from atcaprov.provisioning.station_checks import turn_to
from atcaprov.terminal.printable import printable


def require_unit(flight: Preflight) -> None:
    """Set `unit` if the certificate holds a name, and have the server judge it, if it has not done so.

    Raises:
        UsageError: no name is given, or one too many, or it breaks the rule of the certificate definition
            (UNIT_MISSING, UNIT_UNEXPECTED, UNIT_INVALID).
        ProvisioningError: the name cannot be where the definition wants it (SLOT_NOT_ALLOWED, SLOT_LOCKED), the chip
            has another one (CHIP_HAS_OTHER_UNIT), or holds something else there (DATA_UNKNOWN).
        ServerRejected: it is another chip's, or the chip has another one (UNIT_TAKEN, CHIP_HAS_OTHER_UNIT).
    """
    rule, given = flight.offer.device_definition.unit, flight.unit_of(flight.serial_number)
    if rule is None:
        if given:
            raise _usage(
                "A unit's name is given, and the signer's certificates hold none.",
                "Leave it out, or use the signer whose certificate description has a [unit] table.",
                Code.UNIT_UNEXPECTED,
            )
        return
    name = _checked_name(rule, given)
    require_place(rule, flight.profile)
    _require_place_free(flight, rule, name)
    was_told = name == given and flight.offer.chip_serial == flight.serial_number
    flight.unit = name
    if not was_told:
        turn_to(flight, flight.functions.server)


def _checked_name(rule: UnitRule, given: str) -> str:
    """Return the name as the certificate has it."""
    if not given:
        raise _usage(
            "The certificate holds the unit's own name, and none is given.",
            "Give the board its name, for example as it stands on its label.",
            Code.UNIT_MISSING,
        )
    name = rule.canonical(given)
    broken = rule.broken_rule(name)
    if broken is not None:
        raise _usage(
            f"The unit's name '{printable(given)}' is refused: {broken}.",
            "Read the label again. Compare it with the pattern in the certificate description.",
            Code.UNIT_INVALID,
        )
    return name


def require_place(rule: UnitRule, profile: Profile) -> None:
    """Raise ProvisioningError (SLOT_NOT_ALLOWED) if a product's chips cannot hold the unit's name at its place."""
    is_trust_flex = profile.part is DeliveredPart.TFLXTLS
    if rule.slot is None:
        if is_trust_flex:
            raise _not_there(rule, "the maker has locked that zone")
        return
    slot = ConfigZone(profile.config_zone).slots[rule.slot]
    if rule.slot not in profile.unit_slots - profile.certificate_slots - {profile.device_key_slot}:
        raise _not_there(rule, "this product does not reserve that slot for it")
    if slot.private or not slot.clear_read:
        raise _not_there(rule, "that slot cannot be read by everybody")
    if is_trust_flex and not slot.clear_write:
        raise _not_there(rule, "that slot cannot be written in clear")


def _require_place_free(flight: Preflight, rule: UnitRule, name: str) -> None:
    """Compare with what a chip shows whose data zone is locked: another name there stays."""
    if not flight.data_is_locked:
        return
    content = read_place(flight.device, flight.offer.device_definition.unit_location)
    if content == rule.stored(name):
        return
    other = rule.written(content)
    if other is not None:
        raise ProvisioningError(
            f"This chip has the unit's name '{other}', and this board is to be '{name}'.",
            advice="Nothing was changed. Set the board aside: two labels were mixed up, or it is another board.",
            code=Code.CHIP_HAS_OTHER_UNIT,
            board=Board.SET_ASIDE,
        )
    if rule.slot is not None and flight.profile.part is DeliveredPart.TFLXTLS:
        _require_replaceable(flight, ConfigZone(flight.config).slots[rule.slot], content)


def _require_replaceable(flight: Preflight, slot: Slot, content: bytes) -> None:
    """Refuse a slot of a TFLXTLS in which the name cannot be written, or would replace something unknown."""
    if not LockedDataZone(flight.device, flight.config).is_writable(slot.number):
        raise ProvisioningError(
            f"The unit's name cannot be written to slot {slot.number}: it is locked.",
            advice="Nothing was changed. Set the board aside: only parts whose slot is open fit this product.",
            code=Code.SLOT_LOCKED,
            board=Board.SET_ASIDE,
        )
    if len(set(content)) > 1 and not flight.profile.replace_foreign_certificates:
        raise ProvisioningError(
            f"This part holds data in slot {slot.number}, where the unit's name goes.",
            advice="Nothing was changed. Set the board aside, and ask for which product it was made.",
            code=Code.DATA_UNKNOWN,
            board=Board.SET_ASIDE,
        )


def _not_there(rule: UnitRule, why: str) -> ProvisioningError:
    return ProvisioningError(
        f"The signer's certificates take the unit's name from {rule.place}: {why}.",
        advice="Call the technician: the signer is for another product, or the certificate description names a place"
        " that this product does not have.",
        code=Code.SLOT_NOT_ALLOWED,
        board=Board.UNTOUCHED,
    )


def _usage(what: str, advice: str, code: Code) -> UsageError:
    return UsageError(what, advice=f"Nothing was changed. {advice}", code=code, board=Board.UNTOUCHED)
