"""One chip's run: what is known of the chip so far, and what each stage does.

Each stage looks at the chip before it acts and can be repeated, so that a run that was cut off continues where the chip
stands: what is done already is skipped, what was done differently is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from atcaprov.certs.definitions.definition import DeviceZone
from atcaprov.certs.rebuild import SlotContent, unit_content
from atcaprov.chip.memory_map import serial_number
from atcaprov.config_zone import locks
from atcaprov.device.command_guard import Act
from atcaprov.device.zones import config_zone
from atcaprov.device.zones.data_zone import DataZoneWriter, SlotWriter
from atcaprov.errors import ProvisioningError
from atcaprov.provisioning.certificate_reply import ChipKey
from atcaprov.provisioning.finished_elsewhere import validate_as_issued
from atcaprov.provisioning.new_certificates import ask_for_certificates
from atcaprov.provisioning.preflight import Preflight
from atcaprov.provisioning.stage_permits import PERMITS
from atcaprov.stages import Stage


class Run:
    """The state of one run; the methods named as stages are called in order by `provision`."""

    def __init__(self, flight: Preflight) -> None:
        """Begin with the facts of a chip that has passed all checks."""
        self._flight = flight
        self.device = flight.device
        self.profile = flight.profile
        self.cert_info = flight.cert_info
        self.functions = flight.functions
        self.offer = flight.offer
        self.revision = flight.revision
        """The answer of Info, 4 bytes."""
        self.chip = flight.chip
        self.issued = flight.issued
        self.has_acted = False
        """Whether a stage has begun that changes the chip."""
        self.config_was_locked = flight.config_is_locked
        self.data_was_locked = flight.data_is_locked

    @property
    def was_done_before(self) -> bool:
        """Whether this run only finishes or confirms an earlier one: the data zone was locked when it began."""
        return self.data_was_locked

    @property
    def serial_number(self) -> bytes:
        """Serial number of the chip, 9 bytes."""
        return self._flight.serial_number

    @property
    def next_url(self) -> str | None:
        """Where the chip is once it has slept, if it moves in this run."""
        return self._flight.next_url

    @property
    def config(self) -> bytes:
        """The configuration zone as last read, 128 bytes."""
        return self._flight.config

    @config.setter
    def config(self, config: bytes) -> None:
        self._flight.config = config

    @property
    def data_zone(self) -> SlotWriter:
        """What the certificates and the integrator's data are written to."""
        return self._flight.data_zone

    def require_same_chip(self) -> None:
        """Raise ProvisioningError unless the chip of the start answers.

        While a server or the integrator's code is at work, a board can be exchanged; what the run writes then, or
        locks, would be another board's.
        """
        if self.device.serial_number() != self.serial_number:
            raise exchanged()

    def has_to_write_config(self) -> bool:
        """Tell whether stage 1 has something to do; bytes 84 and 85 may be open in a locked zone."""
        return self._flight.has_to_write_config()

    def write_config(self) -> None:
        """Stage 1."""
        self.config = config_zone.write_config(self.device, self.config, self.profile.config_zone)

    def lock_config(self) -> None:
        """Stage 2."""
        config_zone.lock_config(self.device, self.config)

    def read_config(self) -> None:
        """Stage 3; proves the lock and that the chip is still the one of the start."""
        before, self.config = self.config, self.device.read_config()
        if serial_number(before) != serial_number(self.config):
            raise exchanged()
        if not locks.is_config_locked(self.config):
            raise ProvisioningError("The configuration zone is not locked although the chip accepted the lock.")
        config_zone.require_same_config(self.config, self.profile.config_zone, locked_now=not self.config_was_locked)

    def generate_key(self) -> None:
        """Stage 4."""
        public_key = self.device.gen_key(self.profile.device_key_slot)
        self.chip = ChipKey.of(self.config, public_key)

    def request_certificates(self) -> None:
        """Stage 5."""
        assert self.chip is not None
        self.issued = ask_for_certificates(self._flight, self.chip)
        self.offer = self._flight.offer

    def write_certificates(self) -> None:
        """Stage 6."""
        assert self.issued is not None
        for write in self.issued.writes:
            self.data_zone.write(write.slot, write.offset, write.data)

    def write(self, slot: int, offset: int, data: bytes) -> None:
        """Write the integrator's data, which may come at any time, to the chip of the start only."""
        self.require_same_chip()
        self.data_zone.write(slot, offset, data)

    def write_data(self) -> None:
        """Stage 7: the unit's own name, then the integrator's data."""
        assert self.chip is not None
        name = self.unit_content()
        self.write_unit(name)
        writer = DataZoneWriter(self, self.profile.certificate_slots, self.chip.serial_number, name)
        if self.functions.writes_data_zone:
            self.device.rest()  # it may take any time before it writes
        self.functions.write_data_zone(writer)

    def unit_content(self) -> SlotContent | None:
        """Return the unit's name at its place in a data slot; None if the certificate has none, or it is in OTP."""
        assert self.issued is not None
        definition = self.offer.device_definition
        place = definition.unit_location
        if place.zone is not DeviceZone.DATA:
            return None
        return SlotContent(place.slot, place.offset, unit_content(definition, self.issued.unit))

    def write_unit(self, name: SlotContent | None) -> None:
        """Write the unit's name to its place, a slot (`name`) or the OTP zone, if the certificate has one."""
        assert self.issued is not None
        definition = self.offer.device_definition
        if name is not None:
            self.data_zone.write(name.slot, name.offset, name.data)
        elif definition.unit is not None:
            self._flight.data_zone.write_otp(unit_content(definition, self.issued.unit), definition.unit.offset)

    def lock_data(self) -> None:
        """Stage 8: with the CRC of all that was written.

        No data can be written before the configuration lock. If this run made that lock, what it did not write is
        factory content and may be filled; otherwise it may be a secret of the product.
        """
        self._flight.data_zone.lock(may_fill=not self.config_was_locked or self.profile.fill_unwritten)

    def slots_still_open(self) -> list[int]:
        """Return the slots of the profile's list that are not locked yet."""
        return self._flight.slots_to_lock()

    def lock_slots(self) -> None:
        """Stage 9."""
        for slot in self.slots_still_open():
            self.device.lock_slot(slot)

    def validate(self) -> None:
        """Stage 10."""
        assert self.chip is not None
        assert self.issued is not None
        self._flight.proof = validate_as_issued(self.device, self.chip, self.issued, self.offer, self.cert_info)


