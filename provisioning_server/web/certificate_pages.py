"""The pages of certificates: search, lists, one with its history, downloads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from atcaprov.terminal.printable import printable
from atcaprov.web.roles import Role
from provisioning_server.guide_files.certificate_files import pem
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.ledger.store import StoredCertificate
from provisioning_server.revocation.reasons import MEANINGS, Reason
from provisioning_server.web.acts import Acts
from provisioning_server.web.certificate_views import facts_of, happened, row_of, state_of
from provisioning_server.web.figures.ledger_reader import LedgerReader
from provisioning_server.web.station_pages import in_query
from provisioning_server.web.visits import Reception, Visit, VisitorRoute

SHOWN: Final = 50
HISTORY_SHOWN: Final = 200
QUERY_MAX: Final = 128
INDEX_DIGITS: Final = 15
REASONS: Final = {reason.value: f"{reason.value}: {MEANINGS[reason]}" for reason in Reason}
LISTS: Final = {"newest": "Newest", "unproven": "Not proven", "revoked": "Revoked"}
_Question = Callable[[SqlLedger], Sequence[StoredCertificate]]


class CertificatePages:
    """Shows certificates. Each page asks the ledger for a bounded number of rows, which an index finds."""

    def __init__(self, reception: Reception, reader: LedgerReader, acts: Acts) -> None:
        self._reception = reception
        self._reader = reader
        self._acts = acts

    def routes(self) -> list[VisitorRoute]:
        """Return the routes."""
        return [
            VisitorRoute("/certificates", Role.LOOK, self._list),
            VisitorRoute("/certificates/{index}", Role.LOOK, self._one),
            VisitorRoute("/certificates/{index}/revoke", Role.ADMINISTER, self._ask),
            VisitorRoute("/certificates/{index}/revoke", Role.ADMINISTER, self._revoke, "POST"),
            VisitorRoute("/certificates/{index}/{file}", Role.LOOK, self._download),
        ]

    async def _list(self, visit: Visit) -> Response:
        query = visit.request.query_params
        wanted, chosen = query.get("q", "").strip(), query.get("list", "newest")
        order = query.get("order", "")
        if chosen not in LISTS or max(len(wanted), len(order)) > QUERY_MAX or not (wanted + order).isprintable():
            raise HTTPException(400, "There is no such list.")
        before = _index(query["before"]) if "before" in query else None
        found = await self._reader.ask(_question(wanted, order, chosen, before))
        shown = found[:SHOWN]
        older = shown[-1].index if len(found) > SHOWN and not wanted else None
        return self._reception.page(
            "certificates.html",
            visit,
            wanted=printable(wanted),
            order=printable(order),
            order_in_query=in_query(order),
            chosen=chosen,
            lists=LISTS,
            rows=[row_of(stored) for stored in shown],
            more=len(found) > SHOWN,
            older=older,
        )

    async def _one(self, visit: Visit) -> Response:
        stored = await self._stored(visit)
        entries = await self._reader.ask(lambda ledger: ledger.history(stored.record.chip_serial))
        return self._reception.page(
            "certificate.html",
            visit,
            index=stored.index,
            chip=stored.record.chip_serial.hex().upper(),
            row=row_of(stored),
            state=state_of(stored),
            facts=facts_of(stored),
            history=[happened(entry) for entry in entries[-HISTORY_SHOWN:]],
        )

    async def _ask(self, visit: Visit) -> Response:
        stored = await self._stored(visit)
        if stored.revoked is not None:
            raise HTTPException(409, "This certificate is revoked already.")
        return self._reception.page(
            "confirm.html",
            visit,
            title=f"Revoke certificate {stored.index}",
            lines=[
                f"It is that of chip {stored.record.chip_serial.hex().upper()}.",
                "It stands on the next list of revoked certificates that its signer signs.",
                "This cannot be undone.",
            ],
            button="Revoke it",
            back=f"/certificates/{stored.index}",
            reasons=REASONS,
        )

    async def _revoke(self, visit: Visit) -> Response:
        stored = await self._stored(visit)
        reason = visit.fields.get("reason", "")
        if reason not in REASONS:
            raise HTTPException(400, "There is no such reason.")
        await self._acts.revoke(stored, reason, visit.fields.get("note", ""), visit.who)
        return RedirectResponse(f"/certificates/{stored.index}", 303)

    async def _download(self, visit: Visit) -> Response:
        stored = await self._stored(visit)
        name = visit.request.path_params["file"]
        if name == "device.der":
            content = stored.record.certificate
        elif name == "device.pem":
            content = pem(stored.record.certificate)
        elif name == "chain.pem":
            documents = await self._reader.ask(lambda ledger: ledger.documents(stored.record.documents))
            chain = (stored.record.certificate, documents.signer_certificate, documents.root_certificate)
            content = b"".join(map(pem, chain))
        else:
            raise HTTPException(404, "Not found.")
        # Hex digits and constants only: no text from outside becomes part of a header.
        file_name = f"{stored.record.chip_serial.hex().upper()}_{stored.index}_{name}"
        media_type = "application/pkix-cert" if name.endswith(".der") else "application/x-pem-file"
        return Response(
            content, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{file_name}"'}
        )

    async def _stored(self, visit: Visit) -> StoredCertificate:
        index = _index(visit.request.path_params["index"])
        stored = await self._reader.ask(lambda ledger: ledger.tables.at(index))
        if stored is None:
            raise HTTPException(404, "There is no such certificate.")
        return stored


def _question(wanted: str, order: str, chosen: str, before: int | None) -> _Question:
    if wanted:
        return lambda ledger: ledger.tables.matching(wanted, SHOWN + 1)
    if order:
        return lambda ledger: ledger.tables.of_order(order, before, SHOWN + 1)
    if chosen == "unproven":
        return lambda ledger: ledger.tables.unproven(before, SHOWN + 1)
    if chosen == "revoked":
        return lambda ledger: ledger.tables.revoked(before, SHOWN + 1)
    return lambda ledger: ledger.tables.newest(before, SHOWN + 1)


def _index(text: str) -> int:
    """Read the index of an entry."""
    if not (text.isascii() and text.isdigit() and len(text) <= INDEX_DIGITS):
        raise HTTPException(404, "There is no such certificate.")
    return int(text)
