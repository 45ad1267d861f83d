"""What is known before stage 1: of the station, of what the server offers, and of the chip in the fixture."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Final

from atcaprov.certs.cert_info import CertInfo
from atcaprov.chip.memory_map import serial_number
from atcaprov.config_zone import locks
from atcaprov.device.device import Device
from atcaprov.device.zones import config_zone
from atcaprov.device.zones.data_zone import DataZone
from atcaprov.errors import Board, CertificateError, Code, ProvisioningError
from atcaprov.provisioning import signer_offer
from atcaprov.provisioning.certificate_reply import ChipKey, IssuedCertificates, require_offered
from atcaprov.provisioning.profile import Profile
from atcaprov.provisioning.run_details import RunDetails
from atcaprov.provisioning.server_exchange import ask_patiently
from atcaprov.provisioning.signer_offer import SignerOffer
from atcaprov.provisioning.user_functions import UserFunctions
from atcaprov.provisioning.validation import PossessionProof
from atcaprov.transparency.ledger_checkpoint import LedgerIdentity
from atcaprov.wire.messages import CertificatesReply, CertificatesRequest


class Preflight:
    """The facts that the checks before stage 1 find and judge; a check sets the ones that its description names.

    `device` is missing while only the station is checked. A run begins with the facts of checks that have all passed.
    """

    device: Device
    offer: SignerOffer
    """What the server offers now: there after the check `signer`."""
    revision: bytes
    """The answer of Info, 4 bytes: there after the check `part`, as `config` and `data_zone`."""
    config: bytes
    """The configuration zone as last read, 128 bytes."""
    data_zone: DataZone

    def __init__(
        self,
        profile: Profile,
        cert_info: CertInfo,
        functions: UserFunctions,
        *,
        boards: int = 1,
        expected_serial: bytes = b"",
        ledgers: dict[str, LedgerIdentity] | None = None,
        details: RunDetails | None = None,
    ) -> None:
        """`boards` is how many boards are to be provisioned by the signer that the server offers now.

        `expected_serial` is the serial number (9 bytes) of the chip in the fixture, if it was read already. `ledgers`
        are those that servers were on when they were asked last; it is kept up to date. The unit and the label of
        `details` are asked of the functions as soon as the chip is known.
        """
        self.profile = profile
        self.cert_info = cert_info
        self.functions = functions
        self.boards = boards
        self.expected_serial = expected_serial
        self.details = details or RunDetails()
        self._units: Final[dict[bytes, str]] = {}
        self._labels: Final[dict[bytes, str]] = {}
        self.ledgers: Final = {} if ledgers is None else ledgers
        self.offers: Final[dict[str, SignerOffer]] = {}
        """The newest offer of each server that was asked for one."""
        self.asked_server: str | None = None
        """The server that was sent a request for a new certificate: it may have issued one, whatever came back."""
        self.chip: ChipKey | None = None
        """The chip with the key that the server has certified before."""
        self.issued: IssuedCertificates | None = None
        """What the server has issued for this chip before."""
        self.challenged: CertificatesReply | None = None
        """The newest reply of the server with a challenge, checked or not: it wants a report of this chip."""
        self.challenged_by = ""
        """The server that sent it."""
        self.proof: PossessionProof | None = None
        """What the chip signed in stage 10."""
        self.next_url: str | None = None
        """Where the chip is once it has slept, if it moves in this run."""

    @property
    def has_offer(self) -> bool:
        """Whether the check `signer` has passed."""
        return hasattr(self, "offer")

    @property
    def has_config(self) -> bool:
        """Whether the check `part` has passed."""
        return hasattr(self, "config")

    @property
    def serial_number(self) -> bytes:
        """Serial number of the chip, 9 bytes."""
        return serial_number(self.config)

    @property
    def config_is_locked(self) -> bool:
        """Whether the configuration zone was locked when it was last read."""
        return locks.is_config_locked(self.config)

    @property
    def data_is_locked(self) -> bool:
        """Whether the data zone was locked when the configuration zone was last read."""
        return locks.is_data_locked(self.config)

    def has_to_write_config(self) -> bool:
        """Tell whether stage 1 has something to do; bytes 84 and 85 may be open in a locked zone."""
        return not self.config_is_locked or bool(config_zone.open_extras(self.config, self.profile.config_zone))

    def slots_to_lock(self) -> list[int]:
        """Return the slots of the profile's list that are not locked yet."""
        return [slot for slot in self.profile.slots_to_lock if not locks.is_slot_locked(self.config, slot)]

    def slots_to_write(self) -> list[int]:
        """Return the slots in which the run makes a key, or writes a certificate or the unit's name."""
        rule = self.offer.device_definition.unit
        of_unit = set() if rule is None or rule.slot is None else {rule.slot}
        slots = {*self.offer.device_definition.write_slots, *self.offer.signer_definition.write_slots, *of_unit}
        return sorted(slots if self.issued is not None else {self.profile.device_key_slot, *slots})

    def ask_for_offer(self, chip_serial: bytes) -> SignerOffer:
        """Ask the server for its signer, for this chip (9 bytes; empty: unknown); raises as `ask_for_offer`."""
        details = self.details_of(chip_serial)
        offer = signer_offer.ask_for_offer(self.functions, self.cert_info, self.profile, chip_serial, details)
        self.offers[self.functions.server] = offer
        if offer.ledger is not None:
            self.ledgers[self.functions.server] = offer.ledger
        return offer

    def details_of(self, chip_serial: bytes) -> RunDetails:
        """Return what the server is told of the run, with unit and label of this chip (9 bytes; empty: unknown)."""
        if not chip_serial:
            return self.details
        return replace(self.details, unit=self.unit_of(chip_serial), label=self._label_of(chip_serial))

    def unit_of(self, chip_serial: bytes) -> str:
        """Return the name that is given to the unit with a chip (9 bytes), as it is given; it is asked for once."""
        if chip_serial not in self._units:
            self._units[chip_serial] = self.functions.unit_name(chip_serial)
        return self._units[chip_serial]

    def _label_of(self, chip_serial: bytes) -> str:
        if chip_serial not in self._labels:
            self._labels[chip_serial] = self.functions.unit_label(chip_serial)
        return self._labels[chip_serial]

    @property
    def unit(self) -> str:
        """The unit's own name as the certificate has it, after the check `unit`; empty if it holds none."""
        return self._units.get(self.serial_number, "")

    @unit.setter
    def unit(self, name: str) -> None:
        self._units[self.serial_number] = name

    def turn_back_to(self, server: str) -> None:
        """Ask a server again that has made an offer before."""
        self.functions.use_server(server)
        self.offer = self.offers[server]

    def ledger_of(self, server: str) -> LedgerIdentity | None:
        """Return the ledger that a server was on when it was asked last; None if that is unknown."""
        return self.ledgers.get(server) or self.functions.known_ledger(server)

    def request(self, chip: ChipKey, *, existing_only: bool) -> IssuedCertificates:
        """Ask the server for the chip's certificates and check them; with `existing_only` none are issued.

        Raises:
            ServerRejected, TransportError, ProtocolError: as `server_exchange.ask`.
            CertificateError, ProvisioningError: the reply is not what was offered, or fails a check.
        """
        chip_facts = CertificatesRequest(
            self.config,
            chip.public_key,
            self.cert_info.signer_public_key,
            existing_only=existing_only,
            any_of_group=self.profile.any_of_group,
            revision=int.from_bytes(self.revision, "big"),
        )
        request = self.details_of(self.serial_number).told_in(chip_facts)
        self.device.rest()  # a server takes longer than the chip's watchdog
        sending = functools.partial(self._is_sent, existing_only=existing_only)
        reply = ask_patiently(self.functions, request, CertificatesReply, sending)
        self.challenged, self.challenged_by = reply if reply.challenge else None, self.functions.server
        require_offered(reply, self.offer, self.profile)
        try:
            return IssuedCertificates.checked(reply, chip, self.offer, self.cert_info, self.profile, unit=self.unit)
        except (CertificateError, ProvisioningError) as error:
            if error.code != Code.CLOCK_WRONG:
                error.board = Board.SET_ASIDE  # a server gives the same again
            raise

    def _is_sent(self, *, existing_only: bool) -> None:
        if not existing_only:
            self.asked_server = self.functions.server
