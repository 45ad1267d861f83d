"""ENOSPC and EIO at every call that writes to the ledger: the server refuses, stops issuing, and starts again."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from atcaprov.errors import Code
from tests.soak.disk_faults import DiskFault, DiskFaultAt
from tests.soak.factory import Ended, Factory

_REQUESTS: Final = 12
_HEALTHY, _FAILING = 200, 503


@dataclass
class DiskFaults:
    """What was done: faults by kind, and how the server met them."""

    by_kind: Counter[str] = field(default_factory=Counter)
    refused_start: int = 0
    stopped_issuing: int = 0
    unnoticed: int = 0
    """Those that hurt nothing, such as a write that was repeated or one while the ledger was closed."""

    @property
    def done(self) -> int:
        """Return how many there were."""
        return self.by_kind.total()


def calls_of_a_run(factory: Factory) -> int:
    """Return how many calls write to the ledger in a run on a new data folder, from its making to its end."""
    ended = _fresh(factory, "counted").run(requests=_REQUESTS)
    assert ended.code == 0, ended.said
    assert ended.calls, "the library is not preloaded"
    return ended.calls


def fail_at(factory: Factory, faults: Iterable[DiskFaultAt]) -> DiskFaults:
    """Let the disk fail at each call in turn, on a new data folder; check what follows.

    Raises:
        AssertionError: something was acknowledged and lost, a certificate was issued after the ledger had failed, its
            health was told wrongly, there was no typed error, or the next start was not right.
    """
    outcome = DiskFaults()
    for fault in faults:
        fresh = _fresh(factory, f"{fault.fault.name}-{fault.call}")
        ended = replace(fresh, signer=(*fresh.signer, "--web", "0")).run(fault, requests=_REQUESTS)
        try:
            _require_typed_error(ended, outcome)
            fresh.goes_on()
        except AssertionError as error:
            raise AssertionError(f"{fault}: {error}\n{ended.said}") from error
        outcome.by_kind[fault.fault.name] += 1
        shutil.rmtree(fresh.folder)
    return outcome


def _require_typed_error(ended: Ended, outcome: DiskFaults) -> None:
    assert "Traceback" not in ended.said
    assert not ended.issued_after_failure
    assert set(ended.refused) <= {Code.RECORDS_FAILED}
    assert ended.health == (0 if not ended.ready else _FAILING if ended.refused else _HEALTHY)
    if not ended.ready:
        outcome.refused_start += 1
        assert ended.code > 0
        assert "Error [" in ended.said
    elif ended.refused:
        outcome.stopped_issuing += 1
    else:
        outcome.unnoticed += 1


def _fresh(factory: Factory, name: str) -> Factory:
    folder = factory.folder / name
    folder.mkdir()
    return replace(factory, folder=folder, acknowledged=[], certificates={}, first=1)


def every_fault(calls: int, step: int = 1, first: int = 0) -> list[DiskFaultAt]:
    """Return each kind of fault at each `step`-th call, the kinds from different calls on."""
    return [
        DiskFaultAt(fault, call)
        for place, fault in enumerate(DiskFault)
        for call in range((first + place * step // len(DiskFault)) % step, calls, step)
    ]
