"""Audit a whole log, without trust in the server that kept it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from atcaprov.certs.issued_record import IssuedRecord
from atcaprov.errors import UsageError
from atcaprov.transparency.checkpoint import SignedCheckpoint
from atcaprov.transparency.tiles import TILE_WIDTH
from atcaprov.transparency.verifier_keys import VerifierKey
from provisioning_server.audit.entry_check import EntryCheck
from provisioning_server.audit.findings import AuditReport
from provisioning_server.audit.log_signer import of_one_ledger
from provisioning_server.audit.log_source import EntryReader, FolderLog, LedgerLog, LogSource
from provisioning_server.audit.table_check import check_tables
from provisioning_server.audit.tree_check import TreeCheck
from provisioning_server.audit.twice_check import TwiceCheck
from provisioning_server.ledger.administration import SUPERSEDED, Revoked
from provisioning_server.ledger.changes import Event, Issued
from provisioning_server.ledger.entry_bodies import decode


@dataclass(frozen=True, slots=True)
class AuditOrder:
    """What an audit is told: the key of the log, older checkpoints that it must continue, keys of witnesses.

    The origin of an older checkpoint may have another epoch; its signature is checked with the same public key.
    """

    key: VerifierKey | None = None
    since: tuple[SignedCheckpoint, ...] = ()
    witnesses: tuple[VerifierKey, ...] = ()
    allow_rekey: bool = False


def verify_log(source: LogSource, order: AuditOrder) -> AuditReport:
    """Check every entry of a log, its tree, its signatures, and that it continues the older checkpoints."""
    report = AuditReport()
    older = [*order.since, *_cosigned(source, report)]
    _check_signatures(source, order, report)
    tree = TreeCheck(source, report, [signed.checkpoint.size for signed in older])
    twice = TwiceCheck(report, allow_rekey=order.allow_rekey)
    entries = EntryCheck(report, source.documents, EntryReader(source).read)

    def take(index: int, body: bytes) -> None:
        event = entries.take(index, body)
        if isinstance(event, Issued):
            twice.take(event.record)
        elif isinstance(event, Revoked) and event.reason == SUPERSEDED:
            twice.take_superseded(index, event.certificate_index)

    tree.run(take)
    twice.judge(lambda: _certificates(source))
    if isinstance(source, LedgerLog):
        _check_tables(source, report)
    for signed in older:
        _check_continues(signed, source, tree, order, report)
    _tell(source, order, report)
    return report


def _cosigned(source: LogSource, report: AuditReport) -> list[SignedCheckpoint]:
    if not isinstance(source, FolderLog):
        return []
    try:
        return source.cosigned()
    except UsageError as error:
        report.find("checkpoint-invalid", f"A cosigned checkpoint of the folder cannot be read: {error.what}")
        return []


def _check_signatures(source: LogSource, order: AuditOrder, report: AuditReport) -> None:
    """Check the signatures on the checkpoint of an exported folder; a ledger has none."""
    if not isinstance(source, FolderLog) or order.key is None:
        return
    try:
        found = source.checkpoint.verify(order.key, order.witnesses)
    except UsageError as error:
        report.find("checkpoint-invalid", error.what)
        return
    missing = [witness.name for witness in order.witnesses if witness not in found]
    if missing:
        report.find("cosignature-missing", f"The checkpoint has no cosignature of {', '.join(missing)}.")
    report.checked.append(f"The checkpoint is signed with the log's key {order.key}.")
    report.checked += [f"The checkpoint is cosigned by {witness.name}." for witness in found]


def _check_continues(
    signed: SignedCheckpoint, source: LogSource, tree: TreeCheck, order: AuditOrder, report: AuditReport
) -> None:
    """Check that the log begins with the entries of an older checkpoint, which its key must have signed."""
    old = signed.checkpoint
    name = f"checkpoint of {old.size} entries of {old.origin}"
    if order.key is not None:
        try:
            signed.verify(VerifierKey(old.origin, order.key.type, order.key.public_key))
        except UsageError as error:
            report.find("checkpoint-invalid", f"The older {name}: {error.what}")
            return
        if not of_one_ledger(old.origin, order.key.name):
            report.find("checkpoint-of-other-log", f"The older {name} is not of this log.")
            return
    size = source.head().size
    if old.size > size:
        report.find("rolled-back", f"The log has {size} entries, fewer than the older {name}.")
    elif tree.roots[old.size] != old.root:
        report.find("forked", f"The first {old.size} entries are not those of the older {name}.")
    else:
        report.checked.append(f"The log continues the older {name}.")


def _check_tables(source: LedgerLog, report: AuditReport) -> None:
    """Compare the ledger's tables with its entries, unless these are wrong: a ledger ends at its first error."""
    if report.found:
        report.remarks.append("The tables of the ledger were not compared with its entries, as these are damaged.")
        return
    check_tables(source.ledger, source.head().size, _events(source), report)
    report.checked.append("The tables by which the server decides have every certificate and every proof of the log.")


def _certificates(source: LogSource) -> Iterator[tuple[int, IssuedRecord]]:
    return ((index, event.record) for index, event in _events(source) if isinstance(event, Issued))


def _events(source: LogSource) -> Iterator[tuple[int, Event]]:
    """Give the entries again that can be read; the others were found before."""
    size = source.head().size
    for number in range(-(-size // TILE_WIDTH)):
        try:
            bundle = source.bundle(number)
        except UsageError:
            continue  # it was found to be missing before
        for index, body in enumerate(bundle, number * TILE_WIDTH):
            try:
                event = decode(body.decode("ascii"))
            except ValueError:
                continue
            yield index, event


def _tell(source: LogSource, order: AuditOrder, report: AuditReport) -> None:
    """Say in plain words what was checked."""
    counts = report.counts
    report.checked += [
        f"All {source.head().size} entries were hashed again and compared with the tiles and the root of the log.",
        f"Certificates: {counts['certificates']}, each signed by its signer, with its chain to the root, and rebuilt"
        " from the 72 bytes on the chip.",
        f"Proofs that a chip has the key of its certificate: {counts['proofs of possession']}.",
        "No key was certified for two chips" + ("." if order.allow_rekey else ", and no chip for two keys."),
    ]
    if counts["revocations"] or counts["revocation lists"]:
        report.checked.append(
            f"Revoked certificates: {counts['revocations']}. Lists of them: {counts['revocation lists']}, each with"
            " what was revoked before it."
        )
    if not order.since and not isinstance(source, FolderLog):
        report.remarks.append("Whether entries at the end were removed can only be told with an older checkpoint.")


def keys_of(texts: Collection[str]) -> tuple[VerifierKey, ...]:
    """Return verifier keys from their texts; raises UsageError (LOG_INVALID)."""
    return tuple(VerifierKey.parse(text) for text in texts)
