"""What the slots of a chip can be used for, and what each use needs: found by trying it, and by leaving needs out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from atcaprov.chip.memory_map import COUNTERS, FIELDS_608, SLOT_COUNT
from atcaprov.rehearsal.needs import Need, NeedKind
from atcaprov.rehearsal.probe_run import ProbeRun
from atcaprov.rehearsal.slot_probes import PROBES, Probe
from atcaprov.rehearsal.trial_chip import TrialChip

Needs = tuple[Need, ...]
Uses = Mapping[str, Mapping[int, Needs]]
"""For each use the slots on which it works, and what it needs there."""
_COUNTED: Final = (COUNTERS, FIELDS_608)


def uses_of(trial: TrialChip) -> Uses:
    """Return what the slots of the chip can be used for. The chip stays as it is."""
    return {use: _slots_for(trial, use) for use in PROBES}


def _slots_for(trial: TrialChip, use: str) -> dict[int, Needs]:
    tried = {number: needs_of(trial, use, number) for number in range(SLOT_COUNT)}
    return {number: needs for number, needs in tried.items() if needs is not None}


def needs_of(trial: TrialChip, use: str, number: int) -> Needs | None:
    """Return what a use of a slot needs, in order; None if the chip refuses it in any case.

    The chip stays as it is. Each need is proved: the use is refused when this one alone is not met.
    """
    for probe in PROBES[use]:
        needs = _tried(trial, probe, number, frozenset())
        if needs is not None:
            return _without_surplus(trial, probe, number, needs)
    return None


def _without_surplus(trial: TrialChip, probe: Probe, number: int, needs: Needs) -> Needs:
    without: frozenset[Need] = frozenset()
    proved: set[Need] = set()
    while rest := [need for need in needs if need not in proved and need.kind is not NeedKind.USE_LEFT]:
        fewer = _tried(trial, probe, number, without | {rest[0]})
        if fewer is None:
            proved.add(rest[0])
        else:
            without, needs = without | {rest[0]}, fewer
    return needs


def _tried(trial: TrialChip, probe: Probe, number: int, without: frozenset[Need]) -> Needs | None:
    run = ProbeRun(trial.fork(), without)
    if not probe(run, run.trial.slot(number)):
        return None
    config = run.trial.chip.memory.config
    if any(config[place] != trial.chip.memory.config[place] for place in _COUNTED):
        run.asks(NeedKind.USE_LEFT)
    return tuple(run.needs)
