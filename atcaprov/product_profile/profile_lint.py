"""Lint the trial certificate of a product profile: once, when the profile is taken into use."""

from __future__ import annotations

from atcaprov.errors import Code, UsageError
from atcaprov.missing_packages import extra_command
from atcaprov.product_profile.certificate_lint import REFUSED_FROM, LintFinding, lint_certificate
from atcaprov.product_profile.profile import ProductProfile
from atcaprov.product_profile.trial_certificate import TrialCertificate


def lint_profile(profile: ProductProfile) -> list[LintFinding]:
    """Return the findings that do not refuse a profile.

    Raises:
        UsageError: a finding is an error or worse (code profile-invalid); the message names the first two.
    """
    trial = TrialCertificate(profile.certificate)
    findings = lint_certificate(trial.issued.der, trial.signer_public_key)
    refused = [finding for finding in findings if finding.severity <= REFUSED_FROM]
    if refused:
        more = f", and {len(refused) - 2} more" if len(refused) > 2 else ""
        listed = "; ".join(map(str, refused[:2]))
        raise UsageError(
            f"{profile.path}: certificates of the product {profile.name} break a rule of X.509: {listed}{more}.",
            code=Code.PROFILE_INVALID,
        )
    return findings


def not_linted() -> str:
    """Return the sentence that says that pkilint is missing."""
    return (
        f"Product profiles are not linted: the Python package pkilint is missing. Install it: {extra_command('lint')}"
    )
