"""Fixtures of the tests that run inside the virtual machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from virtual_bench import vhci
from virtual_bench.guest.factory import BenchFactory, running_factory
from virtual_bench.machine import OUT_VARIABLE
from virtual_bench.plugboard import Plugboard

_LAST: Final = ("test_boards", "test_contract")
"""A time limit loses what stands at the end: these are long, and for the most part shown without a kernel too."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long tests last."""
    items.sort(key=lambda item: _LAST.index(item.path.stem) + 1 if item.path.stem in _LAST else 0)


@pytest.fixture(scope="session")
def bench() -> Iterator[Plugboard]:
    """Yield the plugboard, one process for all tests: replugging costs half as much as a new process."""
    if not vhci.SYSFS.exists():
        pytest.fail("There is no vhci-hcd: run these tests with 'make bench'.")
    with Plugboard(Path(os.environ[OUT_VARIABLE]) / "plugboard.log") as plugboard:
        yield plugboard


@pytest.fixture
def plugboard(bench: Plugboard) -> Iterator[Plugboard]:
    """Yield the plugboard; after the test, pull what it plugged in, which its programs must have closed by then."""
    standing = bench.plugged()
    yield bench
    bench.unplug_all(standing)


@pytest.fixture(scope="session")
def factory(tmp_path_factory: pytest.TempPathFactory, bench: Plugboard) -> Iterator[BenchFactory]:
    """Yield one Provisioning Server with a signer module for all tests; the module stays plugged in."""
    with running_factory(tmp_path_factory.mktemp("factory"), bench) as factory:
        yield factory
