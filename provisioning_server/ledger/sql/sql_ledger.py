"""A ledger in a database with SQL, which stops at the first error.

SQLite goes on after a disk error and acknowledges the next step although the last one is lost. So the first error of
any kind, in a step or while anything is read, ends this ledger: every later call raises RECORDS_FAILED.
"""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from atcaprov import durable_files
from atcaprov.certs.issued_record import Origin
from atcaprov.errors import AtcaProvError, Code
from provisioning_server.ledger.changes import Changes, Intent, Issued, Reported
from provisioning_server.ledger.entry_bodies import decode
from provisioning_server.ledger.search import CertificateFilter
from provisioning_server.ledger.sql.administration_tables import AdministrationTables
from provisioning_server.ledger.sql.certificate_tables import CertificateTables
from provisioning_server.ledger.sql.database import Connection, Database, DatabaseError, Row, one_of
from provisioning_server.ledger.sql.found_certificates import conditions
from provisioning_server.ledger.sql.schema import KEY_PREFIX
from provisioning_server.ledger.sql.seen_head import LedgerBehindError, SeenHead
from provisioning_server.ledger.sql.state_check import restored_tree, stored_tile
from provisioning_server.ledger.sql.stored_rows import CERTIFICATE, stored_certificate
from provisioning_server.ledger.sql.written_step import (
    StepRows,
    moment,
    require_documents,
    seconds,
    without_repeated,
    write_challenges,
    write_documents,
    write_events,
    write_intents,
    write_tree,
)
from provisioning_server.ledger.store import (
    Committed,
    LogEntry,
    LogIdentity,
    SignerTally,
    StoredCertificate,
    TreeHead,
    holder_of_unit,
)
from provisioning_server.ledger.summary import SignerSummary
from provisioning_server.records.signer_documents import SignerDocuments

_Event = TypeVar("_Event", Issued, Reported)

_GIVEN: Final = "SELECT challenge FROM challenges WHERE challenge IN "
_UNIT: Final = "SELECT product, unit, chip_serial FROM certificates WHERE unit <> '' AND revoked IS NULL AND unit IN "
_KEY: Final = "SELECT idx, public_key, chip_serial FROM certificates WHERE "


class KnownOfBatch:
    """What is known of the chips and keys of a batch."""

    def __init__(
        self,
        of_chip: Mapping[bytes, Sequence[StoredCertificate]],
        chip_of: Mapping[bytes, bytes],
        chip_of_unit: Mapping[tuple[str, str], bytes],
    ) -> None:
        self._of_chip = of_chip
        self._chip_of = chip_of
        self._chip_of_unit = chip_of_unit

    def of_chip(self, chip_serial: bytes) -> Sequence[StoredCertificate]:
        """Return the certificates of a chip, oldest first."""
        return self._of_chip.get(chip_serial, ())

    def chip_of(self, public_key: bytes) -> bytes | None:
        """Return the chip that a key (X||Y) was first certified for; None if it never was."""
        return self._chip_of.get(public_key)

    def chip_of_unit(self, product: str | None, unit: str) -> bytes | None:
        """Return the chip that has a certificate with a unit's name, which is not revoked; None if no chip has."""
        return holder_of_unit(self._chip_of_unit, product, unit)


