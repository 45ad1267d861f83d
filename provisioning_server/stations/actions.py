"""What a supervisor does about stations: add, renew, remove, list; how: `ledger/actions`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography import x509

from atcaprov.bounded_reading import shown
from atcaprov.errors import UsageError
from atcaprov.wire.enrolment_token import SERVERS_MAX, EnrolmentToken, token_hash
from atcaprov.wire.messages import TOKEN_SIZE
from atcaprov.wire.server_place import ServerPlace
from provisioning_server.ledger.actions import ActionPlace, PlannedAction
from provisioning_server.ledger.administer import Written
from provisioning_server.ledger.administration import StationInvited, StationRemoved
from provisioning_server.ledger.store import Administered, Ledger, Station
from provisioning_server.stations.served_address import kept_address
from provisioning_server.stations.station_ca import StationCa
from provisioning_server.stations.station_rules import current, invite, remove, require_validity

ADD: Final = "station-add"
RENEW: Final = "station-renew"
REMOVE: Final = "station-remove"
_REASON_MAX: Final = 200


def add_station(arguments: Mapping[str, Any], place: ActionPlace) -> PlannedAction:
    """Plan the invitation of a new station; the result has its token."""
    return _invitation(arguments, place, again=False)


def renew_station(arguments: Mapping[str, Any], place: ActionPlace) -> PlannedAction:
    """Plan the invitation of a station that is admitted, to a new certificate; the result has its token."""
    return _invitation(arguments, place, again=True)


def remove_station(arguments: Mapping[str, Any], place: ActionPlace) -> PlannedAction:
    """Plan the removal of a station: all its certificates and open invitations."""
    name, reason = _text(arguments, "name"), _text(arguments, "reason")[:_REASON_MAX]

    def decide(ledger: Ledger) -> Sequence[StationRemoved]:
        return (remove(ledger.administered, name, reason, place.now, place.by),)

    return PlannedAction(decide, lambda written: {"station": name})


def station_rows(administered: Administered, now: datetime) -> list[dict[str, Any]]:
    """Return each station's newest state, by name: `admitted`, `expired`, `removed` or `invited`, and its dates."""
    rows: dict[str, dict[str, Any]] = {}
    for each in administered.stations():
        rows[each.admitted.station] = _row(each, now)
    for invitation in administered.invitations():
        invited = invitation.invited
        known = rows.get(invited.station)
        if invitation.closed is None and (known is None or known["state"] == "removed"):
            state = "invited" if now < invited.expires else "invitation expired"
            rows[invited.station] = {"name": invited.station, "state": state, "until": _moment(invited.expires)}
    return sorted(rows.values(), key=lambda row: str(row["name"]))


def _row(station: Station, now: datetime) -> dict[str, Any]:
    certificate = x509.load_der_x509_certificate(station.admitted.certificate)
    ends = certificate.not_valid_after_utc
    state = "removed" if station.removed is not None else "expired" if now > ends else "admitted"
    return {"name": station.admitted.station, "state": state, "until": _moment(ends)}


def _invitation(arguments: Mapping[str, Any], place: ActionPlace, *, again: bool) -> PlannedAction:
    name = _text(arguments, "name")
    valid = timedelta(seconds=_number(arguments, "valid_seconds"))
    require_validity(valid)
    servers = _servers(arguments, place)
    ca = StationCa.open(place.data, place.now)
    expires = place.now.replace(microsecond=0) + valid
    token = EnrolmentToken(ca.sha256, secrets.token_bytes(TOKEN_SIZE), servers, expires, name)
    secret_hash = token_hash(token.secret)

    def decide(ledger: Ledger) -> Sequence[StationInvited]:
        _require_same_ca(ca, current(ledger.administered, name))
        return (invite(ledger.administered, name, secret_hash, expires, place.now, place.by, again=again),)

    def result(written: Written) -> dict[str, Any]:
        return {"station": name, "token": str(token), "until": _moment(expires)}

    return PlannedAction(decide, result)


def _require_same_ca(ca: StationCa, certificates: Sequence[Station]) -> None:
    for each in certificates:
        ca.require_issued(each.admitted.certificate)


def _servers(arguments: Mapping[str, Any], place: ActionPlace) -> tuple[ServerPlace, ...]:
    given = arguments.get("servers")
    if not isinstance(given, list) or len(given) > SERVERS_MAX:
        raise UsageError(f"A token names at most {SERVERS_MAX} servers.")
    servers = tuple(ServerPlace.parse(str(each)) for each in given)
    kept = None if servers else kept_address(place.data)
    if not servers and kept is None:
        raise UsageError(
            "The address of the server is not known: it has not run with --tls yet.",
            advice="Start it with --tls, or give its address with --server.",
        )
    return servers if kept is None else (kept,)


def _text(arguments: Mapping[str, Any], name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str):
        raise UsageError(f"The request has no {name}: {shown(value)}.")
    return value


def _number(arguments: Mapping[str, Any], name: str) -> int:
    value = arguments.get(name)
    if type(value) is not int or not 0 <= value <= 1 << 40:
        raise UsageError(f"The request has no {name}: {shown(value)}.")
    return value


def _moment(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
