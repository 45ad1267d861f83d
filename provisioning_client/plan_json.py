"""A plan as one JSON object; its keys are explained in docs/reference/plan.md."""

from __future__ import annotations

from typing import Any

from atcaprov.chip.parts import part_name
from atcaprov.config_zone.locks import is_config_locked, is_data_locked, locked_slots
from atcaprov.errors import AtcaProvError
from atcaprov.inspection.verification import Verification
from atcaprov.provisioning.checks import CheckFinding
from atcaprov.provisioning.plan import Plan
from atcaprov.provisioning.stage_plan import PlannedWrite, StagePlan
from atcaprov.provisioning.trial_run import TrialRun
from provisioning_client.plan_text import certificate_fields, stage_words


def plan_object(plan: Plan, url: str, *, dry_run: bool) -> dict[str, Any]:
    """Return the object for the chip at a device URL; with `dry_run` also what the run on its twin gave."""
    chip = plan.snapshot
    return {
        "device": url,
        "sn": chip.serial_number.hex().upper(),
        "part": part_name(chip.revision),
        "revision": chip.revision.hex().upper(),
        **_zone(chip.config),
        "checks": [_check(finding) for finding in plan.findings],
        "assumptions": list(plan.assumptions),
        "stages": [_stage(plan, stage) for stage in plan.stages],
        "permanent": list(plan.permanent),
        "lost": [{"slot": slot, "uses": list(uses)} for slot, uses in plan.lost.items() if uses],
        "commands": plan.commands,
        "typical_ms": round(plan.typical_ms, 1),
        "maximum_ms": round(plan.maximum_ms, 1),
        "transport": url.partition(":")[0],
        "would_start": plan.error is None,
        "error": None if plan.error is None else _error(plan.error),
        "dry_run": _dry_run(plan.trial) if dry_run and plan.trial is not None else None,
    }


def _zone(config: bytes) -> dict[str, Any]:
    return {
        "config": config.hex().upper(),
        "config_locked": is_config_locked(config),
        "data_locked": is_data_locked(config),
        "locked_slots": sorted(locked_slots(config)),
    }


def _check(finding: CheckFinding) -> dict[str, Any]:
    result = {"name": finding.check.name, "looks_at": finding.check.looks_at, "outcome": str(finding.outcome)}
    return result if finding.error is None else {**result, **_error(finding.error)}


def _error(error: AtcaProvError) -> dict[str, Any]:
    return {
        "code": error.code,
        "message": error.what,
        "advice": error.advice,
        "board": str(error.board),
        "stage": None if error.stage is None else error.stage.value,
    }


def _stage(plan: Plan, stage: StagePlan) -> dict[str, Any]:
    return {
        "n": stage.stage.value,
        "stage": stage.stage.name,
        "state": str(stage.state),
        "does": stage_words(plan, stage),
        "writes": [_write(write) for write in stage.writes],
        "commands": dict(stage.commands),
        "typical_ms": round(stage.typical_ms, 1),
        "maximum_ms": round(stage.maximum_ms, 1),
    }


def _write(write: PlannedWrite) -> dict[str, Any]:
    return {
        "zone": write.zone.name.lower(),
        "slot": write.slot,
        "offset": write.offset,
        "bytes": write.data.hex().upper(),
    }


def _verification(found: Verification) -> dict[str, Any]:
    return {
        "verdict": str(found.verdict),
        "steps": [{"name": step.name, "outcome": str(step.outcome), "message": step.what} for step in found.steps],
    }


def _dry_run(trial: TrialRun) -> dict[str, Any]:
    result = trial.result
    return {
        "before": _zone(trial.config_before),
        "after": _zone(trial.config_after),
        "error": None if trial.error is None else _error(trial.error),
        "device_certificate": None if result is None else certificate_fields(result.device_x509),
        "verification": None if trial.verification is None else _verification(trial.verification),
        "device_certificate_der": None if result is None else result.device_certificate.hex().upper(),
        "signer_certificate_der": None if result is None else result.signer_certificate.hex().upper(),
    }