class SqlLedger:
    """A ledger over a database whose tables exist."""

    def __init__(self, database: Database, has_room: Callable[[int], bool] = lambda _: True) -> None:
        """Read where the log ends; raises AtcaProvError RECORDS_FAILED."""
        self.failed = False
        self._reason = "an earlier step failed"
        self._database = database
        self._has_room = has_room
        self._documents: dict[str, SignerDocuments] = {}
        self._behind = ""
        with self._reading() as connection:
            head, self._newest = _head_and_newest(connection)
            self._tree = restored_tree(connection, head.size)
        self._seen = SeenHead(head)

    @property
    def newest(self) -> datetime | None:
        """The time of the newest record that counts against the clock."""
        return None if self._newest is None else moment(self._newest)

    @property
    def identity(self) -> LogIdentity:
        """Return which log this is. Another server on the ledger may have begun a new epoch, so it is read again."""
        with self._reading() as connection:
            ((ledger_id, epoch),) = connection.rows("SELECT ledger_id, epoch FROM ledger")
        return LogIdentity(ledger_id, epoch)

    def log_key(self) -> bytes:
        """Return the public key that signs its checkpoints, as in a verifier key; empty if there is none yet."""
        with self._reading() as connection:
            ((key,),) = connection.rows("SELECT log_key FROM ledger")
        return key or b""

    def claim_log_key(self, key: bytes) -> bytes:
        """Keep the public key that signs its checkpoints, if there is none yet; return the one that is kept."""
        self._require_working()
        with self._failing(), self._database.writing() as connection:
            connection.run("UPDATE ledger SET log_key = ? WHERE log_key IS NULL", (key,))
        return self.log_key()

    def head(self) -> TreeHead:
        """Return the newest committed head."""
        with self._reading() as connection:
            before = self._seen.head
            ((size, root),) = connection.rows("SELECT size, root FROM tree")
            self._seen.follow(before, TreeHead(size, root), functools.partial(stored_tile, connection))
        return TreeHead(size, root)

    @property
    def seen(self) -> TreeHead:
        """Return the newest head that was seen, also when the ledger has failed."""
        return self._seen.head

    @property
    def administered(self) -> AdministrationTables:
        """Return what was decided about stations, work orders and revocations."""
        return AdministrationTables(self._reading)

    def known(
        self,
        chip_serials: Collection[bytes],
        public_keys: Collection[bytes],
        units: Collection[tuple[str, str]] = (),
    ) -> KnownOfBatch:
        """Look up the chips, keys and units (product and unit's name) of a batch at once."""
        of_chip: dict[bytes, list[StoredCertificate]] = {}
        chip_of: dict[bytes, bytes] = {}
        chip_of_unit: dict[tuple[str, str], bytes] = {}
        with self._reading() as connection:
            if chip_serials:
                marks, values = one_of(chip_serials)
                for row in sorted(connection.rows(f"{CERTIFICATE}c.chip_serial IN ({marks})", values)):
                    stored = stored_certificate(row)
                    of_chip.setdefault(stored.record.chip_serial, []).append(stored)
            if public_keys:
                marks, values = one_of([key[KEY_PREFIX] for key in public_keys])
                found = f"{_KEY}substr(public_key, 1, 8) IN ({marks})"
                for _, key, chip in sorted(connection.rows(found, values)):
                    chip_of.setdefault(key, chip)
            if units:
                marks, names = one_of([unit for _, unit in units])
                for product, unit, chip in connection.rows(f"{_UNIT}({marks})", names):
                    chip_of_unit[product, unit] = chip
        return KnownOfBatch(of_chip, chip_of, chip_of_unit)

    def challenged(self, chip_serial: bytes, challenge: bytes) -> StoredCertificate | None:
        """Return the certificate of a chip that a challenge (32 bytes) was given for."""
        with self._reading() as connection:
            rows = sorted(connection.rows(f"{CERTIFICATE}c.chip_serial = ?", (chip_serial,)), reverse=True)
            again = connection.rows("SELECT idx FROM challenges WHERE challenge = ?", (challenge,))
            stored = [stored_certificate(row) for row in rows]
        return next((each for each in stored if challenge in (each.challenge or None,) or (each.index,) in again), None)

    def given_challenges(self, challenges: Collection[bytes]) -> frozenset[bytes]:
        """Return those of some challenges (32 bytes) that were given for certificates that were sent again."""
        if not challenges:
            return frozenset()
        marks, values = one_of(challenges)
        with self._reading() as connection:
            rows = connection.rows(f"{_GIVEN}({marks})", values)
        return frozenset(challenge for (challenge,) in rows)

    def reported(self, chip_serial: bytes, challenge: bytes) -> Reported | None:
        """Return the report of a chip that came with a challenge (32 bytes), the first one if there were several."""
        with self._reading() as connection:
            rows = connection.rows(
                "SELECT r.idx, e.body FROM certificates c JOIN reports r ON r.certificate = c.idx"
                " JOIN entries e ON e.idx = r.idx WHERE c.chip_serial = ?",
                (chip_serial,),
            )
            reports = (_event(Reported, *row) for row in sorted(rows))
            return next((report for report in reports if report.challenge == challenge), None)

    def unproven(self, before: datetime, start: int, count: int) -> Sequence[StoredCertificate]:
        """Return at most `count` certificates issued before a moment and not proven, from a log index on, oldest first.

        Records from before challenges were given are left out: no one can prove them; revoked ones, too.
        """
        where = "c.proven IS NULL AND c.challenged = 1 AND c.idx >= ? AND c.time < ? AND c.revoked IS NULL"
        with self._reading() as connection:
            rows = connection.rows(f"{CERTIFICATE}{where} ORDER BY c.idx LIMIT ?", (start, seconds(before), count))
            return [stored_certificate(row) for row in rows]

    def find(
        self, wanted: CertificateFilter, count: int, after: StoredCertificate | None = None
    ) -> Sequence[StoredCertificate]:
        """Return at most `count` certificates, oldest first, behind one that was found before."""
        condition, values = conditions(wanted, after)
        with self._reading() as connection:
            rows = connection.rows(f"{CERTIFICATE}{condition} ORDER BY c.time, c.idx LIMIT ?", (*values, count))
            return [stored_certificate(row) for row in rows]

    def by_signer(self) -> Sequence[SignerSummary]:
        """Return how many certificates there are of each signer, by its serial number."""
        found = (
            "SELECT s.signer_serial, s.issued, s.proven, s.first, s.last, s.newest, e.body FROM (SELECT signer_serial,"
            " count(*) AS issued, count(proven) AS proven, min(time) AS first, max(time) AS last, max(idx) AS newest"
            " FROM certificates GROUP BY signer_serial) s JOIN entries e ON e.idx = s.newest ORDER BY s.signer_serial"
        )
        with self._reading() as connection:
            rows = connection.rows(found)
            return [
                SignerSummary(
                    signer_serial=signer,
                    signer_name=_event(Issued, newest, body).record.signer_name,
                    certificates=issued,
                    proven=proven,
                    first=moment(first),
                    last=moment(last),
                    newest=newest,
                )
                for signer, issued, proven, first, last, newest, body in rows
            ]

    def commit(self, changes: Changes) -> Committed:
        """Write a step durably: all of it, or raise and write nothing."""
        self._require_working()
        step = StepRows.of(changes)
        with self._failing(), self._database.writing() as connection:
            head, newest = _head_and_newest(connection)
            self._seen.follow(self._seen.head, head, functools.partial(stored_tile, connection))
            size, root = head.size, head.root
            tree = self._tree if self._tree.size == size else restored_tree(connection, size)
            write_documents(connection, self._not_kept(changes.documents))
            require_documents(connection, step.named_documents - self._documents.keys())
            write_challenges(connection, step)
            step, repeated = without_repeated(connection, step, size)
            if step.bodies:
                newest = step.newest(newest)
                write_events(connection, step, size)
                tree = write_tree(connection, tree, step.leaves, newest)
                root = tree.root
            refused = write_intents(connection, changes.intents)
        self._tree, self._newest = tree, newest
        self._seen.advance(TreeHead(tree.size, root))
        self._documents.update((each.document_id, each) for each in changes.documents)
        return Committed(TreeHead(tree.size, root), size, refused, repeated)

    def open_intents(self, server: str | None = None) -> Sequence[Intent]:
        """Return the open intents, of one server or of all, oldest first."""
        found = (
            "SELECT chip_serial, public_key, signer_serial, signer_key, documents, time, unsigned_certificate, server,"
            " client, last_index, station, work_order, product, unit, label, request_id, crl_number FROM intents"
        )
        with self._reading() as connection:
            if server is None:
                rows = connection.rows(f"{found} ORDER BY number")
            else:
                rows = connection.rows(f"{found} WHERE server = ? ORDER BY number", (server,))
        return [_intent(row) for row in rows]

    def documents(self, document_id: str) -> SignerDocuments:
        """Return the signer documents that a record names."""
        known = self._documents.get(document_id)
        if known is None:
            with self._reading() as connection:
                rows = connection.rows("SELECT content FROM documents WHERE id = ?", (document_id,))
                if not rows:
                    raise DatabaseError(f"the signer documents {document_id} are missing")
                known = self._documents[document_id] = _documents(document_id, *rows[0])
        return known

    def known_documents(self) -> Sequence[SignerDocuments]:
        """Return the signer documents that were kept, oldest first."""
        with self._reading() as connection:
            return [_documents(*row) for row in connection.rows("SELECT id, content FROM documents ORDER BY number")]

    def tally(self, signer_serial: bytes) -> SignerTally | None:
        """Return what a signer (serial number, 9 bytes) has made; None if it is unknown."""
        with self._reading() as connection:
            rows = connection.rows(
                "SELECT issued, crls, lost, accepted, chip_serial, time, first, unsure FROM signers"
                " WHERE signer_serial = ?",
                (signer_serial,),
            )
        for issued, crls, lost, accepted, chip_serial, time, first, unsure in rows:
            newest = None if time is None else moment(time)
            return SignerTally(issued, crls, lost, accepted, chip_serial, newest, first, unsure)
        return None

    def entries(self, start: int, count: int) -> Sequence[LogEntry]:
        """Return at most `count` entries from an index on."""
        with self._reading() as connection:
            rows = connection.rows(
                "SELECT idx, kind, body FROM entries WHERE idx >= ? ORDER BY idx LIMIT ?", (start, count)
            )
        return [LogEntry(index, kind, body.encode()) for index, kind, body in rows]

    def history(self, chip_serial: bytes) -> Sequence[LogEntry]:
        """Return the entries about a chip, oldest first: its certificates, reports and revocations, and those lost."""
        certificates = "SELECT e.idx, e.kind, e.body FROM certificates c JOIN entries e ON e.idx = c.idx"
        reports = (
            "SELECT e.idx, e.kind, e.body FROM certificates c JOIN reports r ON r.certificate = c.idx"
            " JOIN entries e ON e.idx = r.idx"
        )
        revocations = (
            "SELECT e.idx, e.kind, e.body FROM certificates c JOIN revocations r ON r.certificate = c.idx"
            " JOIN entries e ON e.idx = r.idx"
        )
        with self._reading() as connection:
            rows = connection.rows(f"{certificates} WHERE c.chip_serial = ?", (chip_serial,))
            rows += connection.rows(f"{reports} WHERE c.chip_serial = ?", (chip_serial,))
            rows += connection.rows(f"{revocations} WHERE c.chip_serial = ?", (chip_serial,))
            lost = connection.rows("SELECT idx, kind, body FROM entries WHERE kind = 'lost'")
        named = f'"chip_serial":"{chip_serial.hex()}"'
        rows += [row for row in lost if named in row[2]]
        return [LogEntry(index, kind, body.encode()) for index, kind, body in sorted(rows)]

    def fates(self) -> Mapping[str, int]:
        """Return of how many chips each fate was reported last; empty for those without a report."""
        replaced = (
            "SELECT c.fate, count(*) FROM certificates c JOIN (SELECT chip_serial, max(idx) AS newest FROM certificates"
            " GROUP BY chip_serial HAVING count(*) > 1) n ON n.chip_serial = c.chip_serial WHERE c.idx < n.newest"
            " GROUP BY c.fate"
        )
        with self._reading() as connection:
            found = Counter[str](dict(connection.rows("SELECT fate, count(*) FROM certificates GROUP BY fate")))
            found.subtract(dict(connection.rows(replaced)))
        return +found

    @property
    def tables(self) -> CertificateTables:
        """Return what people ask about certificates."""
        return CertificateTables(self._reading)

    def tile(self, level: int, number: int) -> bytes:
        """Return the hashes of a tile (C2SP tlog-tiles), 32 bytes each, at most 256; the last one may be partial."""
        with self._reading() as connection:
            return stored_tile(connection, level, number)

    def has_room(self, entries: int = 0) -> bool:
        """Return whether there is room for more records, behind so many entries that are to be written now."""
        self._require_working()
        with self._failing():
            return self._has_room(entries)

    def claim(self, server: str, *, wait: bool = False) -> bool:
        """Take the name of a server until the end: only the holder writes for it. False if another program holds it."""
        self._require_working()
        with self._failing():
            return self._database.claim(server, wait=wait)

    def release(self, server: str) -> None:
        """Give back a name that was taken."""
        self._require_working()
        with self._failing():
            self._database.release(server)

    def close(self) -> None:
        """Release it."""
        self._database.close()

    def _not_kept(self, documents: Sequence[SignerDocuments]) -> list[SignerDocuments]:
        return [each for each in documents if each.document_id not in self._documents]

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Connection]:
        self._require_working()
        with self._failing(), self._database.reading() as connection:
            yield connection

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except LedgerBehindError as error:
            self._behind = str(error)
            self._fail()
            raise _behind(self._behind) from error
        except DatabaseError as error:
            self._reason = str(error)
            self._fail()
            raise self._failure() from error
        except BaseException:
            self._fail()
            raise

    def _fail(self) -> None:
        self.failed = True
        self._database.give_up()

    def _require_working(self) -> None:
        if self._behind:
            raise _behind(self._behind)
        if self.failed:
            raise self._failure()

    def _failure(self) -> AtcaProvError:
        return AtcaProvError(
            f"The ledger cannot be read or written: {self._reason}.",
            advice=f"No certificate is issued. {self._database.remedy}, then start the server again.",
            code=Code.RECORDS_FAILED,
        )


