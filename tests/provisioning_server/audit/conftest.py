from __future__ import annotations

from pathlib import Path

import pytest

from provisioning_server.audit.export_log import LogExport
from provisioning_server.audit.log_key import open_log_key
from provisioning_server.audit.log_signer import LogSigner
from provisioning_server.audit.log_source import FolderLog
from provisioning_server.ledger.store import Ledger
from tests.provisioning_server.ledger.conftest import ledger, new_store, open_store, quick_postgresql, store
from tests.support.log_judge import judge_folder

__all__ = ["judge_folder", "ledger", "new_store", "open_store", "quick_postgresql", "store"]


@pytest.fixture
def log_signer(ledger: Ledger, tmp_path: Path) -> LogSigner:
    return LogSigner(ledger, open_log_key(tmp_path, ledger))


class Exported:
    """A ledger with the folder that it is exported to."""

    def __init__(self, ledger: Ledger, signer: LogSigner, folder: Path) -> None:
        self.ledger = ledger
        self.signer = signer
        self.folder = folder

    def export(self) -> FolderLog:
        LogExport(self.ledger, self.signer, self.folder).run()
        return FolderLog(self.folder)


@pytest.fixture
def exported(ledger: Ledger, log_signer: LogSigner, tmp_path: Path) -> Exported:
    return Exported(ledger, log_signer, tmp_path / "exported")
