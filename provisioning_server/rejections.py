"""Every error reply of the server: why a request is rejected."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from atcaprov.errors import AtcaProvError, Code
from atcaprov.product_profile.profile import ProofRule
from atcaprov.terminal.printable import printable
from atcaprov.wire.messages import ERROR_MESSAGE_SIZE_MAX, ErrorReply

_LISTED: Final = 8


def _rejected(code: Code, message: str, retryable: bool) -> ErrorReply:
    return ErrorReply(str(code), message, retryable)


NOT_LOCKED: Final = _rejected(
    Code.REQUEST_INVALID, "The configuration zone of the chip is not locked. Lock it before asking.", False
)
NO_SERIAL: Final = _rejected(
    Code.REQUEST_INVALID, "The configuration zone holds no chip serial number: was it read from a chip?", False
)
CA_KEY: Final = _rejected(
    Code.REQUEST_INVALID, "The public key belongs to a signer or a root, not to a chip of a product.", False
)
OTHER_CHIP: Final = _rejected(
    Code.KEY_HAS_OTHER_CHIP,
    "This key has a certificate for another chip already. A key cannot leave its chip: set the board aside.",
    False,
)
NOT_ISSUED: Final = _rejected(
    Code.NOT_ISSUED, "No certificate was issued for this chip and this key. Use a new chip.", False
)
CHALLENGE_UNKNOWN: Final = _rejected(
    Code.CHALLENGE_UNKNOWN, "This server sent no certificates of this chip with the challenge of the report.", False
)
REPORT_MISMATCH: Final = _rejected(
    Code.REPORT_MISMATCH, "The report is for another certificate than the one that came with its challenge.", False
)
REPORT_DIFFERS: Final = _rejected(
    Code.REPORT_DIFFERS, "Another report with this challenge is recorded already. The first one stands.", False
)
PROOF_INVALID: Final = _rejected(
    Code.PROOF_INVALID, "The signature of the report is not one by the certified key over this challenge.", False
)
OTHER_KEY: Final = _rejected(
    Code.CHIP_HAS_OTHER_KEY, "This chip has a certificate for another key. Use a new chip or allow a new key.", False
)
OTHER_SIGNER: Final = _rejected(
    Code.CHIP_HAS_OTHER_SIGNER, "This chip has a certificate of another signer. Finish it with that signer.", False
)
UNIT_MISSING: Final = _rejected(
    Code.UNIT_MISSING, "The certificate contains the unit's own name, and the request has none.", False
)
UNIT_UNEXPECTED: Final = _rejected(
    Code.UNIT_UNEXPECTED, "The certificates of this signer contain no unit's name, and the request has one.", False
)
CERTIFICATE_REVOKED: Final = _rejected(
    Code.CERTIFICATE_REVOKED,
    "The certificate of this chip was revoked, and it gets no other one. Set the board aside.",
    False,
)
SIGNER_UNKNOWN: Final = _rejected(
    Code.SIGNER_UNKNOWN, "The server does not know this signer. Check the file given with --certinfo.", False
)
SIGNER_NOT_READY: Final = _rejected(
    Code.SIGNER_NOT_READY, "The signer waits for its password at the server. Call the supervisor.", True
)
SIGNERS_EXPECTED: Final = _rejected(
    Code.SIGNER_NOT_READY, "The server is still opening its signer modules. Try again.", True
)
SIGNER_UNPLUGGED: Final = _rejected(
    Code.SIGNER_UNPLUGGED, "The signer is not plugged in at the server. Call the supervisor.", True
)
SIGNER_QUARANTINED: Final = _rejected(
    Code.SIGNER_QUARANTINED, "The signer gave a wrong answer and is out of use. Call the supervisor.", True
)
QUOTA_USED_UP: Final = _rejected(
    Code.QUOTA_USED_UP, "The signer's quota is used up. Connect another signer module.", False
)
RECORDS_FAILED: Final = _rejected(
    Code.RECORDS_FAILED, "The server's ledger has failed, so it issues nothing until it is restarted.", False
)
LEDGER_BEHIND: Final = _rejected(
    Code.LEDGER_BEHIND, "The server's ledger is older than it was, so it signs nothing. Call the supervisor.", True
)
SIGNER_AHEAD: Final = _rejected(
    Code.LEDGER_BEHIND, "The signer has made signatures that the server's ledger lacks. Call the supervisor.", True
)
COUNTER_BEHIND: Final = _rejected(
    Code.COUNTER_BEHIND,
    "The signer has made fewer signatures than the server's ledger has of it. Call the supervisor.",
    True,
)
DISK_FULL: Final = _rejected(
    Code.DISK_FULL, "The disk of the server's records has too little room. Make room on it, then try again.", True
)
INTERNAL: Final = _rejected(Code.INTERNAL, "Internal server error. See the server's program log.", False)
STOPPING: Final = _rejected(Code.SERVER_STOPPING, "The server is stopping.", True)
BUSY: Final = _rejected(Code.SERVER_BUSY, "The server has too many connections.", True)
TOO_OFTEN: Final = _rejected(
    Code.SERVER_BUSY, "The station asks more often than the server allows. Wait a moment, then try again.", True
)
OTHER_SERVER: Final = _rejected(
    Code.SERVER_BUSY, "Another server of the ledger is issuing for this chip or its key. Try again.", True
)
PROMISED: Final = ErrorReply(
    str(Code.SERVER_BUSY),
    "What is left of the work order or the quota is promised to boards that are being made.",
    True,
    retry_after=3000,
)
NO_ENROLMENT: Final = _rejected(
    Code.UNEXPECTED_MESSAGE, "A station enrols over TLS, which this server does not serve.", False
)
STATION_MISSING: Final = _rejected(
    Code.STATION_UNKNOWN,
    "This connection shows no certificate of a station. Ask the supervisor for an enrolment token.",
    False,
)
STATION_UNKNOWN: Final = _rejected(
    Code.STATION_UNKNOWN,
    "The server's ledger does not have this station's certificate. Ask the supervisor for an enrolment token.",
    False,
)
GAVE_WAY: Final = ErrorReply(
    str(Code.SERVER_BUSY),
    "The server has too many connections, and this one was idle. Connect again.",
    retryable=True,
    retry_after=500,
)
"""It had no request open, so the client loses nothing when it asks again."""
IDLE: Final = _rejected(
    Code.SERVER_BUSY, "No complete message came in time, so the server closes the connection.", True
)


def other_configuration(product: str, fields: str, *, locked: bool) -> ErrorReply:
    """Return a rejection that says in words how a configuration zone, `locked` or not, differs from a product's."""
    advice = " Set the board aside." if locked else ""
    return rejected(Code.REQUEST_INVALID, f"The chip's configuration zone is not that of {product}: {fields}.{advice}")


