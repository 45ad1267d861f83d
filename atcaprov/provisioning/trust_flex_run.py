"""The run of a TFLXTLS: the same ten stages over a part whose configuration and data lock are the maker's."""

from __future__ import annotations

from typing import Final

from atcaprov.chip.memory_map import serial_number
from atcaprov.config_zone.zone import ConfigZone
from atcaprov.device.zones.locked_data_zone import LockedDataZone
from atcaprov.errors import Board, CertificateError, ProvisioningError
from atcaprov.inspection.key_proof import prove_key
from atcaprov.provisioning.certificate_reply import ChipKey
from atcaprov.provisioning.preflight import Preflight
from atcaprov.provisioning.run import Run, Step, exchanged
from atcaprov.provisioning.trust_flex import outstanding, require_maker_table
from atcaprov.stages import Stage


class TrustFlexRun(Run):
    """The state of one run; each stage compares first, and writes what is missing."""

    def __init__(self, flight: Preflight) -> None:
        super().__init__(flight)
        self._was_done_before = (
            self.issued is not None
            and not self.has_to_write_certificates()
            and not self.misses_unit()
            and not self.slots_still_open()
        )

    @property
    def was_done_before(self) -> bool:
        """Whether an earlier run had done all: certificates written, and the named slots locked."""
        return self._was_done_before

    @property
    def data_zone(self) -> LockedDataZone:
        """The data zone under the maker's rules, and the slot locks as last read."""
        return LockedDataZone(self.device, self.config)

    def read_config(self) -> None:
        """Stage 3: the table is still the maker's, and the chip the one of the start."""
        before, self.config = self.config, self.device.read_config()
        if serial_number(before) != serial_number(self.config):
            raise exchanged()
        require_maker_table(self.config)

    def take_key(self) -> None:
        """Stage 4 with the maker's key in slot 0: it stays, its public key is computed, and it signs a challenge.

        A key that cannot sign is found before a certificate is asked for, and before the maker's are overwritten.
        """
        self.require_same_chip()
        chip = ChipKey.of(self.config, self.device.get_pubkey(self.profile.device_key_slot))
        if chip != self.chip:
            raise ProvisioningError(
                "The chip gives another public key than before this run.",
                advice="Nothing was changed. Start again; if it happens twice, set the board aside.",
            )
        self._prove_key(chip)

    def make_key(self) -> None:
        """Stage 4 with another slot: a new key is made there, and signs a challenge."""
        self.generate_key()
        assert self.chip is not None
        self._prove_key(self.chip)

    def _prove_key(self, chip: ChipKey) -> None:
        try:
            prove_key(self.device, self.profile.device_key_slot, chip.public_key)
        except CertificateError as error:
            error.board = Board.SET_ASIDE
            error.advice = "No certificate was asked for or overwritten. Set the board aside: its key does not sign."
            raise

    def has_to_write_certificates(self) -> bool:
        """Tell whether a certificate is not on the chip yet."""
        return self.issued is None or bool(outstanding(self.data_zone, self.issued.writes))

    def has_to_write_data(self) -> bool:
        """Tell whether the client writes data of its own, or the unit's name is not on the chip yet."""
        return self.functions.writes_data_zone or self.misses_unit()

    def misses_unit(self) -> bool:
        """Tell whether the unit's name is not on the chip yet."""
        name = self.unit_content() if self.issued is not None else None
        return name is not None and not self.data_zone.holds(name.slot, name.offset, name.data)

    def slots_still_open(self) -> list[int]:
        """Return the slots of the profile's list that can still be locked; a permanent one needs no lock."""
        slots = ConfigZone(self.config).slots
        return [slot for slot in super().slots_still_open() if slots[slot].key_config.lockable]

    def validate(self) -> None:
        """Stage 10; whatever it finds, the maker's key is still there, so that the board is not scrap."""
        try:
            super().validate()
        except CertificateError as error:
            error.board = Board.SET_ASIDE
            error.advice = "Start again once. If it happens twice, call the technician: the part is not scrap."
            raise


def _makes_a_key(run: TrustFlexRun) -> bool:
    return run.issued is None


_WITH_MAKERS_KEY: Final = Step(Stage.GEN_KEY, _makes_a_key, TrustFlexRun.take_key, may_change=False)
_WITH_NEW_KEY: Final = Step(Stage.GEN_KEY, _makes_a_key, TrustFlexRun.make_key)


def trust_flex_steps(device_key_slot: int) -> tuple[Step, ...]:
    """Return the stages of a TFLXTLS; only a key in slots 2 to 4 can be made."""
    return (
        _by_the_maker(Stage.CONFIG_WRITE, "the maker wrote it; stage 3 compares it"),
        _by_the_maker(Stage.CONFIG_LOCK, "the maker locked it"),
        Step(Stage.CONFIG_READ, lambda run: True, TrustFlexRun.read_config),
        _WITH_MAKERS_KEY if device_key_slot == 0 else _WITH_NEW_KEY,
        Step(Stage.CERTS_REQUEST, lambda run: run.issued is None, TrustFlexRun.request_certificates),
        Step(Stage.CERTS_WRITE, TrustFlexRun.has_to_write_certificates, TrustFlexRun.write_certificates),
        Step(
            Stage.DATA_WRITE,
            TrustFlexRun.has_to_write_data,
            TrustFlexRun.write_data,
            skipped_because="this client has no data of its own, and the chip its unit's name",
        ),
        _by_the_maker(Stage.DATA_LOCK, "the maker locked it"),
        Step(Stage.SLOTS_LOCK, lambda run: bool(run.slots_still_open()), TrustFlexRun.lock_slots),
        Step(Stage.VALIDATE_CERTS, lambda run: run.profile.validate or run.was_done_before, TrustFlexRun.validate),
    )


def _by_the_maker(stage: Stage, reason: str) -> Step:
    """Return a stage that was done before delivery."""
    return Step(stage, lambda run: False, lambda run: None, may_change=False, skipped_because=reason)
