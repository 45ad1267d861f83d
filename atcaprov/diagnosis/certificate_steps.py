"""The certificates on the chip: the chain to a root, the key by one fresh signature, and the dates."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from atcaprov.diagnosis.examination import Examination, StepBlockedError, StepLeftOutError
from atcaprov.diagnosis.finding import DiagnosticFinding, Weight, of_error
from atcaprov.errors import AtcaProvError, Code, UsageError
from atcaprov.inspection.certificates.microchip import MAKER_LAYOUTS
from atcaprov.inspection.verification import (
    StepOutcome,
    TrustSources,
    Verdict,
    Verification,
    verify_chip,
)

_WITH_A_SERVER: Final = "their definitions come from the server: give --certinfo FILE, with --host and --port"
_NOT_GENUINE: Final = "Microchip has not issued it: ask where the chip comes from. A software chip is never genuine."
_OPENSSL: Final = {
    Code.ROOT_NOT_PINNED: "OpenSSL calls it error 20, unable to get local issuer certificate, or error 7 if only the"
    " signature is wrong.",
    Code.CHAIN_INCOMPLETE: "OpenSSL calls it error 2 or 20, unable to get (local) issuer certificate.",
    Code.CHAIN_INVALID: "OpenSSL calls a wrong signature error 7.",
}
"""What `openssl verify` says of the same chain; docs/reference/findings.md has the cures for a chain that is right."""


def check_certificates(examination: Examination) -> None:
    """Verify the certificates: ours by the definitions of the server, others by their public layouts."""
    snapshot = examination.snapshot
    assert snapshot is not None, "the step needs the part"
    if not snapshot.zone.data_locked:
        raise StepLeftOutError("the data zone is not locked, so no slot can be read")
    sources = TrustSources(datetime.now(UTC), definitions=examination.definitions)
    try:
        verification = verify_chip(examination.device, snapshot, sources)
    except UsageError as error:
        raise StepLeftOutError(f"{error.what.rstrip('.')}: 'atcaprov chip verify' takes a root") from error
    steps = [step for step in verification.steps if step.outcome is StepOutcome.PASSED]
    examination.good += [step.what for step in steps]
    if verification.error is None:
        return
    if verification.error.code == Code.DEFINITION_UNKNOWN:
        raise StepLeftOutError(_WITH_A_SERVER)
    if verification.error.code == Code.ROOT_NOT_PINNED and _is_of_the_maker(verification):
        verification.error.advice = _NOT_GENUINE
    raise StepBlockedError(_finding(verification.error, verification.verdict))


def _is_of_the_maker(verification: Verification) -> bool:
    return verification.chain is not None and verification.chain.layout in MAKER_LAYOUTS


def _finding(error: AtcaProvError, verdict: Verdict) -> DiagnosticFinding:
    weight = Weight.NOTE if verdict is Verdict.GOOD_SET_ASIDE else Weight.PROBLEM
    more = next((text for code, text in _OPENSSL.items() if code == error.code), "")
    return of_error(error, weight=weight, more=more)
