"""The bytes of an entry of the log: deterministic JSON, which is hashed as a leaf and stored as it is.

One object without blanks, its keys sorted, in ASCII. Times are UTC in whole seconds (`2026-11-21T10:15:40Z`), bytes are
lower-case hex, certificates Base64. `kind` names the event. All fields are listed in docs/reference/ledger.md.
"""

from __future__ import annotations

import functools
import json
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Mapping
from datetime import datetime
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any, Final

from atcaprov.certs.issued_record import IssuedRecord, Origin
from provisioning_server.ledger.administration_bodies import (
    ADMINISTRATIVE_KINDS,
    administrative_fields,
    number_field,
    read_administrative,
    text_field,
)
from provisioning_server.ledger.changes import (
    CertificatesRecovered,
    ClockAccepted,
    CounterSeen,
    Event,
    FolderImported,
    Intent,
    Issued,
    LossesSettled,
    Lost,
    Reported,
    RollbackAccepted,
    StageOutcome,
)

ISSUED: Final = "issued"
KINDS: Final[Mapping[type[Event], str]] = {
    Issued: ISSUED,
    Lost: "lost",
    Reported: "reported",
    ClockAccepted: "clock-accepted",
    RollbackAccepted: "rollback-accepted",
    LossesSettled: "losses-settled",
    CounterSeen: "counter-seen",
    FolderImported: "folder-imported",
    CertificatesRecovered: "certificates-recovered",
    **{kind: name for kind, name in ADMINISTRATIVE_KINDS.items()},  # noqa: C416 - its keys have a narrower type
}
_TO_SECONDS: Final = len("2026-11-21T10:15:40")
_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def encode(event: Event) -> str:
    """Return the body of an event. Parts of a second are cut off."""
    if isinstance(event, Issued):
        return _encode_issued(event)
    fields = {"kind": KINDS[type(event)], **_FIELDS[type(event)](event)}
    return _ENCODER.encode(fields)


def decode(body: str) -> Event:
    """Read a body; raises ValueError for anything that `encode` does not return."""
    try:
        fields = json.loads(body)
        event = _READERS[fields["kind"]](fields)
        same = encode(event) == body
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not an entry of a ledger: {error!r}") from error
    if not same:
        raise ValueError("an entry that is not written as this program writes it")
    return event


def _encode_issued(issued: Issued) -> str:
    """Return what the encoder would, in a quarter of its time: there is one for each certificate."""
    record = issued.record
    origin = record.origin
    return (
        f'{{"certificate":"{_base64(record.certificate)}","certificate_serial":"{record.certificate_serial.hex()}"'
        f',"challenge":"{issued.challenge.hex()}","chip_serial":"{record.chip_serial.hex()}"'
        f',"client":{_quoted(record.client)},"compressed":"{record.compressed.hex()}"'
        f',"config_revision":"{record.config_revision.hex()}","documents":{_quoted(record.documents)}'
        f',"kind":"issued"{_named("label", origin.label)}{_named("order", origin.order)}'
        f'{_named("product", origin.product)},"public_key":"{record.public_key.hex()}"'
        f'{_named("request", origin.request_id.hex())},"revision":"{record.revision.hex()}"'
        f',"signer_id":"{record.signer_id.hex()}","signer_name":{_quoted(record.signer_name)}'
        f',"signer_serial":"{record.signer_serial.hex()}"{_named("station", origin.station)}'
        f',"time":"{_time(record.time)}"{_named("unit", origin.unit)}}}'
    )


def _named(key: str, text: str) -> str:
    """Return a field that is left out where it is empty, as in entries from before there was one."""
    return f',"{key}":{_quoted(text)}' if text else ""


def _origin_fields(origin: Origin) -> dict[str, object]:
    found = {
        "label": origin.label,
        "order": origin.order,
        "product": origin.product,
        "request": origin.request_id.hex(),
        "station": origin.station,
        "unit": origin.unit,
    }
    return {key: text for key, text in found.items() if text}


def _read_origin(fields: dict[str, Any]) -> Origin:
    return Origin(
        station=text_field(fields.get("station", "")),
        order=text_field(fields.get("order", "")),
        product=text_field(fields.get("product", "")),
        unit=text_field(fields.get("unit", "")),
        label=text_field(fields.get("label", "")),
        request_id=bytes.fromhex(fields.get("request", "")),
    )


