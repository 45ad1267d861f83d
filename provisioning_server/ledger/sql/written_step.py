"""The statements of one step. The step is put into rows before its transaction begins, so that the lock is short."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from atcaprov.transparency.merkle import leaf_hash
from atcaprov.transparency.tiles import TiledTree
from provisioning_server.ledger.administration import AdministrativeEvent, CrlIssued, Revoked
from provisioning_server.ledger.changes import (
    NO_CERTIFICATE,
    CertificatesRecovered,
    Changes,
    ClockAccepted,
    CounterSeen,
    Event,
    Intent,
    Issued,
    LossesSettled,
    Lost,
    Reported,
    RollbackAccepted,
)
from provisioning_server.ledger.entry_bodies import KINDS, decode, encode
from provisioning_server.ledger.sql.administration_rows import mark_revoked, write_administration
from provisioning_server.ledger.sql.database import Connection, DatabaseError, Value, one_of
from provisioning_server.ledger.sql.schema import KEY_PREFIX
from provisioning_server.records.signer_documents import SignerDocuments

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_INSERT_INTENT: Final = f"""
    INSERT INTO intents (chip_serial, public_key, number, signer_serial, signer_key, documents, time,
        unsigned_certificate, server, client, last_index, station, work_order, product, unit, label, request_id)
    SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
    WHERE coalesce((SELECT max(idx) FROM certificates WHERE chip_serial = ?), {NO_CERTIFICATE}) = ?
        AND NOT EXISTS (SELECT 1 FROM certificates
            WHERE substr(public_key, 1, 8) = ? AND public_key = ? AND chip_serial <> ?)
    {{limits}}
    ON CONFLICT DO NOTHING"""  # noqa: S608 - a number of ours
_OF_A_UNIT_OR_ORDER: Final = """
        AND NOT EXISTS (SELECT 1 FROM certificates
            WHERE unit <> '' AND unit = ? AND product = ? AND chip_serial <> ? AND revoked IS NULL)
        AND (CAST(? AS TEXT) = '' OR EXISTS (SELECT 1 FROM work_orders w WHERE w.name = ? AND w.closed IS NULL AND (
            w.most = 0 OR w.most > w.issued + (SELECT count(*) FROM intents i WHERE i.work_order = w.name))))"""
_INSERT_CRL: Final = """
    INSERT INTO intents (chip_serial, public_key, number, signer_serial, signer_key, documents, time,
        unsigned_certificate, server, client, last_index, crl_number)
    SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
    WHERE coalesce((SELECT max(idx) FROM revocations WHERE signer_serial = ?), -1) = ?
        AND NOT EXISTS (SELECT 1 FROM crls WHERE signer_serial = ? AND number >= ?)
    ON CONFLICT DO NOTHING"""
_INSERT_PLAIN: Final = _INSERT_INTENT.format(limits="")
_INSERT_LIMITED: Final = _INSERT_INTENT.format(limits=_OF_A_UNIT_OR_ORDER)
_FIND_AGAIN: Final = """
    UPDATE signers SET accepted = CASE WHEN accepted > ? THEN accepted - ? ELSE 0 END WHERE signer_serial = ?"""
"""What was accepted as missing, and is found again, is not missing any more."""
_ADD_TO_SIGNER: Final = """
    INSERT INTO signers (signer_serial, issued, crls, lost, accepted, chip_serial, time, first, unsure)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (signer_serial) DO UPDATE SET
        issued = signers.issued + excluded.issued,
        crls = signers.crls + excluded.crls,
        lost = signers.lost + excluded.lost,
        accepted = signers.accepted + excluded.accepted,
        first = coalesce(signers.first, excluded.first),
        unsure = signers.unsure + excluded.unsure,
        chip_serial = CASE WHEN excluded.issued > 0 THEN excluded.chip_serial ELSE signers.chip_serial END,
        time = CASE WHEN excluded.issued > 0 THEN excluded.time ELSE signers.time END"""


def seconds(moment: datetime) -> int:
    """Return a time as it stands in a column."""
    return (moment - _EPOCH) // _SECOND


def moment(value: int) -> datetime:
    """Return the time (UTC) of a column."""
    return datetime.fromtimestamp(value, UTC)


_SECOND: Final = datetime.resolution * 1_000_000


@dataclass(slots=True)
class _SignerChange:
    """What a step adds to a signer; `found_again` are those of its certificates that were missing."""

    issued: int = 0
    crls: int = 0
    lost: int = 0
    accepted: int = 0
    found_again: int = 0
    chip_serial: bytes = b""
    time: int | None = None
    first: int | None = None
    unsure: int = 0


@dataclass(slots=True)
class StepRows:
    """What a step writes, as far as that is known before its first index is."""

    changes: Changes
    bodies: list[str]
    leaves: list[bytes]
    certificates: list[tuple[int, tuple[Value, ...]]] = field(default_factory=list)
    """The place in the step, and the columns after `idx`."""
    reports: list[tuple[int, Reported]] = field(default_factory=list)
    earlier_reports: list[Reported] = field(default_factory=list)
    """Those that the ledger has of the same certificates."""
    closed: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Chip and key of each intent that ends, whether it stands in the ledger or the event comes without one."""
    closed_crls: list[tuple[bytes]] = field(default_factory=list)
    """The signer of each list that is signed."""
    signers: dict[bytes, _SignerChange] = field(default_factory=dict)
    orders: Counter[str] = field(default_factory=Counter)
    """How many certificates it has of each work order."""
    clocks: list[tuple[int, bool]] = field(default_factory=list)
    """Times that count against the clock; True where the clock was accepted."""
    epochs: int = 0

    @classmethod
    def of(cls, changes: Changes) -> StepRows:
        """Put a step into rows."""
        bodies = [encode(event) for event in changes.events]
        step = cls(changes, bodies, [leaf_hash(body.encode("ascii")) for body in bodies])
        for place, event in enumerate(changes.events):
            step._add(place, event)
        return step

    @property
    def named_documents(self) -> set[str]:
        """Return the ids of the signer documents that its certificates and intents name."""
        issued = {event.record.documents for event in self.changes.events if isinstance(event, Issued)}
        return issued | {intent.documents for intent in self.changes.intents}

    def newest(self, before: int | None) -> int | None:
        """Return the newest time that counts against the clock after the step."""
        newest = before
        for time, accepted in self.clocks:
            newest = time if newest is None or accepted or time > newest else newest
        return newest

    def _add(self, place: int, event: Event) -> None:
        if isinstance(event, Issued):
            self._add_issued(place, event)
        elif isinstance(event, Lost):
            self.closed.append((event.intent.chip_serial, event.intent.public_key))
            signer = self._signer(event.intent.signer_serial)
            signer.lost += bool(event.signed)
            signer.unsure += event.signed is None
            self.clocks.append((seconds(event.time), False))
        elif isinstance(event, Reported):
            self.reports.append((place, event))
            self.clocks.append((seconds(event.received), False))
        elif isinstance(event, ClockAccepted):
            self.clocks.append((seconds(event.time), True))
        elif isinstance(event, CertificatesRecovered):
            for signer in self.signers.values():
                signer.found_again = signer.issued
        elif isinstance(event, RollbackAccepted):
            self.epochs += 1
            if event.signer_serial:
                self._signer(event.signer_serial).accepted += event.missing
        elif isinstance(event, LossesSettled):
            signer = self._signer(event.signer_serial)
            signer.lost += event.signatures
            signer.unsure -= event.losses
        elif isinstance(event, CounterSeen):
            self._signer(event.signer_serial).first = event.first
        elif isinstance(event, AdministrativeEvent):
            self.clocks.append((seconds(event.time), False))
            if isinstance(event, CrlIssued):
                self._signer(event.signer_serial).crls += 1
                self.closed_crls.append((event.signer_serial,))

    def _add_issued(self, place: int, event: Issued) -> None:
        record = event.record
        time = seconds(record.time)
        row = (record.chip_serial, record.public_key, record.signer_serial, record.certificate_serial, time)
        origin = record.origin
        names = (origin.station, origin.order, origin.product, origin.unit, origin.label)
        self.certificates.append((place, (*row, record.client, 1 if event.challenge else 0, *names)))
        if origin.order:
            self.orders[origin.order] += 1
        self.closed.append((record.chip_serial, record.public_key))
        self.clocks.append((time, False))
        signer = self._signer(record.signer_serial)
        signer.issued += 1
        signer.chip_serial, signer.time = record.chip_serial, time

    def _signer(self, serial: bytes) -> _SignerChange:
        return self.signers.setdefault(serial, _SignerChange())


