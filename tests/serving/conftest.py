"""The library at a served chip, on each of its legs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from atcaprov import SoftwareChip
from tests.support.served_chips import Served, served
from tests.support.stock_cryptoauthlib import Wheel
from tests.support.stock_cryptoauthlib_links import bridge_wheel, i2c_wheel


@pytest.fixture
def chip() -> SoftwareChip:
    return SoftwareChip()


@pytest.fixture
def server(chip: SoftwareChip) -> Iterator[Served]:
    with served(chip) as found:
        yield found


@pytest.fixture(params=[bridge_wheel, i2c_wheel], ids=["bridge", "i2c"])
def wheel(request: pytest.FixtureRequest, server: Served) -> Iterator[Wheel]:
    with request.param(server) as driver:
        yield driver
