"""Lock files of the tests' boards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from atcaprov.hal import bus_lock


@pytest.fixture(autouse=True, scope="module")
def own_locks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep locks to this run: another one on this computer has boards of the same names, such as /hid/shared."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bus_lock, "_SHARED_FOLDER", tmp_path_factory.mktemp("locks"))
        yield
