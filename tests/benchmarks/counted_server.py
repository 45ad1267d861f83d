"""The program `provisioning-server`, which counts the steps of its ledger and does nothing else in another way.

At its end it writes the number of steps, and of the events in them, to a file.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from atcaprov.program.entry_point import start
from provisioning_server.ledger.changes import Changes
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.ledger.store import Committed
from tests.support.server import ServerProgram, server_program

_FILE = "steps.json"


@dataclass
class Steps:
    """What was committed."""

    steps: int = 0
    events: int = 0

    @property
    def batch(self) -> int:
        """Return how many events one sync of the disk served, on average."""
        return max(1, round(self.events / max(1, self.steps)))


@contextlib.contextmanager
def counted_server(folder: Path, *options: object) -> Iterator[ServerProgram]:
    """Start the program with options; see `read_steps`."""
    with server_program(*options, start=(sys.executable, str(Path(__file__)), str(folder / _FILE))) as server:
        yield server


def read_steps(folder: Path) -> Steps:
    """Return what a server that has ended counted."""
    return Steps(**json.loads((folder / _FILE).read_text()))


def _count_steps(counted: Steps) -> None:
    commit = SqlLedger.commit

    def commit_and_count(ledger: SqlLedger, changes: Changes) -> Committed:
        counted.steps += 1
        counted.events += len(changes.events)
        return commit(ledger, changes)

    setattr(SqlLedger, "commit", commit_and_count)  # noqa: B010 - mypy allows no assignment to a method


def _main(result: Path) -> None:
    counted = Steps()
    _count_steps(counted)
    try:
        start("provisioning_server.cli")
    finally:
        result.write_text(json.dumps(asdict(counted)))


if __name__ == "__main__":
    del sys.argv[2]  # the name of the package: see `server_program`
    _main(Path(sys.argv.pop(1)))
