"""The list of what is checked of each chip before stage 1, after the station and its server (`station_checks`).

What can be known before a chip is changed is checked here and not later. The run stops at the first check that fails;
`findings` goes on and tells the result of each.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from atcaprov.config_zone.locks import locked_slots
from atcaprov.device.zones import config_zone
from atcaprov.device.zones.data_zone import DataZone
from atcaprov.errors import AtcaProvError
from atcaprov.inspection.genuine import prove_genuine
from atcaprov.provisioning import signer_offer, trust_flex
from atcaprov.provisioning.earlier_run import find_earlier_run
from atcaprov.provisioning.finished_elsewhere import validate_as_issued
from atcaprov.provisioning.preflight import Preflight
from atcaprov.provisioning.profile import DeliveredPart, Profile
from atcaprov.provisioning.station_checks import Check
from atcaprov.provisioning.supported_parts import newer_silicon, require_608
from atcaprov.provisioning.unit_check import require_unit
from atcaprov.provisioning.unknown_data import require_no_unknown_data


def _part(flight: Preflight) -> None:
    """Set `revision`, `config` and `data_zone`."""
    revision = flight.device.info()
    require_608(revision)
    flight.revision, flight.config = revision, flight.device.read_config()
    flight.data_zone = DataZone(flight.device, flight.profile.config_zone, locked_slots(flight.config))
    warning = newer_silicon(revision)
    if warning is not None:
        warning.serial_number = flight.serial_number
        flight.functions.warning(warning)


def _configuration(flight: Preflight) -> None:
    if flight.config_is_locked:
        config_zone.require_same_config(flight.config, flight.profile.config_zone)
    else:
        config_zone.require_possible_extras(flight.config, flight.profile.config_zone)


def _maker_table(flight: Preflight) -> None:
    trust_flex.require_maker_table(flight.config)


def _earlier_run(flight: Preflight) -> None:
    """Set `chip` and `issued`."""
    if flight.config_is_locked:
        find_earlier_run(flight)


def _genuine(flight: Preflight) -> None:
    """A chip whose key the server has certified before proved itself then; its own certificates may be there now."""
    if flight.profile.require_genuine and flight.issued is None:
        prove_genuine(flight.device, root=flight.profile.genuine_root)


def _slot_locks(flight: Preflight) -> None:
    if flight.config_is_locked and not flight.data_is_locked:
        flight.data_zone.require_open(flight.slots_to_write())


def _new_certificate(flight: Preflight) -> None:
    """A server that has certified another key of this chip does not certify a new one.

    It is asked about this chip here if it was asked about another one, since the board was exchanged before the run, or
    does not know the unit yet.
    """
    if flight.issued is not None:
        return
    asked_about = flight.offer.chip_serial
    is_other_chip = bool(asked_about) and asked_about != flight.serial_number
    if is_other_chip or (not asked_about and flight.details_of(flight.serial_number).names_unit):
        flight.device.rest()  # a server takes longer than the chip's watchdog
        flight.ask_for_offer(flight.serial_number)
    for offer in flight.offers.values():
        signer_offer.require_new_key_accepted(offer)


def _own_certificates(flight: Preflight) -> None:
    """Before slots of a chip with a locked data zone are locked, what stage 10 would find too late."""
    if flight.data_is_locked and flight.slots_to_lock():
        assert flight.chip is not None
        assert flight.issued is not None
        validate_as_issued(flight.device, flight.chip, flight.issued, flight.offer, flight.cert_info)


def _unknown_data(flight: Preflight) -> None:
    if flight.config_is_locked and not flight.data_is_locked:
        require_no_unknown_data(flight)


def _address(flight: Preflight) -> None:
    """Report the chip's new I2C address, follow it after the chip has slept, and set `next_url`."""
    address = config_zone.i2c_address(flight.profile.config_zone)
    if flight.has_to_write_config() and address != config_zone.i2c_address(flight.config):
        url = flight.device.follow(address)
        flight.functions.address_changes(address, url)
        flight.next_url = url if url != flight.device.url else None


