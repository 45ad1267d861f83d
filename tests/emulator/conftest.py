"""Chips for the tests of the software chip."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from atcaprov.emulator.chip import Chip
from tests.support.stock_cryptoauthlib import Wheel, driven


@pytest.fixture
def chip() -> Chip:
    return Chip()


@pytest.fixture
def wheel(chip: Chip) -> Iterator[Wheel]:
    with driven(chip) as driver:
        yield driver
