from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning_server.audit.log_key import open_log_key
from provisioning_server.audit.log_signer import LogSigner
from provisioning_server.ledger.open_ledger import FILE_NAME, open_ledger
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from tests.provisioning_server.ledger.events import NOW, issued, reported, step


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data folder of a server that has issued three certificates, with a log key and a pin."""
    folder = tmp_path / "data"
    (folder / "modules").mkdir(parents=True)
    (folder / "modules" / "0123AABBCCDDEEFFEE.txt").write_text("salt\t17\tkey\n")
    (folder / "server-id").write_text("00112233aabbccdd\n")
    with contextlib.closing(open_ledger(folder / FILE_NAME, NOW)) as ledger:
        step(ledger, issued(1), issued(2), issued(3))
        step(ledger, reported(0, 1))
        LogSigner(ledger, open_log_key(folder, ledger))
    return folder


@pytest.fixture
def ledger(data: Path) -> Iterator[SqlLedger]:
    """The ledger as the running server has it open."""
    with contextlib.closing(open_ledger(data / FILE_NAME, NOW)) as opened:
        yield opened


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    return tmp_path / "backups"