def room_on_disk(path: Path, least: int) -> bool:
    """Return whether the disk of a file takes `least` more bytes; True if the system cannot tell."""
    try:
        free = durable_files.free_bytes(path.parent)
    except OSError:
        return True  # the next step says what is wrong with the folder
    return free is None or free >= least


def _behind(why: str) -> AtcaProvError:
    return AtcaProvError(
        f"The ledger is behind what it was: {why}.",
        advice="No certificate is issued. Put the newest ledger back, then start the server again.",
        code=Code.LEDGER_BEHIND,
    )


def _event(kind: type[_Event], index: int, body: str) -> _Event:
    try:
        event = decode(body)
    except ValueError as error:
        raise DatabaseError(f"entry {index} is damaged") from error
    if not isinstance(event, kind):
        raise DatabaseError(f"entry {index} is of another kind than it should be")
    return event


def _intent(row: Row) -> Intent:
    chip_serial, public_key, signer_serial, signer_key, documents, time, unsigned, server, client, last, *names = row
    station, order, product, unit, label, request_id, crl_number = names
    return Intent(
        chip_serial,
        public_key,
        signer_serial,
        signer_key,
        documents,
        moment(time),
        unsigned,
        server,
        client,
        last,
        Origin(station, order, product, unit, label, request_id or b""),
        crl_number,
    )


def _documents(document_id: str, content: bytes) -> SignerDocuments:
    documents = SignerDocuments.from_bytes(content)
    if documents.document_id != document_id:
        raise DatabaseError(f"the signer documents {document_id} were changed")
    return documents


def _head_and_newest(connection: Connection) -> tuple[TreeHead, int | None]:
    ((size, root, newest),) = connection.rows("SELECT size, root, newest FROM tree")
    return TreeHead(size, root), newest
