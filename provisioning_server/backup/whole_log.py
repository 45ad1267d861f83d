"""Read a ledger from its first entry to its last: whether the log is whole, and how many certificates it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from atcaprov.errors import Code, UsageError
from atcaprov.transparency.merkle import leaf_hash
from atcaprov.transparency.tiles import TiledTree
from provisioning_server.ledger.entry_bodies import ISSUED
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.ledger.store import TreeHead

_READ: Final = 2000


@dataclass(frozen=True, slots=True)
class WholeLog:
    """A log that was read completely: its head, as computed from the entries, and its certificates."""

    head: TreeHead
    certificates: int


def read_whole_log(ledger: SqlLedger, place: str) -> WholeLog:
    """Compute the head of a ledger from its entries, and compare.

    Raises:
        UsageError: LOG_MISMATCH if head, entries or the index of certificates do not belong together; `place` names
            the ledger.
        AtcaProvError: RECORDS_FAILED.
    """
    tree, certificates = TiledTree(), 0
    while entries := ledger.entries(tree.size, _READ):
        if [entry.index for entry in entries] != list(range(tree.size, tree.size + len(entries))):
            raise _broken(place, f"an entry after {tree.size} is missing")
        certificates += sum(entry.kind == ISSUED for entry in entries)
        tree = tree.append([leaf_hash(entry.body) for entry in entries]).tree
    head = TreeHead(tree.size, tree.root)
    if head != ledger.head():
        raise _broken(place, f"its head is not that of its {tree.size} entries")
    if sum(signer.certificates for signer in ledger.by_signer()) != certificates:
        raise _broken(place, "its index does not have every certificate")
    for documents in ledger.known_documents():
        documents.check()
    return WholeLog(head, certificates)


def _broken(place: str, reason: str) -> UsageError:
    return UsageError(f"{place} is damaged: {reason}.", advice="Take another backup.", code=Code.LOG_MISMATCH)