def write_documents(connection: Connection, documents: Iterable[SignerDocuments]) -> None:
    """Write signer documents that the ledger may not have yet."""
    connection.run_many(
        "INSERT INTO documents (number, id, content)"
        " VALUES ((SELECT coalesce(max(number), 0) + 1 FROM documents), ?, ?) ON CONFLICT DO NOTHING",
        [(each.document_id, each.to_bytes()) for each in documents],
    )


def require_documents(connection: Connection, document_ids: Iterable[str]) -> None:
    """Raise DatabaseError unless the ledger has these documents: a certificate without them cannot be sent again."""
    for document_id in document_ids:
        if not connection.rows("SELECT 1 FROM documents WHERE id = ?", (document_id,)):
            raise DatabaseError(f"the signer documents {document_id} are missing")


def write_challenges(connection: Connection, step: StepRows) -> None:
    """Write the challenges of certificates that are sent again."""
    connection.run_many(
        "INSERT INTO challenges (idx, challenge, time) VALUES (?, ?, ?)",
        [(each.certificate_index, each.challenge, seconds(each.time)) for each in step.changes.challenges],
    )
    connection.run_many(
        "UPDATE certificates SET challenged = 1 WHERE idx = ? AND challenged = 0",
        [(each.certificate_index,) for each in step.changes.challenges],
    )