_UNIT: Final = Check(
    "unit", "the unit's name is one of this product's, and this chip's", require_unit, ("signer", "configuration")
)
_GENUINE: Final = Check(
    "genuine",
    "the part proves that Microchip made it, or the server has certified its key",
    _genuine,
    ("earlier-run",),
)
_NEW_CERTIFICATE: Final = Check(
    "new-certificate", "the server certifies a new key of this chip", _new_certificate, ("earlier-run",)
)
CHIP_CHECKS: Final = (
    Check("part", "the chip is an ATECC608", _part),
    Check("configuration", "the configuration is this product's, or can become it", _configuration, ("part",)),
    _UNIT,
    Check("earlier-run", "what an earlier run left can be finished", _earlier_run, ("unit",)),
    _GENUINE,
    _NEW_CERTIFICATE,
    Check("own-certificates", "what the chip holds is good", _own_certificates, ("earlier-run",)),
    Check("slot-locks", "no slot that the run writes is locked", _slot_locks, ("earlier-run",)),
    Check(
        "unknown-data",
        "no unknown program has written into the open data zone",
        _unknown_data,
        ("earlier-run",),
    ),
    Check("address", "the chip's next I2C address is free", _address, ("configuration",)),
)
"""Before stage 1 of each chip that is delivered blank; they only read."""
TRUST_FLEX_CHECKS: Final = (
    Check("part", "the chip is an ATECC608", _part),
    Check("configuration", "the configuration is the maker's for a TFLXTLS", _maker_table, ("part",)),
    Check("key", "the key can be used without a secure boot", trust_flex.require_usable_key, ("configuration",)),
    _UNIT,
    Check("earlier-run", "what an earlier run left can be finished", trust_flex.find_earlier_run, ("unit", "key")),
    _GENUINE,
    _NEW_CERTIFICATE,
    Check("slot-locks", "each slot can take what the run does", trust_flex.require_open_slots, ("earlier-run",)),
    Check(
        "certificates", "no certificates are overwritten without consent", trust_flex.require_consent, ("earlier-run",)
    ),
)
"""Before stage 1 of each TFLXTLS; they only read."""


def chip_checks(profile: Profile) -> tuple[Check, ...]:
    """Return the checks of the chips that a product is made of; a proof that is not demanded is none of them."""
    checks = TRUST_FLEX_CHECKS if profile.part is DeliveredPart.TFLXTLS else CHIP_CHECKS
    return tuple(check for check in checks if check is not _GENUINE or profile.require_genuine)


def require_chip(flight: Preflight) -> None:
    """Make the checks of the chip; raise the error of the first that fails, with the chip's serial number if known."""
    try:
        for check in chip_checks(flight.profile):
            check.require(flight)
    except AtcaProvError as error:
        if flight.has_config:
            error.serial_number = flight.serial_number
        raise


class Outcome(enum.StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "not-checked"
    """A check before it, which it needs, has failed or was left out."""


@dataclass(frozen=True)
class CheckFinding:
    """The result of one check; `error` is there if it failed."""

    check: Check
    outcome: Outcome
    error: AtcaProvError | None = None


def findings(flight: Preflight, checks: Sequence[Check], leave_out: Collection[str] = ()) -> Iterator[CheckFinding]:
    """Make every check that can be made, in order, and yield its result; those named in `leave_out` are not made."""
    passed: set[str] = set()
    for check in checks:
        if check.name in leave_out or not passed.issuperset(check.needs):
            yield CheckFinding(check, Outcome.NOT_CHECKED)
            continue
        try:
            check.require(flight)
        except AtcaProvError as error:
            yield CheckFinding(check, Outcome.FAILED, error)
        else:
            passed.add(check.name)
            yield CheckFinding(check, Outcome.PASSED)