def product_unknown(name: str, names: Sequence[str]) -> ErrorReply:
    """Return a rejection of a product that the server has no profile of."""
    known = f" It has {', '.join(names[:_LISTED])}{' ...' if len(names) > _LISTED else ''}." if names else ""
    return rejected(Code.PRODUCT_UNKNOWN, f"The server has no profile of the product '{name}'.{known}")


def product_ambiguous(names: Sequence[str]) -> ErrorReply:
    """Return a rejection of a request without a product that more than one profile fits."""
    listed = ", ".join(names[:_LISTED])
    return rejected(
        Code.PRODUCT_UNKNOWN, f"The chip may be one of several products, {listed}, and the request names none."
    )


def signer_not_allowed(product: str, problem: str) -> ErrorReply:
    """Return a rejection of a signer that may not sign for a product."""
    return rejected(Code.SIGNER_NOT_ALLOWED, f"The signer may not sign for the product {product}: it {problem}.")


def proofs_overdue(station: str, product: str, left: int, rule: ProofRule) -> ErrorReply:
    """Return a rejection of a station that has left too many certificates of a product unproven."""
    who = f"Station {station} has" if station else "Stations without a certificate of their own have"
    return _rejected(
        Code.PROOF_OVERDUE,
        f"{who} left {left} certificates of the product {product} unproven for more than {rule.within_hours} h;"
        f" {rule.most_overdue} are allowed. Deliver the reports that wait at the station, or start its boards again.",
        True,
    )


def unit_invalid(unit: str, rule: str) -> ErrorReply:
    """Return a rejection of a unit's name that says which rule it breaks."""
    return _rejected(Code.UNIT_INVALID, f"The unit's name '{printable(unit)}' is refused: {rule}.", False)


def unit_taken(unit: str, chip_serial: bytes) -> ErrorReply:
    """Return a rejection of a unit's name that another chip (9 bytes) has."""
    chip = chip_serial.hex().upper()
    return _rejected(
        Code.UNIT_TAKEN,
        f"The unit's name '{printable(unit)}' belongs to chip {chip}. Look for a label used twice.",
        False,
    )


def chip_has_other_unit(unit: str) -> ErrorReply:
    """Return a rejection of another name for a chip that has a certificate with the name `unit`; empty: with none."""
    has = f"the unit's name '{printable(unit)}'" if unit else "no unit's name"
    return _rejected(Code.CHIP_HAS_OTHER_UNIT, f"This chip has a certificate with {has}. Set the board aside.", False)


def rejected(code: Code, message: str, *, retryable: bool = False) -> ErrorReply:
    """Return a rejection with a sentence that names what was asked; the text is made printable and cut to its size."""
    return _rejected(code, _fitting(message), retryable)


def moment(time: datetime) -> str:
    """Return a moment in UTC as `2026-11-21 10:15 UTC`."""
    return f"{time:%Y-%m-%d %H:%M} UTC"


def station_removed(name: str) -> ErrorReply:
    """Return a rejection of a station that was removed."""
    return _rejected(Code.STATION_REMOVED, f"The station {name} was removed. Call the supervisor.", False)


def station_replaced(name: str) -> ErrorReply:
    """Return a rejection of a certificate that newer ones of its station have replaced."""
    text = f"The station {name} has renewed this certificate twice since. Ask the supervisor for an enrolment token."
    return _rejected(Code.STATION_EXPIRED, text, False)


def station_expired(name: str, begins: datetime, ends: datetime, now: datetime) -> ErrorReply:
    """Return a rejection of a station whose certificate has ended, or has not begun by the server's clock."""
    dates = f"is valid from {moment(begins)} to {moment(ends)}, and the server's clock says {moment(now)}"
    advice = "Ask the supervisor for a token to renew it." if now > ends else "Call the supervisor."
    return _rejected(Code.STATION_EXPIRED, f"The certificate of the station {name} {dates}. {advice}", False)


def server_clock(now: datetime, what: str) -> ErrorReply:
    """Return a rejection that says why the server's clock is wrong."""
    return _rejected(
        Code.SERVER_CLOCK, f"The server's clock says {moment(now)}, but {what}. Call the supervisor.", True
    )


def rejection(error: AtcaProvError, *, code: str | None = None) -> ErrorReply:
    """Turn an error into a reply; its text is made printable and cut to the size of a reply."""
    return ErrorReply(str(code or error.code), _fitting(str(error)) or "No reason given.", False)


def _fitting(message: str) -> str:
    return printable(message).encode()[:ERROR_MESSAGE_SIZE_MAX].decode(errors="ignore")
