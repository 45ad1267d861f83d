"""What a run would do to one chip: every check, every stage, what becomes permanent, what is lost. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from atcaprov.certs.cert_info import CertInfo
from atcaprov.chip.execution_times import Times
from atcaprov.chip.memory_map import USER_EXTRA, USER_EXTRA_ADD
from atcaprov.config_zone.findings import Product
from atcaprov.config_zone.zone import ConfigZone
from atcaprov.device.command_guard import Act, act_of
from atcaprov.device.device import Device
from atcaprov.device.zones.config_zone import i2c_address
from atcaprov.device.zones.locked_data_zone import LockedDataZone
from atcaprov.errors import AtcaProvError
from atcaprov.inspection.snapshot import ChipSnapshot, read_identity, read_snapshot
from atcaprov.provisioning.checks import CheckFinding, Outcome, chip_checks, findings
from atcaprov.provisioning.finished_elsewhere import validate_as_issued
from atcaprov.provisioning.preflight import Preflight
from atcaprov.provisioning.profile import DeliveredPart, Profile
from atcaprov.provisioning.run_details import RunDetails
from atcaprov.provisioning.stage_plan import StagePlan, StageState, command_ms, stage_plans
from atcaprov.provisioning.station_checks import STATION_CHECKS
from atcaprov.provisioning.trial_run import TrialRun, TrialSituation, try_run
from atcaprov.provisioning.trial_signer import TrialSigner
from atcaprov.provisioning.trust_flex import outstanding
from atcaprov.provisioning.unknown_data import untouched_slots
from atcaprov.provisioning.user_functions import UserFunctions
from atcaprov.rehearsal.rehearsal import Rehearsal, rehearse
from atcaprov.rehearsal.report import told_losses
from atcaprov.stages import Stage

_SERVER_CHECK: Final = "signer"
_CHECKS_THAT_NEED_A_SERVER: Final = frozenset({_SERVER_CHECK})


@dataclass(frozen=True)
class Plan:
    """The plan for the chip of `snapshot`.

    `trial` is the run on its twin; None if a check has failed, so that no stage would begin. Without an answer of the
    server it has the default certificates, and `assumptions` says what else is assumed.
    """

    snapshot: ChipSnapshot
    profile: Profile
    findings: tuple[CheckFinding, ...]
    trial: TrialRun | None
    assumptions: tuple[str, ...]
    error: AtcaProvError | None
    """Why a run would not start, or would fail: the first failed check, what the chip's own certificates lack, or what
    stopped the run on the twin."""

    @cached_property
    def stages(self) -> tuple[StagePlan, ...]:
        """What each stage would do; nothing if no stage would begin."""
        if self.trial is None:
            return ()
        return stage_plans(self.trial, has_slots_to_lock=bool(self.profile.slots_to_lock))

    @property
    def commands(self) -> int:
        """How many commands a run sends, with those of the checks of the chip."""
        return sum(map(len, self.trial.packets.values())) if self.trial is not None else 0

    @property
    def typical_ms(self) -> float:
        """How long the chip usually takes for them, in milliseconds; without bus, adapter and server."""
        return self._chip_ms(Times.TYPICAL)

    @property
    def maximum_ms(self) -> float:
        """How long the slowest chip takes for them, in milliseconds."""
        return self._chip_ms(Times.MAXIMUM)

    def _chip_ms(self, times: Times) -> float:
        if self.trial is None:
            return 0
        return sum(command_ms(sent, self.trial.config_after, times) for sent in self.trial.packets.values())

    def does(self, stage: Stage) -> bool:
        """Tell whether a run would do something in a stage."""
        return any(plan.stage is stage and plan.state is StageState.TO_DO for plan in self.stages)

    @property
    def makes_key(self) -> bool:
        """Whether stage 4 makes a key; that of a TFLXTLS in slot 0 is the maker's and stays."""
        sent = self.trial.packets.get(Stage.GEN_KEY, ()) if self.trial is not None else ()
        return any(act_of(packet) is Act.CREATE_KEY for packet in sent)

    @cached_property
    def lost(self) -> dict[int, tuple[str, ...]]:
        """What slots can be used for before the run's locks and no longer after them; by slot number."""
        if self.does(Stage.DATA_LOCK):
            return {
                found.slot: told_losses(found.lost) for found in self._rehearsed(self.profile.slots_to_lock).by_slot()
            }
        if not self.does(Stage.SLOTS_LOCK):
            return {}
        with_locks = self._rehearsed(self.profile.slots_to_lock).by_slot()
        without = self._rehearsed(()).by_slot()
        return {
            one.slot: tuple(use for use in other.after if use not in one.after)
            for one, other in zip(with_locks, without, strict=True)
        }

    @cached_property
    def permanent(self) -> tuple[str, ...]:
        """What a run makes permanent, in words, in the order of its stages."""
        return tuple(_permanent(self))

    def fixed_slots(self) -> tuple[int, ...]:
        """Return the slots whose content never changes again after the locks."""
        return self._rehearsed(self.profile.slots_to_lock).fixed

    def _rehearsed(self, slots_to_lock: Sequence[int]) -> Rehearsal:
        product = Product(
            device_key_slot=self.profile.device_key_slot,
            certificate_slots=self.profile.certificate_slots,
            slots_to_lock=frozenset(slots_to_lock),
            allowed=self.profile.allow,
        )
        return rehearse(ConfigZone(self.profile.config_zone), product)


