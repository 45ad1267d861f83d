"""kill -9 at every step of the pipeline and at random times, one start after the other on one ledger."""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Final

from tests.soak.factory import REQUESTS, Factory
from tests.soak.kill_points import KillAt, Step

_CALLS: Final = {
    Step.DECIDE: 12,
    Step.BUILD: 24,
    Step.STATEMENT: 80,
    Step.COMMIT: 14,
    Step.STEP: 14,
    Step.SIGN: 24,
    Step.VERIFY: 24,
    Step.REPLY: 40,
}
"""About how often each is called in a run: the n-th call is chosen out of so many."""
_KINDS: Final = len(Step) + 1
"""Each step in turn, then a kill from outside, after some acknowledgements."""
_TRIES: Final = 3


@dataclass
class Kills:
    """What was done: kills by step, and those from outside."""

    by_step: Counter[str] = field(default_factory=Counter)
    before_ready: int = 0

    @property
    def done(self) -> int:
        """Return how many there were."""
        return self.by_step.total()


def plan(number: int, random: Random) -> KillAt | None:
    """Return the kill with a number: the steps in turn, before and after; None for one from outside."""
    turn, kind = divmod(number, _KINDS)
    if kind == len(Step):
        return None
    step = list(Step)[kind]
    return KillAt(step, bool(turn % 2), random.randint(1, _CALLS[step]))


def kill_again_and_again(factory: Factory, count: int) -> Kills:
    """Kill servers, check the ledger after each, and let it go on in the end.

    Raises:
        AssertionError: something was lost or doubled, or a server did not start again.
    """
    factory.goes_on()
    kills = Kills()
    for number in range(count * _TRIES):
        if kills.done == count:
            break
        fault = plan(number, factory.random)
        ended = factory.run(fault, kill_after=factory.random.randint(1, REQUESTS) if fault is None else None)
        factory.check()
        if ended.code == -signal.SIGKILL:
            kills.by_step[_name(fault)] += 1
            kills.before_ready += not ended.ready
        else:
            assert ended.code == 0, f"kill {number} ({fault}): {ended.said}"  # the step did not come so often
    assert kills.done == count
    factory.goes_on()
    return kills


def _name(fault: KillAt | None) -> str:
    return "at a random time" if fault is None else f"{'after' if fault.after else 'before'}: {fault.step.value}"
