"""What may be done about stations: invite, admit, renew, remove. Each returns the events for the ledger, or raises.

They are decided in the step that writes them, so that of two enrolments with one token one is admitted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NoReturn

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from atcaprov.errors import Code, ServerRejected, UsageError
from atcaprov.terminal.printable import printable
from atcaprov.wire.messages import NAME_SIZE_MAX
from provisioning_server.ledger.administration import StationAdmitted, StationInvited, StationRemoved
from provisioning_server.ledger.store import Administered, Invitation, Station
from provisioning_server.stations.station_ca import StationCa

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
RENEWALS_A_DAY: Final = 10
"""Each stays in the ledger, and the table of stations is read again: a stolen one fills neither."""
_DAY: Final = timedelta(days=1)
_LONGEST_VALID: Final = timedelta(days=30)
_SHOWN: Final = 80
_REQUEST_FAULTS: Final = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion)


def require_station_name(name: str) -> None:
    """Raise UsageError unless a station can have the name."""
    if len(name) > NAME_SIZE_MAX or not _NAME.fullmatch(name):
        raise UsageError(
            f"'{printable(name[:_SHOWN])}' is not a name for a station.",
            advice=f"Use at most {NAME_SIZE_MAX} letters, digits, dots, hyphens and underscores, such as line-1.",
        )


def current(administered: Administered, name: str) -> list[Station]:
    """Return the certificates of a station that are not removed, oldest first."""
    return [each for each in administered.stations() if each.admitted.station == name and each.removed is None]


def require_validity(valid: timedelta) -> None:
    """Raise UsageError unless an invitation may be valid so long."""
    if not timedelta(0) < valid <= _LONGEST_VALID:
        raise UsageError("An enrolment token is valid for at most 30 days.", advice="Give a shorter time with --valid.")


def invite(
    administered: Administered, name: str, token_hash: bytes, expires: datetime, now: datetime, by: str, *, again: bool
) -> StationInvited:
    """Return the invitation of a station: a new one, or, with `again`, one that is admitted."""
    require_station_name(name)
    admitted = bool(current(administered, name))
    if admitted and not again:
        raise UsageError(
            f"The station {name} is admitted already.",
            advice=f"Choose another name, or renew it: 'provisioning-server station renew {name}'.",
        )
    if again and not admitted:
        raise _no_station(name, f"Add it: 'provisioning-server station add {name}'.")
    return StationInvited(now, name, token_hash, expires, by)


def remove(administered: Administered, name: str, reason: str, now: datetime, by: str) -> StationRemoved:
    """Return the removal of a station, or of its open invitations."""
    invited = any(each.closed is None and each.invited.station == name for each in administered.invitations())
    if not invited and not current(administered, name):
        raise _no_station(name, "'provisioning-server station list' shows all.")
    return StationRemoved(now, name, reason, by)


class Admitting:
    """Decides on one enrolment; `certificate` and `station` are what the station gets."""

    def __init__(self, ca: StationCa, key: ec.EllipticCurvePublicKey, now: datetime, client: str) -> None:
        self.certificate = b""
        self.station = ""
        self._ca = ca
        self._key = key
        self._now = now
        self._client = client

    def with_token(self, administered: Administered, token_hash: bytes) -> Sequence[StationAdmitted]:
        """Admit the station that has a token; the same key gets the same certificate again, as its answer was lost."""
        found = next((each for each in administered.invitations() if each.invited.token_hash == token_hash), None)
        if found is None:
            raise ServerRejected(
                "This server has made no such enrolment token.",
                advice="Ask the supervisor for a new one.",
                code=Code.TOKEN_UNKNOWN,
            )
        name = found.invited.station
        if found.closed is not None:
            return self._again(administered, token_hash, name)
        if self._now >= found.invited.expires:
            raise ServerRejected(
                f"The enrolment token ended on {found.invited.expires:%Y-%m-%d %H:%M} UTC.",
                advice="Ask the supervisor for a new one.",
                code=Code.TOKEN_EXPIRED,
            )
        if _admitted_since(administered, found):
            _refuse_used(name)
        return self._new(name, token_hash)

    def renewed(self, administered: Administered, name: str) -> Sequence[StationAdmitted]:
        """Give an admitted station a new certificate; the same again for a key that has one."""
        certificates = current(administered, name)
        if not certificates:
            raise ServerRejected(
                f"The station {name} was removed.", advice="Call the supervisor.", code=Code.STATION_REMOVED
            )
        if self._give_stored(certificates):
            return ()
        if sum(self._now - each.admitted.time < _DAY for each in certificates) > RENEWALS_A_DAY:
            raise ServerRejected(
                f"The station {name} has renewed its certificate {RENEWALS_A_DAY} times within a day.",
                advice="Work on with the one that it has. Renew it tomorrow, if you have to.",
                code=Code.SERVER_BUSY,
            )
        return self._new(name, b"")

    def _again(self, administered: Administered, token_hash: bytes, name: str) -> Sequence[StationAdmitted]:
        with_it = [each for each in administered.stations() if each.admitted.token_hash == token_hash]
        if not with_it:
            raise ServerRejected(
                f"The invitation of the station {name} was taken back.",
                advice="Ask the supervisor for a new enrolment token.",
                code=Code.TOKEN_UNKNOWN,
            )
        if any(each.removed is not None for each in with_it):
            raise ServerRejected(
                f"The station {name} was removed.",
                advice="Ask the supervisor for a new enrolment token.",
                code=Code.STATION_REMOVED,
            )
        if not self._give_stored(with_it):
            _refuse_used(name)
        return ()

    def _give_stored(self, certificates: Sequence[Station]) -> bool:
        """Give the newest certificate for the key, if there is one that is still good."""
        for each in reversed(certificates):
            stored = x509.load_der_x509_certificate(each.admitted.certificate)
            if stored.public_key() == self._key and self._now <= stored.not_valid_after_utc:
                self.certificate, self.station = each.admitted.certificate, each.admitted.station
                return True
        return False

    def _new(self, name: str, token_hash: bytes) -> Sequence[StationAdmitted]:
        self.certificate, self.station = self._ca.certify_station(name, self._key, self._now), name
        return (StationAdmitted(self._now, name, self.certificate, token_hash, self._client),)


def requested_key(request: bytes) -> ec.EllipticCurvePublicKey:
    """Return the key of a PKCS#10 request (DER), which has signed it; raises ServerRejected for anything else."""
    try:
        parsed = x509.load_der_x509_csr(request)
        key = parsed.public_key()
        signed = parsed.is_signature_valid
    except _REQUEST_FAULTS:
        signed, key = False, None
    if not signed or not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ServerRejected(
            "The certification request of the station is not one that a key on P-256 has signed.",
            advice="Update the client.",
        )
    return key


def _admitted_since(administered: Administered, invitation: Invitation) -> bool:
    """Tell whether another token of the same station was used after this one was made."""
    name = invitation.invited.station
    used = {each.admitted.token_hash for each in current(administered, name)}
    return any(
        each.invited.token_hash in used and each.closed is not None and each.closed > invitation.index
        for each in administered.invitations()
    )


def _refuse_used(name: str) -> NoReturn:
    raise ServerRejected(
        f"The station {name} was enrolled with another key already.",
        advice="If it was not you, have it removed. Ask the supervisor for a new token.",
        code=Code.TOKEN_USED,
    )


def _no_station(name: str, advice: str) -> UsageError:
    return UsageError(f"There is no station {printable(name[:_SHOWN])}.", advice=advice)
