"""What all parts of a running server are built on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from atcaprov.terminal.console import Console
from provisioning_server.control.drain import Drain
from provisioning_server.control.reload import Reload
from provisioning_server.guide_files.writer import GuideFilesWriter
from provisioning_server.issuing.server_clock import ServerClock
from provisioning_server.ledger.store import Ledger
from provisioning_server.operations.service_manager import ServiceManager
from provisioning_server.program_log import ProgramLog
from provisioning_server.records.data_folder import DataFolder
from provisioning_server.settings import Settings
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.stations.admission import Admission
from provisioning_server.watched_ledger import LedgerWatch


@dataclass(frozen=True, slots=True)
class ServerContext:
    """Settings, folder, log, signers and the open ledger; `fail` stops the server for an error, on its loop."""

    settings: Settings
    folder: DataFolder
    log: ProgramLog
    console: Console | None
    now: Callable[[], datetime]
    manager: ServiceManager
    reload: Reload
    """Where a part adds settings that it reads from files."""
    drain: Drain
    signers: SignerRegistry
    ledger: Ledger
    watch: LedgerWatch
    writer: GuideFilesWriter
    clock: ServerClock
    fail: Callable[[BaseException], None]
    admission: Admission
