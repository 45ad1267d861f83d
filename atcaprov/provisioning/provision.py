"""`provision()`: take one chip through the ten stages."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from cryptography import x509

from atcaprov.certs.cert_info import CertInfo
from atcaprov.chip.memory_map import REVISION
from atcaprov.device.device import Device
from atcaprov.errors import AtcaProvError, Board, DeviceError
from atcaprov.provisioning.board_report import BoardReport
from atcaprov.provisioning.checks import require_chip
from atcaprov.provisioning.preflight import Preflight
from atcaprov.provisioning.profile import DeliveredPart, Profile
from atcaprov.provisioning.run import BLANK_STEPS, Run, Step
from atcaprov.provisioning.run_details import RunDetails
from atcaprov.provisioning.run_outcome import RunOutcome
from atcaprov.provisioning.station_checks import require_station
from atcaprov.provisioning.trust_flex_run import TrustFlexRun, trust_flex_steps
from atcaprov.provisioning.user_functions import UserFunctions
from atcaprov.stages import Stage, StageStatus
from atcaprov.transparency.ledger_checkpoint import LedgerIdentity

_LOG: Final = logging.getLogger(__name__)
_BEFORE_THE_LOCK: Final = (Stage.CONFIG_WRITE, Stage.CONFIG_LOCK)
"""The lock has a CRC over the serial number, so another chip refuses it, and stage 3 reads the whole zone."""


@dataclass(frozen=True)
class Provisioned:
    """A chip that is ready: serial number (9 bytes) and its chain, in DER and parsed.

    `revision` is the answer of Info, which tells the part; `config_revision` is what stands in the configuration zone.
    """

    serial_number: bytes
    device_certificate: bytes
    signer_certificate: bytes
    root_certificate: bytes
    was_done_before: bool
    """The run only finished or confirmed an earlier one."""
    revision: bytes
    config_revision: bytes
    request_id: bytes = b""
    """The id of the run in the server's records, 16 bytes."""
    server: str = ""
    """The server that issued the certificates, as the client reaches it."""

    @cached_property
    def device_x509(self) -> x509.Certificate:
        """The device certificate, parsed."""
        return x509.load_der_x509_certificate(self.device_certificate)

    @cached_property
    def signer_x509(self) -> x509.Certificate:
        """The signer certificate, parsed."""
        return x509.load_der_x509_certificate(self.signer_certificate)

    @cached_property
    def root_x509(self) -> x509.Certificate:
        """The root certificate, parsed."""
        return x509.load_der_x509_certificate(self.root_certificate)


