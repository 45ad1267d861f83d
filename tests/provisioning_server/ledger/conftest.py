from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provisioning_server.ledger.open_ledger import FILE_NAME, open_ledger
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from tests.provisioning_server.ledger.events import NOW

OpenStore = Callable[[], SqlLedger]
"""Open the same store once more, as the next start of a server does."""


def _sqlite(folder: Path) -> OpenStore:
    return lambda: open_ledger(folder / FILE_NAME, NOW)


_STORES: dict[str, Callable[[Path], OpenStore]] = {"sqlite": _sqlite}


@pytest.fixture(params=_STORES)
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    """A new ledger of each kind in turn; all that is asked of one is asked of the others."""
    opened = _STORES[request.param](tmp_path)
    opened().close()
    return opened


@pytest.fixture
def ledger(open_store: OpenStore) -> Iterator[SqlLedger]:
    opened = open_store()
    yield opened
    opened.close()
