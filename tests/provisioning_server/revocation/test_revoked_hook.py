"""The factory's command is told of each revocation: in order, at least once, over errors and restarts."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.revocation.revoked_hook import RevokedHook
from tests.provisioning_server.ledger.events import issued, step
from tests.support.crl_server import revoked
from tests.support.in_memory_signer import NOW
from tests.support.ledgers import ledger_in
from tests.support.server_parts import RememberingLog, chip_serial

KEEPS = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"
FAILS_TWICE = f"""
import sys, pathlib
tries = pathlib.Path(sys.argv[1] + '.tries')
tries.write_text((tries.read_text() if tries.exists() else '') + 'x')
if len(tries.read_text()) < 3: sys.exit(7)
{KEEPS}
"""
pytestmark = pytest.mark.slow


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlLedger]:
    with closing(ledger_in(tmp_path)) as opened:
        step(opened, *(issued(number) for number in range(1, 4)))
        yield opened


def revoke(ledger: SqlLedger, *numbers: int) -> None:
    stored = [ledger.known([chip_serial(number)], []).of_chip(chip_serial(number))[0] for number in numbers]
    step(ledger, *(revoked(each, NOW, "superseded") for each in stored))


def hook(
    ledger: SqlLedger, folder: Path, program: str, log: RememberingLog | None = None, **options: Any
) -> RevokedHook:
    command = (sys.executable, "-c", program, str(folder / "told"))
    return RevokedHook(command, folder, ledger, log or RememberingLog(), pauses=(0.0,), **options)


def told(folder: Path) -> list[str]:
    """Return the chips that the command was told of."""
    lines = (folder / "told").read_text().splitlines() if (folder / "told").exists() else []
    return [json.loads(line)["chip_serial"] for line in lines]


def chips(*numbers: int) -> list[str]:
    return [chip_serial(number).hex().upper() for number in numbers]


def test_each_revocation_is_told_once_in_order(ledger: SqlLedger, tmp_path: Path) -> None:
    once = hook(ledger, tmp_path, KEEPS)
    asyncio.run(once.tell_new())
    assert told(tmp_path) == []
    revoke(ledger, 2, 1)
    asyncio.run(once.tell_new())
    asyncio.run(once.tell_new())
    assert told(tmp_path) == chips(2, 1)
    revoke(ledger, 3)
    asyncio.run(hook(ledger, tmp_path, KEEPS).tell_new())
    assert told(tmp_path) == chips(2, 1, 3), "a restart tells only what is new"


def test_a_command_that_fails_is_called_again(ledger: SqlLedger, tmp_path: Path) -> None:
    log = RememberingLog()
    revoke(ledger, 1)
    asyncio.run(hook(ledger, tmp_path, FAILS_TWICE, log).tell_new())
    assert told(tmp_path) == chips(1)
    assert sum("failed: it ended with 7. It is tried again." in line for line in log.lines) == 2


@pytest.mark.parametrize("program", ["import time; time.sleep(600)", "import sys; sys.exit(1)"])
def test_a_command_that_hangs_or_fails_for_ever_ends_with_the_server(
    ledger: SqlLedger, tmp_path: Path, program: str
) -> None:
    log = RememberingLog()
    revoke(ledger, 1)

    async def cut() -> None:
        calling = asyncio.create_task(hook(ledger, tmp_path, program, log, call_seconds=0.05).run())
        while len(log.lines) < 2:
            await asyncio.sleep(0.01)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)

    asyncio.run(cut())
    assert not (tmp_path / "on-revoked.json").exists(), "it was not told yet"


def test_a_missing_command_is_warned_of(ledger: SqlLedger, tmp_path: Path) -> None:
    log = RememberingLog()
    revoke(ledger, 1)
    missing = RevokedHook((str(tmp_path / "missing"),), tmp_path, ledger, log, pauses=(0.0,), look_seconds=0.0)

    async def cut() -> None:
        calling = asyncio.create_task(missing.run())
        while not log.lines:
            await asyncio.sleep(0.01)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)

    asyncio.run(cut())
    assert "failed: " in log.lines[0]
    assert log.lines[0].endswith(" It is tried again.")


@pytest.mark.parametrize(
    "damaged", ["", "x", "[]", '{"told": 1}', '{"told": "x", "ledger": "y"}', '{"told": 7, "ledger": "other"}']
)
def test_of_a_damaged_place_it_begins_again(ledger: SqlLedger, tmp_path: Path, damaged: str) -> None:
    (tmp_path / "on-revoked.json").write_text(damaged)
    revoke(ledger, 1, 2)
    asyncio.run(hook(ledger, tmp_path, KEEPS).tell_new())
    assert told(tmp_path) == chips(1, 2)
    kept = json.loads((tmp_path / "on-revoked.json").read_text())
    assert kept == {"told": 2, "ledger": ledger.identity.ledger_id.hex()}
