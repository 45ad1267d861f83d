"""How SQLite is set, asked of SQLite itself, in a program of its own: other tests of this folder do not sync."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_ASKED = """
import sys
from pathlib import Path
from provisioning_server.ledger.open_ledger import open_ledger
from tests.provisioning_server.ledger.events import NOW
ledger = open_ledger(Path(sys.argv[1]), NOW)
with ledger._database.writing() as writer:
    for name in ("journal_mode", "synchronous", "fullfsync", "checkpoint_fullfsync", "trusted_schema"):
        print(name, *writer.rows("PRAGMA " + name)[0])
"""


@pytest.mark.slow
def test_steps_are_synced_to_the_disk(tmp_path: Path) -> None:
    asked = subprocess.run(
        [sys.executable, "-c", _ASKED, str(tmp_path / "l")], capture_output=True, text=True, check=True
    )
    full = "2"  # https://www.sqlite.org/pragma.html#pragma_synchronous
    assert asked.stdout.split("\n")[:-1] == [
        "journal_mode wal",
        f"synchronous {full}",
        "fullfsync 1",
        "checkpoint_fullfsync 1",
        "trusted_schema 0",
    ]
