"""Take the twin of a chip through the whole run, with a server in memory: what the run would do, command by command.

The twin is a software chip that shows what the real chip shows. It has keys of its own, so its certificates are for
these keys. What the real chip does not show is assumed to be as the maker left it: the data of a chip whose data zone
is open, unless the chip tells by a MAC that it holds something else.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from atcaprov.certs.cert_info import CertInfo
from atcaprov.certs.definitions.definition import DeviceZone
from atcaprov.certs.rebuild import unit_content
from atcaprov.chip.memory_map import OTP_SIZE, SLOT_SIZES
from atcaprov.config_zone import locks
from atcaprov.device.device import Device
from atcaprov.errors import AtcaProvError
from atcaprov.hal.base import ForwardingHal, Hal
from atcaprov.hal.emulated import EmulatedHal
from atcaprov.inspection.certificates.defined import IssuerDefinitions
from atcaprov.inspection.snapshot import ChipSnapshot, read_snapshot
from atcaprov.inspection.twin import open_twin
from atcaprov.inspection.verification import TrustSources, Verification, verify_chip
from atcaprov.provisioning.profile import Profile
from atcaprov.provisioning.provision import Provisioned, Provisioner
from atcaprov.provisioning.trial_server import TrialFunctions, TrialServer
from atcaprov.provisioning.trial_signer import TrialSigner
from atcaprov.stages import Stage, StageStatus

_FRESH: Final = b"\xff"
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrialRun:
    """How a run on the twin went: either `result` or `error` is there.

    `packets` has each stage's commands, in order, as they went to the chip; under None those of the checks before
    stage 1. `config_before` and `config_after` are the zones of 128 bytes.
    """

    config_before: bytes
    config_after: bytes
    packets: Mapping[Stage | None, tuple[bytes, ...]]
    ended: Mapping[Stage, StageStatus]
    result: Provisioned | None = None
    verification: Verification | None = None
    """What `atcaprov chip verify` says of the twin afterwards, with the root of the trial."""
    error: AtcaProvError | None = None

    @property
    def locks_slots(self) -> list[int]:
        """Return the slots that the run has locked one by one."""
        return sorted(set(locks.locked_slots(self.config_after)) - set(locks.locked_slots(self.config_before)))


@dataclass(frozen=True)
class TrialSituation:
    """What the twin stands for: the chip as it shows itself, and what is known of it besides."""

    snapshot: ChipSnapshot
    profile: Profile
    signer: TrialSigner
    was_certified: bool
    """Whether the server has certified the key that the chip holds."""
    holds_certificates: bool
    """Whether the chip holds those certificates."""
    untouched: Mapping[int, bool] = field(default_factory=dict)
    """What an open chip tells of its slots: whether they are as the maker left them."""
    unit: str = ""
    """The unit's name; empty: one that the certificate can have, if it has any."""


def try_run(situation: TrialSituation) -> TrialRun:
    """Run all checks and stages on a twin; no error is raised for what fails in them."""
    serial_number = situation.snapshot.serial_number.hex().upper()
    _LOG.info("Trial on a twin of chip %s: the chip is not touched by the stages that follow.", serial_number)
    try:
        return _tried(situation)
    finally:
        _LOG.info("End of the trial on a twin of chip %s.", serial_number)


def _tried(situation: TrialSituation) -> TrialRun:
    server = TrialServer(situation.signer)
    functions = TrialFunctions(server, situation.unit)
    twin = open_twin(_as_assumed(situation), fresh_keys=True)
    recorder = _RecordingHal(twin, functions)
    with Device(recorder) as device:
        if situation.was_certified:
            _certify(device, twin, server, situation)
        before = device.read_config()
        recorder.packets.clear()
        # What only the chip itself can tell was checked there: whether certificates may be overwritten, and whose part
        # it is. The twin's certificates and keys are its own.
        profile = replace(
            situation.profile, replace_certificates=True, replace_foreign_certificates=True, require_genuine=False
        )
        result, error = _provisioned(device, profile, situation.signer.cert_info, functions)
        functions.stage = None
        packets = {stage: tuple(sent) for stage, sent in recorder.packets.items()}
        verified = None if result is None else _verified(device, situation.signer)
        return TrialRun(before, device.read_config(), packets, functions.ended, result, verified, error)


def _verified(device: Device, signer: TrialSigner) -> Verification:
    definitions = IssuerDefinitions(
        signer.device_definition, signer.signer_definition, signer.root_public_key, signer.public_key
    )
    return verify_chip(device, read_snapshot(device), TrustSources(datetime.now(UTC), definitions))


def _provisioned(
    device: Device, profile: Profile, cert_info: CertInfo, functions: TrialFunctions
) -> tuple[Provisioned | None, AtcaProvError | None]:
    try:
        return Provisioner(profile, cert_info, functions).provision(device), None
    except AtcaProvError as error:
        return None, error


def _as_assumed(situation: TrialSituation) -> ChipSnapshot:
    """Return the snapshot with what an open chip does not show: the content that the maker left."""
    snapshot = situation.snapshot
    if not locks.is_config_locked(snapshot.config) or locks.is_data_locked(snapshot.config):
        return snapshot
    assumed = {
        slot: _FRESH * size for slot, size in enumerate(SLOT_SIZES) if situation.untouched.get(slot) is not False
    }
    return replace(snapshot, slots=assumed, otp=_FRESH * OTP_SIZE)


def _certify(device: Device, twin: EmulatedHal, server: TrialServer, situation: TrialSituation) -> None:
    """Have the server know the twin's key; if the chip holds its certificates, give them to the twin, too."""
    zone = situation.snapshot.zone
    public_key = device.get_pubkey(situation.profile.device_key_slot)
    reply = server.issue(zone.serial_number, public_key, situation.unit)
    if situation.holds_certificates:
        for write in reply.writes:
            twin.chip.memory.write_slot(write.slot, write.offset, write.data)
        _name(twin, server.signer, situation.unit)


def _name(twin: EmulatedHal, signer: TrialSigner, unit: str) -> None:
    """Give the twin the unit's name, if its certificate has one."""
    place = signer.device_definition.unit_location
    name = unit_content(signer.device_definition, unit or signer.example_unit)
    if place.zone is DeviceZone.DATA:
        twin.chip.memory.write_slot(place.slot, place.offset, name)
    elif place.zone is DeviceZone.OTP:
        twin.chip.memory.otp[place.offset : place.end] = name


class _RecordingHal(ForwardingHal):
    """Keeps each packet under the stage that sent it."""

    def __init__(self, hal: Hal, functions: TrialFunctions) -> None:
        super().__init__(hal)
        self._functions = functions
        self.packets: dict[Stage | None, list[bytes]] = {}

    def exchange(self, packet: bytes) -> bytes:
        """Return the chip's reply."""
        self.packets.setdefault(self._functions.stage, []).append(packet)
        return self._hal.exchange(packet)
