"""What the flows need around their chips."""

from __future__ import annotations

import pytest

from tests.open_points.flows import World
from tests.support.in_memory_server import MemoryCa


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return a server's root and signer, and a folder for roots."""
    return World(MemoryCa(), tmp_path_factory.mktemp("roots"))
