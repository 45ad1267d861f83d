"""A plan for people: checks, stages, what is permanent, what is lost, how long it takes, and the dry run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from atcaprov.chip.memory_map import SLOT_SIZES
from atcaprov.chip.parts import part_name
from atcaprov.config_zone.locks import is_config_locked, is_data_locked, locked_slots
from atcaprov.errors import AtcaProvError
from atcaprov.provisioning.checks import Outcome
from atcaprov.provisioning.plan import Plan
from atcaprov.provisioning.provision import Provisioned
from atcaprov.provisioning.stage_plan import PlannedWrite, StagePlan, StageState
from atcaprov.provisioning.trial_run import TrialRun
from atcaprov.rehearsal.report import slot_list
from atcaprov.stages import Stage
from provisioning_client.console_output import FATES, LABEL_WIDTH

_STATES: Final = {
    StageState.TO_DO: "to do",
    StageState.DONE: "done",
    StageState.SKIPPED: "skipped",
    StageState.FAILS: "fails",
    StageState.NOT_REACHED: "not reached",
}
_OUTCOMES: Final = {Outcome.PASSED: "passed", Outcome.FAILED: "FAILED", Outcome.NOT_CHECKED: "not checked"}
_EXTENSIONS: Final = {
    ExtensionOID.BASIC_CONSTRAINTS: "basicConstraints",
    ExtensionOID.KEY_USAGE: "keyUsage",
    ExtensionOID.EXTENDED_KEY_USAGE: "extKeyUsage",
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME: "subjectAltName",
    ExtensionOID.SUBJECT_KEY_IDENTIFIER: "subjectKeyIdentifier",
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER: "authorityKeyIdentifier",
}
_BYTES_IN_LINE: Final = 16


def plan_lines(plan: Plan, url: str, *, dry_run: bool) -> Iterator[str]:
    """Yield the lines of a plan for the chip at a device URL; with `dry_run` also what the run on its twin gave."""
    chip = plan.snapshot
    yield f"Chip {chip.serial_number.hex().upper()} ({url}), {part_name(chip.revision)}: {_locks(chip.config)}."
    yield from _checks(plan)
    if plan.trial is not None:
        yield from _stages(plan)
        yield from _permanent(plan)
        yield from _time(plan, url)
        if dry_run:
            yield from _dry_run(plan, plan.trial)
    yield from _conclusion(plan)


def _locks(config: bytes) -> str:
    words = [
        f"{name} zone {'locked' if locked else 'open'}"
        for name, locked in (("configuration", is_config_locked(config)), ("data", is_data_locked(config)))
    ]
    slots = sorted(locked_slots(config))
    return ", ".join([*words, *([f"slots {', '.join(map(str, slots))} locked"] if slots else [])])


def _checks(plan: Plan) -> Iterator[str]:
    yield "Checks before stage 1:"
    for finding in plan.findings:
        yield f"  {_OUTCOMES[finding.outcome]:<13}{finding.check.looks_at} ({finding.check.name})"
        if finding.error is not None:
            yield f"               [{finding.error.code}] {finding.error}"
    for assumption in plan.assumptions:
        yield f"  {assumption}"


def _stages(plan: Plan) -> Iterator[str]:
    yield "Stages:"
    for stage in plan.stages:
        words = stage_words(plan, stage)
        label = f"{stage.stage.label:.<{LABEL_WIDTH}}"
        yield f"  {stage.stage.value:2} {label}{_STATES[stage.state]:<12}{words}".rstrip()
        if stage.stage is Stage.CONFIG_WRITE:
            for write in stage.writes:
                yield from _bytes(write)


def stage_words(plan: Plan, stage: StagePlan) -> str:
    """Return in words what a stage does; nothing if it is not to do."""
    return _does(plan, stage) if stage.state is StageState.TO_DO else ""


def _does(plan: Plan, stage: StagePlan) -> str:
    profile = plan.profile
    match stage.stage:
        case Stage.CONFIG_WRITE:
            return f"write {sum(len(write.data) for write in stage.writes)} bytes of the configuration zone"
        case Stage.CONFIG_LOCK:
            return "lock the configuration zone, permanently"
        case Stage.CONFIG_READ:
            return "read the configuration zone and compare it"
        case Stage.GEN_KEY:
            what = "generate a key" if plan.makes_key else "take the maker's key"
            return f"{what} in slot {profile.device_key_slot}"
        case Stage.CERTS_REQUEST:
            return "have the server issue certificates for this key"
        case Stage.CERTS_WRITE:
            return "write certificates and public keys to " + ", ".join(map(_place, stage.writes))
        case Stage.DATA_WRITE:
            return "write nothing else: this client has no data of its own"
        case Stage.DATA_LOCK:
            return "lock the data and OTP zones, permanently"
        case Stage.SLOTS_LOCK:
            slots = [] if plan.trial is None else plan.trial.locks_slots
            return f"lock slots {', '.join(map(str, slots))}, permanently"
        case Stage.VALIDATE_CERTS:
            return "read everything back, check the chain, and have the chip sign"


def _place(write: PlannedWrite) -> str:
    """Return slot and size; the chip takes whole blocks, and what lies past the end of a slot falls off."""
    assert write.slot is not None
    return f"slot {write.slot} ({min(len(write.data), SLOT_SIZES[write.slot] - write.offset)} bytes)"


def _bytes(write: PlannedWrite) -> Iterator[str]:
    for start in range(0, len(write.data), _BYTES_IN_LINE):
        data = write.data[start : start + _BYTES_IN_LINE]
        offset = write.offset + start
        where = f"byte {offset}" if len(data) == 1 else f"bytes {offset}-{offset + len(data) - 1}"
        yield f"       {where:<15} {data.hex(' ').upper()}"


def _permanent(plan: Plan) -> Iterator[str]:
    if plan.permanent:
        yield "Permanent afterwards:"
        yield from (f"  {line}" for line in plan.permanent)
    yield from _losses(plan)


def _losses(plan: Plan) -> Iterator[str]:
    """Yield a line for the slots that lose the same uses."""
    slots: dict[tuple[str, ...], list[int]] = {}
    for slot, uses in plan.lost.items():
        if uses:
            slots.setdefault(uses, []).append(slot)
    if slots:
        yield "No longer possible afterwards:"
    for uses, numbers in slots.items():
        yield f"  {'slot' if len(numbers) == 1 else 'slots'} {slot_list(numbers)} can no longer be {' or '.join(uses)}"


def _time(plan: Plan, url: str) -> Iterator[str]:
    yield (
        f"Time: the chip takes {plan.typical_ms / 1000:.2f} s, at most {plan.maximum_ms / 1000:.2f} s, for"
        f" {plan.commands} commands. Transfers ({url.partition(':')[0]}) and the server's answers are not included."
    )


def _dry_run(plan: Plan, trial: TrialRun) -> Iterator[str]:
    yield "Dry run on a twin of this chip; the server issued nothing, and the chip was only read:"
    if trial.error is not None:
        where = f"stage {trial.error.stage.value}" if trial.error.stage else "before stage 1"
        yield f"  stopped in {where}: [{trial.error.code}] {trial.error}"
    if trial.result is not None:
        yield from (f"  {line}" for line in _certificate(trial.result))
    if trial.verification is not None:
        yield f"  chip verify would say: {trial.verification.verdict}"
        yield from (f"    {step.outcome}: {step.what}" for step in trial.verification.steps)
    yield f"  before: {_locks(trial.config_before)}"
    yield f"  after:  {_locks(trial.config_after)}"
    differing = [offset for offset in range(128) if trial.config_before[offset] != trial.config_after[offset]]
    yield f"  bytes of the configuration zone that differ: {len(differing)}"


def _certificate(result: Provisioned) -> Iterator[str]:
    yield "The twin's certificate is for a key of its own, by a signer made for this trial:"
    yield from (
        f"  {name.replace('_', ' ')}: {value}" for name, value in certificate_fields(result.device_x509).items()
    )


def certificate_fields(certificate: x509.Certificate) -> dict[str, str]:
    """Return what a person or a script is shown of a device certificate."""
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "serial_number": f"{certificate.serial_number:X}",
        "not_before": certificate.not_valid_before_utc.isoformat(),
        "not_after": certificate.not_valid_after_utc.isoformat(),
        "extensions": ", ".join(_extension_name(extension.oid) for extension in certificate.extensions),
    }


def _extension_name(oid: x509.ObjectIdentifier) -> str:
    """Return the name of an extension as RFC 5280 writes it, or its number."""
    return _EXTENSIONS.get(oid, oid.dotted_string)


def _conclusion(plan: Plan) -> Iterator[str]:
    if plan.error is None:
        yield "A run would start."
        return
    yield from _failure(plan.error)


def _failure(error: AtcaProvError) -> Iterator[str]:
    where = "before stage 1" if error.stage is None else f"in stage {error.stage.value}"
    yield f"A run would stop {where}: [{error.code}] {error} {FATES[error.board]}"
