"""Why a certificate is revoked (RFC 5280, 5.3.1), and which reasons a factory does not give."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from cryptography import x509

from atcaprov.errors import UsageError
from provisioning_server.ledger import administration


class Reason(enum.StrEnum):
    """The reasons that may be given, by their names in RFC 5280."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = administration.SUPERSEDED
    CESSATION_OF_OPERATION = "cessationOfOperation"
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"

    @property
    def flag(self) -> x509.ReasonFlags | None:
        """Return the reason as it stands in a CRL; None for unspecified, which an entry leaves out."""
        return None if self is Reason.UNSPECIFIED else x509.ReasonFlags(self.value)


MEANINGS: Final[Mapping[Reason, str]] = MappingProxyType(
    {
        Reason.UNSPECIFIED: "no reason is published",
        Reason.KEY_COMPROMISE: "someone else may have the key",
        Reason.AFFILIATION_CHANGED: "the unit belongs to someone else, or a name in the certificate is wrong now",
        Reason.SUPERSEDED: "another certificate takes its place",
        Reason.CESSATION_OF_OPERATION: "the board is scrap, or the unit is out of use",
        Reason.PRIVILEGE_WITHDRAWN: "the unit may not connect any more, such as a stolen one",
    }
)
_NOT_GIVEN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "certificateHold": "it can be taken back, and the log of a ledger takes nothing back",
        "removeFromCRL": "it takes a hold back, and there are none",
        "cACompromise": "it is for certificates of CAs; revoke a signer at its root",
        "aACompromise": "it is for attribute authorities",
    }
)


def read_reason(text: str) -> Reason:
    """Return the reason of a name, in any case; raises UsageError that says which there are."""
    for reason in Reason:
        if text.lower() == reason.lower():
            return reason
    why = next((f": {why}" for name, why in _NOT_GIVEN.items() if text.lower() == name.lower()), "")
    raise UsageError(
        f"'{text[:40]}' is not a reason for which certificates are revoked here{why}.",
        advice=f"Use one of {', '.join(Reason)}.",
    )
