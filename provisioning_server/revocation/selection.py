"""Which certificates a person wants to revoke: by serial number, chip, batch, or because no proof came."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final, Protocol, Self, TypeVar

from atcaprov.errors import Code, ProtocolError, UsageError
from provisioning_server.ledger.search import CertificateFilter, Searchable, find_all
from provisioning_server.ledger.store import StoredCertificate

REVOKED_MAX: Final = 10_000
"""Certificates of one step: more would hold up those who wait for theirs."""
_PAGE: Final = 1000
_NO_LIMIT: Final = datetime(9999, 1, 1, tzinfo=UTC)


_Value = TypeVar("_Value", str, bool)


class SelectableLedger(Searchable, Protocol):
    """What certificates are chosen from."""

    def unproven(self, before: datetime, start: int, count: int) -> Sequence[StoredCertificate]:
        """Return at most `count` certificates issued before a moment and not proven, from a log index on."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What a person names. One of `serial` (at most 20 bytes), `chip` (9 bytes), a batch or `unproven`.

    A batch is a work `order`, or the certificates issued from `since` on and before `until`, or both. `signer` (9
    bytes) narrows each of them. `unproven` takes those issued before `until` whose chip has not proven its key.
    """

    serial: bytes | None = None
    chip: bytes | None = None
    order: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    signer: bytes | None = None
    unproven: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as a map of texts for the control channel."""
        return {each.name: _to_json(getattr(self, each.name)) for each in fields(self)}

    @classmethod
    def from_json(cls, values: object) -> Self:
        """Read what `to_json` returns; raises ProtocolError."""
        try:
            if not isinstance(values, dict):
                raise TypeError
            read = {name: _from_json(name, value) for name, value in values.items()}
            return cls(**read)
        except (TypeError, ValueError) as error:
            raise ProtocolError("The selection of certificates is not one.", code=Code.BAD_FRAME) from error


def _to_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, datetime) else value


def _from_json(name: str, value: Any) -> Any:
    """Return the value of a field; raises TypeError or ValueError."""
    if name == "unproven":
        return _of_type(bool, value)
    if value is None:
        return None
    text = _of_type(str, value)
    if name == "order":
        return text
    if name not in ("since", "until"):
        return bytes.fromhex(text)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without its offset")
    return moment


def _of_type(kind: type[_Value], value: object) -> _Value:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is not a {kind.__name__}")
    return value


@dataclass(frozen=True, slots=True)
class Chosen:
    """The certificates that are to be revoked, and those of the selection that are already, both oldest first."""

    certificates: tuple[StoredCertificate, ...]
    revoked: tuple[StoredCertificate, ...]

    @property
    def digest(self) -> str:
        """Return what tells whether a later choice has the same certificates: SHA-256 over their entries, hex."""
        return hashlib.sha256(",".join(str(each.index) for each in self.certificates).encode()).hexdigest()


def choose(ledger: SelectableLedger, selection: Selection) -> Chosen:
    """Return the certificates of a selection.

    Raises UsageError for a serial number that none or several have, a chip without a certificate, and for more than
    REVOKED_MAX certificates.
    """
    found = list(islice(_matching(ledger, selection), REVOKED_MAX + 1))
    if len(found) > REVOKED_MAX:
        raise UsageError(
            f"These are more than {REVOKED_MAX:,} certificates, the most that are revoked at once.",
            advice="Revoke them in parts, with --since and --until.",
        )
    if selection.serial is not None:
        _require_one(found, selection.serial)
    if selection.chip is not None and not found:
        raise UsageError(
            f"The chip {selection.chip.hex().upper()} has no certificate in the ledger.",
            advice="Check the serial number; 'provisioning-server ledger search --chip' finds certificates by it.",
        )
    taken = [each for each in found if each.revoked is None]
    return Chosen(tuple(taken), tuple(each for each in found if each.revoked is not None))


def _matching(ledger: SelectableLedger, selection: Selection) -> Iterator[StoredCertificate]:
    if selection.unproven:
        return (each for each in _unproven(ledger, selection.until) if _fits(each, selection))
    wanted = CertificateFilter(
        chip_serial=selection.chip,
        signer_serial=selection.signer,
        certificate_serial=selection.serial,
        order=selection.order,
        since=selection.since,
        until=selection.until,
    )
    return find_all(ledger, wanted)


def _unproven(ledger: SelectableLedger, until: datetime | None) -> Iterator[StoredCertificate]:
    start = 0
    while page := ledger.unproven(until or _NO_LIMIT, start, _PAGE):
        yield from page
        start = page[-1].index + 1


def _fits(stored: StoredCertificate, selection: Selection) -> bool:
    record = stored.record
    return (
        (selection.signer is None or record.signer_serial == selection.signer)
        and (selection.order is None or record.origin.order == selection.order)
        and (selection.since is None or record.time >= selection.since)
    )


def _require_one(found: Sequence[StoredCertificate], serial: bytes) -> None:
    name = serial.hex().upper()
    if not found:
        raise UsageError(
            f"No certificate of the ledger has the serial number {name}.",
            advice="Give all digits of the certificate's serial number; --chip takes that of a chip.",
        )
    if len(found) > 1:
        signers = ", ".join(each.record.signer_serial.hex().upper() for each in found)
        raise UsageError(
            f"{len(found)} certificates have the serial number {name}, of the signers {signers}.",
            advice="Name the signer with --signer.",
        )
