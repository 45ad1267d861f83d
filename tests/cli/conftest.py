"""A provisioned chip, and the exported definitions of the CA that certified it."""

from __future__ import annotations

from pathlib import Path

import pytest

from atcaprov.emulator.state_file import chip_file
from tests.support.chips_by_use import provisioned
from tests.support.exported_signers import export_of
from tests.support.in_memory_server import MemoryCa


@pytest.fixture(scope="module")
def authority() -> MemoryCa:
    return MemoryCa()


@pytest.fixture(scope="module")
def finished(authority: MemoryCa) -> bytes:
    """A chip file of a provisioned chip."""
    return chip_file(provisioned(authority))


@pytest.fixture
def export(authority: MemoryCa, tmp_path: Path) -> Path:
    return export_of(authority, tmp_path / "export")
