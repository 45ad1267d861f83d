"""The ledger of a data folder for a command that only reads, beside a server that writes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from provisioning_server.ledger.open_ledger import FILE_NAME, open_for_reading
from provisioning_server.ledger.sql.sql_ledger import SqlLedger


@contextlib.contextmanager
def ledger_for_reading(data: Path, *, check: bool = True) -> Iterator[SqlLedger]:
    """Open the ledger of a data folder, and close it; raises AtcaProvError as `open_for_reading`."""
    with contextlib.closing(open_for_reading(data / FILE_NAME, check=check)) as ledger:
        yield ledger
