from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from provisioning_server.cli import command
from provisioning_server.ledger.changes import Event, Issued
from provisioning_server.ledger.open_ledger import FILE_NAME, open_ledger
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from tests.provisioning_server.ledger.events import NOW, ORIGIN, issued, reported, step
from tests.support.programs import Ended, run_in_process

RunLedger = Callable[..., Ended]
"""Run `provisioning-server ledger` with these words, on the data folder of the test."""


def changed(event: Issued, **fields: object) -> Issued:
    return replace(event, record=replace(event.record, **fields))  # type: ignore[arg-type]


OTHER_SIGNER = bytes.fromhex("0123AABBCCDDEEFFEE")
EVENTS: tuple[Event, ...] = (
    issued(1, origin=ORIGIN),
    changed(issued(2, after=60), client="198.51.100.9:40000", signer_serial=OTHER_SIGNER, signer_name="Other"),
    issued(3, after=120),
    reported(0, 1),
    reported(2, 3, signature=b"", fate="set-aside"),
)


@pytest.fixture
def open_server(tmp_path: Path) -> Iterator[SqlLedger]:
    """The ledger as a running server has it open; three certificates, the first proven, the last set aside."""
    with contextlib.closing(open_ledger(tmp_path / FILE_NAME, NOW)) as ledger:
        step(ledger, *EVENTS)
        yield ledger


@pytest.fixture
def run_ledger(open_server: SqlLedger, tmp_path: Path) -> RunLedger:
    return lambda *words: run_in_process(command, "--data", str(tmp_path), "ledger", *map(str, words))