def _read_issued(fields: dict[str, Any]) -> Issued:
    record = IssuedRecord(
        time=datetime.fromisoformat(fields["time"]),
        chip_serial=bytes.fromhex(fields["chip_serial"]),
        signer_serial=bytes.fromhex(fields["signer_serial"]),
        signer_name=fields["signer_name"],
        signer_id=bytes.fromhex(fields["signer_id"]),
        certificate_serial=bytes.fromhex(fields["certificate_serial"]),
        public_key=bytes.fromhex(fields["public_key"]),
        compressed=bytes.fromhex(fields["compressed"]),
        documents=fields["documents"],
        certificate=a2b_base64(fields["certificate"]),
        client=fields["client"],
        revision=bytes.fromhex(fields["revision"]),
        config_revision=bytes.fromhex(fields["config_revision"]),
        origin=_read_origin(fields),
    )
    return Issued(record, bytes.fromhex(fields["challenge"]))


def _lost_fields(lost: Lost) -> dict[str, object]:
    intent = lost.intent
    return {
        "chip_serial": intent.chip_serial.hex(),
        "client": intent.client,
        "documents": intent.documents,
        "last_index": intent.last_index,
        "opened": _time(intent.time),
        "public_key": intent.public_key.hex(),
        "reason": lost.reason,
        "server": intent.server,
        "signed": lost.signed,
        "signer_key": intent.signer_key.hex(),
        "signer_serial": intent.signer_serial.hex(),
        "time": _time(lost.time),
        "unsigned": _base64(intent.unsigned),
        **_origin_fields(intent.origin),
        **({"crl_number": intent.crl_number} if intent.crl_number else {}),
    }


def _read_lost(fields: dict[str, Any]) -> Lost:
    intent = Intent(
        chip_serial=bytes.fromhex(fields["chip_serial"]),
        public_key=bytes.fromhex(fields["public_key"]),
        signer_serial=bytes.fromhex(fields["signer_serial"]),
        signer_key=bytes.fromhex(fields["signer_key"]),
        documents=text_field(fields["documents"]),
        time=datetime.fromisoformat(fields["opened"]),
        unsigned=a2b_base64(fields["unsigned"]),
        server=text_field(fields["server"]),
        client=text_field(fields["client"]),
        last_index=number_field(fields["last_index"]),
        origin=_read_origin(fields),
        crl_number=number_field(fields.get("crl_number", 0)),
    )
    signed = fields["signed"]
    if not (signed is None or isinstance(signed, bool)):
        raise ValueError("signed is neither true, false nor null")
    return Lost(intent, datetime.fromisoformat(fields["time"]), signed, text_field(fields["reason"]))


def _reported_fields(reported: Reported) -> dict[str, object]:
    return {
        "certificate_index": reported.certificate_index,
        "challenge": reported.challenge.hex(),
        "chip_serial": reported.chip_serial.hex(),
        "client": reported.client,
        "code": reported.code,
        "contents": reported.contents.hex(),
        "fate": reported.fate,
        "finished": _time(reported.finished),
        "received": _time(reported.received),
        "signature": reported.signature.hex(),
        "stages": [[each.stage, each.outcome, each.milliseconds] for each in reported.stages],
        **_origin_fields(Origin(station=reported.station, request_id=reported.request_id)),
    }


def _read_reported(fields: dict[str, Any]) -> Reported:
    return Reported(
        certificate_index=number_field(fields["certificate_index"]),
        chip_serial=bytes.fromhex(fields["chip_serial"]),
        challenge=bytes.fromhex(fields["challenge"]),
        signature=bytes.fromhex(fields["signature"]),
        contents=bytes.fromhex(fields["contents"]),
        fate=text_field(fields["fate"]),
        code=text_field(fields["code"]),
        stages=tuple(
            StageOutcome(number_field(stage), text_field(outcome), number_field(milliseconds))
            for stage, outcome, milliseconds in fields["stages"]
        ),
        finished=datetime.fromisoformat(fields["finished"]),
        received=datetime.fromisoformat(fields["received"]),
        client=text_field(fields["client"]),
        station=text_field(fields.get("station", "")),
        request_id=bytes.fromhex(fields.get("request", "")),
    )


