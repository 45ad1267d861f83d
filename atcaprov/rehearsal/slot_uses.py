"""Try an act on a slot, and find out what it needs by doing it without."""

from __future__ import annotations

from typing import Final

from atcaprov.chip.memory_map import COUNTERS, FIELDS_608
from atcaprov.rehearsal.needs import Kind, Need
from atcaprov.rehearsal.probe_run import Attempt
from atcaprov.rehearsal.slot_probes import ACTS, Form
from atcaprov.rehearsal.trial_chip import Twin

Needs = tuple[Need, ...]
_COUNTED: Final = (COUNTERS, FIELDS_608)


def needs_of(twin: Twin, act: str, number: int) -> Needs | None:
    """Return what an act on a slot of the chip needs, in order; None if the chip refuses it whatever is done before.

    The twin stays as it is. Each need is proved: the act is refused when this one alone is not met.
    """
    for form in ACTS[act]:
        needs = _tried(twin, form, number, frozenset())
        if needs is not None:
            return _without_surplus(twin, form, number, needs)
    return None


def _without_surplus(twin: Twin, form: Form, number: int, needs: Needs) -> Needs:
    without: frozenset[Need] = frozenset()
    proved: set[Need] = set()
    while rest := [need for need in needs if need not in proved and need.kind is not Kind.USE_LEFT]:
        fewer = _tried(twin, form, number, without | {rest[0]})
        if fewer is None:
            proved.add(rest[0])
        else:
            without, needs = without | {rest[0]}, fewer
    return needs


def _tried(twin: Twin, form: Form, number: int, without: frozenset[Need]) -> Needs | None:
    attempt = Attempt(twin.fork(), without)
    if not form(attempt, attempt.twin.slot(number)):
        return None
    config = attempt.twin.chip.memory.config
    if any(config[place] != twin.chip.memory.config[place] for place in _COUNTED):
        attempt.asks(Kind.USE_LEFT)
    return tuple(attempt.needs)