def without_repeated(connection: Connection, step: StepRows, first: int) -> tuple[StepRows, Collection[int]]:
    """Return a step without what the ledger has, and the places of that; under the lock of the step.

    What is looked up of administrative events is written: an event of the same step may rest on it.

    Two servers may take the same report at the same moment. Each of them looked before the other one wrote.
    """
    earlier = _earlier_reports(connection, step) if step.reports else []
    seen = {each.sent for each in earlier}
    repeated = frozenset(place for place, each in step.reports if each.sent in seen)
    repeated |= write_administration(connection, step.changes.events, first, repeated)
    if repeated:
        events = [event for place, event in enumerate(step.changes.events) if place not in repeated]
        step = StepRows.of(replace(step.changes, events=events))
    step.earlier_reports = earlier
    return step, repeated


def write_events(connection: Connection, step: StepRows, first: int) -> None:
    """Write the entries, from the index `first` on, and what is looked up of them."""
    events = step.changes.events
    connection.run_many(
        "INSERT INTO entries (idx, kind, body) VALUES (?, ?, ?)",
        [
            (index, KINDS[type(event)], body)
            for index, (event, body) in enumerate(zip(events, step.bodies, strict=True), first)
        ],
    )
    connection.run_many(
        "INSERT INTO certificates (idx, chip_serial, public_key, signer_serial, certificate_serial, time, client,"
        " challenged, station, work_order, product, unit, label, proven, fate)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, '')",
        [(first + place, *row) for place, row in step.certificates],
    )
    connection.run_many("DELETE FROM intents WHERE chip_serial = ? AND public_key = ?", step.closed)
    connection.run_many("DELETE FROM intents WHERE chip_serial = ? AND crl_number > 0", step.closed_crls)
    _write_reports(connection, step, first)
    connection.run_many(
        _FIND_AGAIN,
        [(each.found_again, each.found_again, serial) for serial, each in step.signers.items() if each.found_again],
    )
    connection.run_many(
        _ADD_TO_SIGNER,
        [
            (
                *(serial, change.issued, change.crls, change.lost, change.accepted, change.chip_serial),
                *(change.time, change.first, change.unsure),
            )
            for serial, change in step.signers.items()
        ],
    )
    connection.run_many(
        "UPDATE work_orders SET issued = issued + ? WHERE name = ?",
        [(issued, order) for order, issued in step.orders.items()],
    )
    for event in events:
        if isinstance(event, Revoked):
            mark_revoked(connection, event)
    if step.epochs:
        connection.run("UPDATE ledger SET epoch = epoch + ?", (step.epochs,))


def _write_reports(connection: Connection, step: StepRows, first: int) -> None:
    if not step.reports:
        return
    fates = _fates([*step.earlier_reports, *(report for _, report in step.reports)])
    changed = connection.run_many(
        "UPDATE certificates SET proven = coalesce(proven, ?), fate = ? WHERE idx = ? AND chip_serial = ?",
        [
            (
                *(seconds(each.received) if each.proven else None, fates[each.certificate_index]),
                *(each.certificate_index, each.chip_serial),
            )
            for _, each in step.reports
        ],
    )
    if changed != len(step.reports):
        raise DatabaseError("a report names a certificate that the ledger does not have")
    connection.run_many(
        "INSERT INTO reports (certificate, idx) VALUES (?, ?)",
        [(each.certificate_index, first + place) for place, each in step.reports],
    )