def _clock_fields(accepted: ClockAccepted) -> dict[str, object]:
    return {"newest": _time(accepted.newest), "reason": accepted.reason, "time": _time(accepted.time)}


def _read_clock(fields: dict[str, Any]) -> ClockAccepted:
    time, newest = (datetime.fromisoformat(fields[name]) for name in ("time", "newest"))
    return ClockAccepted(time, newest, text_field(fields["reason"]))


def _rollback_fields(accepted: RollbackAccepted) -> dict[str, object]:
    return {
        "checkpoint": _base64(accepted.checkpoint),
        "missing": accepted.missing,
        "reason": accepted.reason,
        "signer_serial": accepted.signer_serial.hex(),
        "time": _time(accepted.time),
    }


def _read_rollback(fields: dict[str, Any]) -> RollbackAccepted:
    return RollbackAccepted(
        time=datetime.fromisoformat(fields["time"]),
        reason=text_field(fields["reason"]),
        signer_serial=bytes.fromhex(fields["signer_serial"]),
        missing=number_field(fields["missing"]),
        checkpoint=a2b_base64(fields["checkpoint"]),
    )


def _settled_fields(settled: LossesSettled) -> dict[str, object]:
    return {
        "losses": settled.losses,
        "signatures": settled.signatures,
        "signer_serial": settled.signer_serial.hex(),
        "time": _time(settled.time),
    }


def _read_settled(fields: dict[str, Any]) -> LossesSettled:
    return LossesSettled(
        time=datetime.fromisoformat(fields["time"]),
        signer_serial=bytes.fromhex(fields["signer_serial"]),
        losses=number_field(fields["losses"]),
        signatures=number_field(fields["signatures"]),
    )


def _counter_fields(seen: CounterSeen) -> dict[str, object]:
    return {
        "first": seen.first,
        "signer_serial": seen.signer_serial.hex(),
        "time": _time(seen.time),
        "value": seen.value,
    }


def _read_counter(fields: dict[str, Any]) -> CounterSeen:
    return CounterSeen(
        time=datetime.fromisoformat(fields["time"]),
        signer_serial=bytes.fromhex(fields["signer_serial"]),
        value=number_field(fields["value"]),
        first=number_field(fields["first"]),
    )


def _import_fields(imported: FolderImported) -> dict[str, object]:
    return {"logs": [list(log) for log in imported.logs], "time": _time(imported.time)}


def _recovery_fields(recovered: CertificatesRecovered) -> dict[str, object]:
    return {"count": recovered.count, "reason": recovered.reason, "time": _time(recovered.time)}


def _read_recovery(fields: dict[str, Any]) -> CertificatesRecovered:
    time = datetime.fromisoformat(fields["time"])
    return CertificatesRecovered(time, text_field(fields["reason"]), number_field(fields["count"]))


def _read_import(fields: dict[str, Any]) -> FolderImported:
    logs = tuple((text_field(name), text_field(digest), number_field(count)) for name, digest, count in fields["logs"])
    return FolderImported(datetime.fromisoformat(fields["time"]), logs)


_FIELDS: Final[Mapping[type[Event], Callable[[Any], dict[str, object]]]] = {
    Lost: _lost_fields,
    Reported: _reported_fields,
    ClockAccepted: _clock_fields,
    RollbackAccepted: _rollback_fields,
    LossesSettled: _settled_fields,
    CounterSeen: _counter_fields,
    FolderImported: _import_fields,
    CertificatesRecovered: _recovery_fields,
    **dict.fromkeys(ADMINISTRATIVE_KINDS, administrative_fields),
}
_READERS: Final[Mapping[str, Callable[[dict[str, Any]], Event]]] = {
    "issued": _read_issued,
    "lost": _read_lost,
    "reported": _read_reported,
    "clock-accepted": _read_clock,
    "rollback-accepted": _read_rollback,
    "losses-settled": _read_settled,
    "counter-seen": _read_counter,
    "folder-imported": _read_import,
    "certificates-recovered": _read_recovery,
    **{name: functools.partial(read_administrative, kind) for kind, name in ADMINISTRATIVE_KINDS.items()},
}


def _time(moment: datetime) -> str:
    return f"{moment.isoformat()[:_TO_SECONDS]}Z"


def _base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode()
