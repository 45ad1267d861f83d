"""Every flow of the product works under every reading of the chip that concerns it."""

from __future__ import annotations

import pytest

from tests.open_points.flows import FLOWS, World
from tests.open_points.stops import held_for
from tests.support.open_point_combinations import Result, run_combinations

pytestmark = pytest.mark.slow


def failures(results: list[Result]) -> str:
    failed = [str(result) for result in results if result.error is not None]
    return "\n".join([f"{len(failed)} of {len(results)}", *failed[:20]]) if failed else ""


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_works_under_every_reading(name: str, world: World) -> None:
    results = run_combinations(lambda reading, _: FLOWS[name](reading, world), held=held_for(name))
    assert not failures(results)
