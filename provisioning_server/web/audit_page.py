"""The page of the audit: how long the ledger is, its head, its newest checkpoint, what is not proven or revoked."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from starlette.responses import Response

from atcaprov.bounded_reading import read_bytes, status
from atcaprov.terminal.printable import printable, printable_lines
from atcaprov.web.roles import Role
from provisioning_server.ledger.checkpoint_file import FILE_NAME
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.records.last_done import Done, last_done
from provisioning_server.web.certificate_views import Fact, second
from provisioning_server.web.figures.administered_state import COUNTED_MAX
from provisioning_server.web.figures.ledger_reader import LedgerReader
from provisioning_server.web.figures.page_figures import PageFigures
from provisioning_server.web.visits import Reception, Visit, VisitorRoute

CHECKPOINT_MAX: Final = 64 * 1024
_DONE: Final = {"Last audit": Done.AUDIT, "Last backup": Done.BACKUP}


class AuditPage:
    """Shows what an auditor compares: with what `audit verify` says, or a witness."""

    def __init__(self, reception: Reception, reader: LedgerReader, figures: PageFigures, data: Path) -> None:
        """`data` is the data folder."""
        self._reception = reception
        self._reader = reader
        self._figures = figures
        self._data = data

    def routes(self) -> list[VisitorRoute]:
        """Return the routes."""
        return [VisitorRoute("/audit", Role.LOOK, self._audit)]

    async def _audit(self, visit: Visit) -> Response:
        counted = await self._figures.refresh()
        facts = await self._reader.ask(self._facts)
        administered = counted.administered
        return self._reception.page(
            "audit.html",
            visit,
            facts=facts,
            checkpoint=await self._reader.ask(self._checkpoint),
            unproven=count_text(administered.unproven),
            revoked=count_text(administered.revoked),
            trouble=printable(self._figures.trouble),
            done=await self._reader.ask(self._done),
        )

    def _done(self, _: SqlLedger) -> list[Fact]:
        """Return when a backup was made last and the log audited last."""
        found = {name: last_done(self._data, what) for name, what in _DONE.items()}
        return [
            Fact(name, "never" if done is None else f"{second(done.time)}. {printable(done.text)}")
            for name, done in found.items()
        ]

    def _facts(self, ledger: SqlLedger) -> list[Fact]:
        head, identity, newest = ledger.head(), ledger.identity, ledger.newest
        return [
            Fact("Entries", f"{head.size:,}"),
            Fact("Newest entry", second(newest) if newest else "none"),
            Fact("Open intents", f"{len(ledger.open_intents()):,}"),
            Fact("Epoch", str(identity.epoch)),
            Fact("Root of the log", head.root.hex(), code=True),
            Fact("Ledger id", identity.ledger_id.hex(), code=True),
        ]

    def _checkpoint(self, _: SqlLedger) -> tuple[str, str]:
        """Return the newest checkpoint that this server has kept, and when; empty texts if there is none."""
        path = self._data / FILE_NAME
        found = status(path)
        if found is None:
            return "", ""
        note = read_bytes(path, CHECKPOINT_MAX).decode("utf-8", "replace")
        return printable_lines(note.strip()), second(datetime.fromtimestamp(found.st_mtime, UTC))


def count_text(number: int) -> str:
    """Return a count that ends at a bound."""
    return f"{COUNTED_MAX:,} or more" if number >= COUNTED_MAX else f"{number:,}"
