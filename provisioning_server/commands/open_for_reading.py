"""The ledger of a server for a command that only reads, beside a server that writes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.ledger.open_ledger import open_for_reading
from provisioning_server.ledger.sql.sql_ledger import SqlLedger


@contextlib.contextmanager
def ledger_for_reading(place: LedgerPlace, *, check: bool = True) -> Iterator[SqlLedger]:
    """Open the ledger of a server, and close it; raises AtcaProvError as `open_for_reading`."""
    with contextlib.closing(open_for_reading(place.ledger, check=check)) as ledger:
        yield ledger