def _earlier_reports(connection: Connection, step: StepRows) -> list[Reported]:
    """Return the reports that the ledger has of the certificates that a step has reports of, oldest first."""
    marks, certificates = one_of({report.certificate_index for _, report in step.reports})
    rows = connection.rows(
        "SELECT e.idx, e.body FROM reports r JOIN entries e ON e.idx = r.idx"  # noqa: S608 - marks only
        f" WHERE r.certificate IN ({marks})",
        certificates,
    )
    return [_report(index, body) for index, body in sorted(rows)]


def _fates(reports: Sequence[Reported]) -> dict[int, str]:
    """Return the fate of each certificate in the reports, oldest first: that of the run that ended last.

    A report may have waited on a station while the board was finished on another one.
    """
    last: dict[int, Reported] = {}
    for each in reports:
        before = last.get(each.certificate_index)
        if before is None or _ended(before) <= _ended(each):
            last[each.certificate_index] = each
    return {index: each.fate for index, each in last.items()}


def _report(index: int, body: str) -> Reported:
    try:
        event = decode(body)
    except ValueError as error:
        raise DatabaseError(f"entry {index} is {error}", damaged=True) from error
    if not isinstance(event, Reported):
        raise DatabaseError(f"entry {index} is not a report", damaged=True)
    return event


def _ended(report: Reported) -> datetime:
    """Return when a run ended by the clock of its client, which may be wrong: not after the report came."""
    return min(report.finished, report.received)


def write_tree(connection: Connection, tree: TiledTree, leaves: Sequence[bytes], newest: int | None) -> TiledTree:
    """Append the leaves, write the tiles that change and the new head, and return the tree."""
    growth = tree.append(leaves)
    connection.run_many(
        "INSERT INTO tiles (level, number, hashes) VALUES (?, ?, ?)"
        " ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes",
        [(tile.level, tile.number, tile.hashes) for tile in growth.tiles],
    )
    connection.run("UPDATE tree SET size = ?, root = ?, newest = ?", (growth.tree.size, growth.tree.root, newest))
    return growth.tree


def write_intents(connection: Connection, intents: Sequence[Intent]) -> list[Intent]:
    """Write the intents that may be opened, and return the others."""
    if not intents:
        return []
    ((first,),) = connection.rows("SELECT coalesce(max(number), 0) + 1 FROM intents")
    numbered = list(enumerate(intents, first))
    crls = [_crl_row(number, intent) for number, intent in numbered if intent.crl_number]
    plain = [_intent_row(number, intent) for number, intent in numbered if _is_plain(intent)]
    limited = [_limited_row(number, intent) for number, intent in numbered if _is_limited(intent)]
    opened = connection.run_many(_INSERT_PLAIN, plain) + connection.run_many(_INSERT_LIMITED, limited)
    opened += connection.run_many(_INSERT_CRL, crls)
    if opened == len(intents):
        return []
    written = {number for (number,) in connection.rows("SELECT number FROM intents WHERE number >= ?", (first,))}
    return [intent for number, intent in enumerate(intents, first) if number not in written]


def _intent_row(number: int, intent: Intent) -> tuple[Value, ...]:
    chip, key, origin = intent.chip_serial, intent.public_key, intent.origin
    return (
        *(chip, key, number, intent.signer_serial, intent.signer_key, intent.documents, seconds(intent.time)),
        *(intent.unsigned, intent.server, intent.client, intent.last_index),
        *(origin.station, origin.order, origin.product, origin.unit, origin.label, origin.request_id),
        *(chip, intent.last_index),
        *(key[KEY_PREFIX], key, chip),
    )


def _crl_row(number: int, intent: Intent) -> tuple[Value, ...]:
    signer = intent.signer_serial
    return (
        *(signer, intent.signer_key, number, signer, intent.signer_key, intent.documents, seconds(intent.time)),
        *(intent.unsigned, intent.server, intent.client, intent.last_index, intent.crl_number),
        *(signer, intent.last_index),
        *(signer, intent.crl_number),
    )


def _is_plain(intent: Intent) -> bool:
    return not intent.crl_number and not _is_limited(intent)


def _is_limited(intent: Intent) -> bool:
    return bool(intent.origin.unit or intent.origin.order)


def _limited_row(number: int, intent: Intent) -> tuple[Value, ...]:
    origin = intent.origin
    return (
        *_intent_row(number, intent),
        *(origin.unit, origin.product, intent.chip_serial),
        *(origin.order, origin.order),
    )
