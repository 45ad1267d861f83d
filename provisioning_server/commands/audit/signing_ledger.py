"""The ledger of a server with the key of its log, for commands that sign a checkpoint. A server may be running."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime

from provisioning_server.audit.chip_log_key import opened_log_key
from provisioning_server.audit.log_key import LogChip
from provisioning_server.audit.log_signer import LogSigner
from provisioning_server.commands.locked_folder import locked_data_folder
from provisioning_server.commands.open_for_reading import ledger_for_reading
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.ledger.open_ledger import open_ledger
from provisioning_server.ledger.store import Ledger


@contextlib.contextmanager
def signing_ledger(place: LedgerPlace, log_chip: LogChip | None = None) -> Iterator[tuple[Ledger, LogSigner]]:
    """Open the ledger for reading, and its key, which is made if no server has made it. Raises AtcaProvError."""
    with ledger_for_reading(place) as ledger:
        has_key = bool(ledger.log_key())
    if not has_key:
        _choose_key(place, log_chip)
    with ledger_for_reading(place) as ledger, opened_log_key(place.data, ledger, log_chip) as key:
        yield ledger, LogSigner(ledger, key)


def _choose_key(place: LedgerPlace, log_chip: LogChip | None) -> None:
    with (
        locked_data_folder(place.data),
        contextlib.closing(open_ledger(place.ledger, datetime.now(UTC))) as ledger,
        opened_log_key(place.data, ledger, log_chip) as key,
    ):
        LogSigner(ledger, key)
