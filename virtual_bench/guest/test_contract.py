"""The contract of all ways to a chip, over the bench's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from virtual_bench.guest.contract_ways import BenchWay  # before the suite: it puts the bench's ways in place
from virtual_bench.plugboard import Plugboard

# isort: split
from tests.hal.test_contract import *  # noqa: F403 - the suite

# They name ways without hardware; test_boards.py has the same for the bench's.
del test_every_firmware_serves_the_vendors_driver  # noqa: F821
del test_replugged_board_opens_while_an_old_handle_is_open  # noqa: F821


@pytest.fixture(autouse=True, scope="module")
def plugged_ways(bench: Plugboard) -> Iterator[None]:
    """Let the ways use the session's plugboard."""
    BenchWay.plugboard = bench
    yield
    bench.unplug_all()