def exchanged() -> ProvisioningError:
    """Return the error for another chip than the one of the start."""
    return ProvisioningError(
        "Another chip answers: the board was exchanged during the run.",
        advice="Put the first board back and start again.",
    )


class Step(NamedTuple):
    """One stage of a run: whether it has something to do, what it does, and which changes it may make."""

    stage: Stage
    needed: Callable[[Any], bool]
    act: Callable[[Any], None]
    may_change: bool = True
    """False for a stage that only reads here, although other runs change something in it."""
    skipped_because: str = "it is done"
    """Why a stage that is not needed has nothing to do; for the log."""

    @property
    def permits(self) -> tuple[Act, ...]:
        """The acts for which the stage has permits while it runs."""
        return PERMITS.get(self.stage, ()) if self.may_change else ()


BLANK_STEPS: Final = (
    Step(Stage.CONFIG_WRITE, Run.has_to_write_config, Run.write_config),
    Step(Stage.CONFIG_LOCK, lambda run: not run.config_was_locked, Run.lock_config),
    Step(Stage.CONFIG_READ, lambda run: True, Run.read_config),
    Step(Stage.GEN_KEY, lambda run: run.issued is None, Run.generate_key),
    Step(Stage.CERTS_REQUEST, lambda run: run.issued is None, Run.request_certificates),
    Step(Stage.CERTS_WRITE, lambda run: not run.data_was_locked, Run.write_certificates),
    Step(Stage.DATA_WRITE, lambda run: not run.data_was_locked, Run.write_data),
    Step(Stage.DATA_LOCK, lambda run: not run.data_was_locked, Run.lock_data),
    Step(Stage.SLOTS_LOCK, lambda run: bool(run.slots_still_open()), Run.lock_slots),
    # A chip that came with its data zone locked is judged by its content alone, so it is always validated.
    Step(Stage.VALIDATE_CERTS, lambda run: run.profile.validate or run.data_was_locked, Run.validate),
)
"""The stages of a part that is delivered blank."""