class Provisioner:
    """Provisions chip after chip for one product with one kind of signer."""

    def __init__(
        self, profile: Profile, cert_info: CertInfo, functions: UserFunctions, *, order: str = "", product: str = ""
    ) -> None:
        """`order` names the work order and `product` the product profile to the server; empty if there is none."""
        self._profile = profile
        self._cert_info = cert_info
        self._functions = functions
        self._order = order
        self._product = product
        self._ledgers: dict[str, LedgerIdentity] = {}

    def prepare(self, boards: int = 1) -> None:
        """Make the checks that need no chip: errors of the station show up at its start.

        `boards` is how many boards the batch has, at least; the signer's quota must be enough for them.

        Raises:
            AtcaProvError: the station is not ready, or the server's signer is missing or does not fit the product.
        """
        self._checked_station(RunDetails(order=self._order, product=self._product), boards)

    def _checked_station(self, details: RunDetails, boards: int = 1, chip_serial: bytes = b"") -> Preflight:
        """Return what the server offers now. It may have gone away or changed its signer since the last board."""
        flight = Preflight(
            self._profile,
            self._cert_info,
            self._functions,
            boards=boards,
            expected_serial=chip_serial,
            ledgers=self._ledgers,
            details=details,
        )
        require_station(flight)
        return flight

    def provision(self, device: Device, serial_number: bytes = b"") -> Provisioned:
        """Take one chip through the stages; a chip whose earlier run was cut off continues where it stands.

        `serial_number` are the 9 bytes of the chip if the caller has read them: then a chip of which the server has
        certified another key is refused before its first stage, and not in the fifth.

        Every check is made before each chip, and all of them before its first stage.

        Raises:
            AtcaProvError: it says what becomes of the board, and names the chip and the stage that failed. Before the
                first stage, the server is asked for its signer, and the chip and what the server knows of it are looked
                at. Exceptions of the user functions pass through unchanged.
        """
        details = RunDetails.of_new_run(self._order, self._product)
        self._functions.run_begins(details.request_id)
        flight = self._checked_station(details, chip_serial=serial_number)
        flight.device = device
        outcome = RunOutcome()
        try:
            provisioned = self._on_chip(flight, outcome)
        except BaseException as error:
            self._report(outcome.report(flight, error))
            raise
        self._report(outcome.report(flight, None))
        return provisioned

    def _on_chip(self, flight: Preflight, outcome: RunOutcome) -> Provisioned:
        device = flight.device
        with device.burst():
            try:
                return self._run(flight, outcome)
            except DeviceError as error:
                device.explain(error)
                raise
            finally:
                device.rest()

    def _report(self, report: BoardReport | None) -> None:
        """Give the report to the user functions; the board's fate is decided, whatever they do."""
        if report is None:
            return
        try:
            self._functions.report(report)
        except Exception as error:
            _LOG.warning("The report on chip %s was not kept.", report.serial_number.hex().upper(), exc_info=error)
            if not isinstance(error, AtcaProvError):
                error = AtcaProvError(f"The report of the chip was not kept: {error!r}.")
            self._functions.warning(error)

    def _run(self, flight: Preflight, outcome: RunOutcome) -> Provisioned:
        require_chip(flight)
        _LOG.info("Chip %s, revision %s.", flight.serial_number.hex().upper(), flight.revision.hex().upper())
        run, steps = _begun(flight)
        try:
            for step in steps:
                self._take(step, run, outcome)
        except AtcaProvError as error:
            error.serial_number = run.serial_number
            raise
        return _result(run, flight)

    def _take(self, step: Step, run: Run, outcome: RunOutcome) -> None:
        if not step.needed(run):
            self._notify(outcome, step.stage, StageStatus.SKIPPED, step.skipped_because)
            return
        self._notify(outcome, step.stage, StageStatus.START)
        run.has_acted = run.has_acted or bool(step.permits)
        try:
            if step.permits and step.stage not in _BEFORE_THE_LOCK:
                run.require_same_chip()
            with run.device.permit(*step.permits):
                step.act(run)
        except BaseException as error:
            if isinstance(error, AtcaProvError):
                error.stage = step.stage
                if run.has_acted:
                    _correct_fate(error, run)
            self._notify(outcome, step.stage, StageStatus.ERROR)
            raise
        self._notify(outcome, step.stage, StageStatus.DONE)

    def _notify(self, outcome: RunOutcome, stage: Stage, status: StageStatus, reason: str = "") -> None:
        outcome.notice(stage, status)
        _LOG.info("Stage %d %s: %s%s", stage.value, stage.name, status, f" ({reason})" if reason else "")
        self._functions.notify(stage, status)


def _begun(flight: Preflight) -> tuple[Run, tuple[Step, ...]]:
    """Return the run of a chip that has passed all checks, and its steps."""
    if flight.profile.part is DeliveredPart.TFLXTLS:
        return TrustFlexRun(flight), trust_flex_steps(flight.profile.device_key_slot)
    return Run(flight), BLANK_STEPS


def _correct_fate(error: AtcaProvError, run: Run) -> None:
    """Correct the error of a chip that was changed: its board is not untouched, and its URL may be another."""
    if error.board is Board.UNTOUCHED:
        error.board = Board.SET_ASIDE  # a mistake of the caller, which another try repeats
    if run.next_url is not None and error.board is not Board.SCRAP:
        error.advice = f"{error.advice} If the chip is not found as before, its device URL is {run.next_url}.".lstrip()


def _result(run: Run, flight: Preflight) -> Provisioned:
    assert run.chip is not None
    assert run.issued is not None
    return Provisioned(
        run.chip.serial_number,
        run.issued.device_certificate,
        run.issued.signer_certificate,
        run.issued.root_certificate,
        run.was_done_before,
        run.revision,
        run.config[REVISION],
        flight.details.request_id,
        flight.functions.server,
    )