def make_plan(
    device: Device,
    profile: Profile,
    cert_info: CertInfo | None,
    functions: UserFunctions,
    *,
    boards: int = 1,
    order: str = "",
    product: str = "",
) -> Plan:
    """Read a chip, make every check, and try the run on its twin; the chip and the server are not changed.

    The server is asked for its signer and for certificates that it has issued before. Without `cert_info` it is not
    asked. `device` had better be read only.

    Raises:
        TransportError, ProtocolError, DeviceError: the chip cannot be read.
    """
    with device.burst():
        try:
            return _planned(device, profile, cert_info, functions, boards, RunDetails(order=order, product=product))
        finally:
            device.rest()


def _planned(
    device: Device,
    profile: Profile,
    cert_info: CertInfo | None,
    functions: UserFunctions,
    boards: int,
    details: RunDetails,
) -> Plan:
    identity = read_identity(device)
    default = TrialSigner.default()
    flight = Preflight(
        profile,
        cert_info or default.cert_info,
        functions,
        boards=boards,
        expected_serial=identity.serial_number,
        details=details,
    )
    flight.device = device
    leave_out = () if cert_info is not None else _CHECKS_THAT_NEED_A_SERVER
    found = tuple(findings(flight, (*STATION_CHECKS, *chip_checks(profile)), leave_out))
    failed = [finding for finding in found if finding.outcome is Outcome.FAILED]
    error = failed[0].error if failed else _own_certificates(flight)
    if error is not None and [finding.check.name for finding in failed] != [_SERVER_CHECK]:
        return Plan(identity, profile, found, None, (), error)
    signer = TrialSigner.like(flight.offer) if flight.has_offer else default
    situation = TrialSituation(
        read_snapshot(device),
        profile,
        signer,
        was_certified=flight.issued is not None or (_is_done_if_locked(flight) and not flight.has_offer),
        holds_certificates=_is_done_if_locked(flight) or (flight.issued is not None and not _missing(flight)),
        untouched=untouched_slots(flight) if flight.config_is_locked and not flight.data_is_locked else {},
        unit=flight.unit if flight.has_offer else "",
    )
    trial = try_run(situation)
    return Plan(situation.snapshot, profile, found, trial, tuple(_assumed(flight, situation)), error or trial.error)


def _own_certificates(flight: Preflight) -> AtcaProvError | None:
    """Return what is wrong with the certificates of a chip with a locked data zone, which its run would only check."""
    if flight.chip is None or flight.issued is None or not flight.data_is_locked or _missing(flight):
        return None
    try:
        validate_as_issued(flight.device, flight.chip, flight.issued, flight.offer, flight.cert_info)
    except AtcaProvError as error:
        return error
    return None


def _is_done_if_locked(flight: Preflight) -> bool:
    """Return whether the data zone is locked, where that says that the certificates are written."""
    return flight.data_is_locked and flight.profile.part is DeliveredPart.BLANK


def _missing(flight: Preflight) -> bool:
    """Return whether a TFLXTLS does not hold yet what the server has issued for it."""
    if flight.issued is None or flight.profile.part is DeliveredPart.BLANK:
        return False
    return bool(outstanding(LockedDataZone(flight.device, flight.config), flight.issued.writes))


def _assumed(flight: Preflight, situation: TrialSituation) -> list[str]:
    assumed = []
    if not flight.has_offer:
        assumed.append("Without a signer offered by the server, the certificates are the default ones.")
        if _is_done_if_locked(flight):
            assumed.append("It is assumed that the server has certified this chip.")
        elif flight.config_is_locked:
            assumed.append("It is assumed that the server has not certified a key of this chip.")
        if flight.profile.require_genuine:
            assumed.append(_proof_left_out(flight))
    if flight.config_is_locked and not flight.data_is_locked:
        told = sorted(slot for slot, untouched in situation.untouched.items() if untouched)
        unknown = [slot for slot in range(16) if slot not in told and not situation.snapshot.zone.slots[slot].private]
        listed = ", ".join(map(str, unknown))
        assumed.append(f"What the chip does not tell is assumed to be as the maker left it: slots {listed} and OTP.")
    return assumed


def _proof_left_out(flight: Preflight) -> str:
    """Return what a plan says of the proof of a genuine part that it could not demand without the server's answer."""
    if not flight.config_is_locked:
        return "A blank part cannot prove that Microchip made it: a run that demands this proof refuses it."
    return "It is assumed that the part proves that Microchip made it, or that the server has certified its key."


def _permanent(plan: Plan) -> list[str]:
    lines: list[str] = []
    trial = plan.trial
    if trial is None:
        return lines
    for stage in plan.stages:
        if stage.stage is Stage.CONFIG_WRITE:
            lines += [
                f"byte {write.offset} of the configuration zone is {write.data.hex().upper()}: it can be set only once"
                for write in stage.writes
                if write.offset in (USER_EXTRA, USER_EXTRA_ADD)
            ]
    if plan.does(Stage.CONFIG_LOCK):
        lines.append("the configuration: who may read, write and use each slot")
        if i2c_address(trial.config_after) != i2c_address(trial.config_before):
            lines.append(f"the I2C address 0x{i2c_address(trial.config_after):02X} (8-bit form)")
    if plan.makes_key and plan.snapshot.keys.get(plan.profile.device_key_slot):
        lines.append(f"the key that is in slot {plan.profile.device_key_slot} now is lost: a new one takes its place")
    if plan.profile.part is DeliveredPart.TFLXTLS and plan.does(Stage.CERTS_WRITE):
        lines.append("certificates that are on the part now, such as the maker's, are overwritten")
    if plan.does(Stage.DATA_LOCK):
        fixed = ", ".join(map(str, plan.fixed_slots()))
        lines.append(f"the data and OTP zones: slots {fixed} never change again")
    if plan.does(Stage.SLOTS_LOCK):
        lines.append(f"slots locked one by one: {', '.join(map(str, trial.locks_slots))}")
    return lines
