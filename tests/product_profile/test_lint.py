"""Each planted fault is found: by pkilint, or by the checks for what it does not look at."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from atcaprov import Code, UsageError
from atcaprov.certs.keys import key_id
from atcaprov.certs.x509_layout import certificate_layout
from atcaprov.product_profile import certificate_lint
from atcaprov.product_profile.certificate_lint import Severity, lint_certificate
from atcaprov.product_profile.preset import PRESETS
from atcaprov.product_profile.profile_file import profile_from_toml
from atcaprov.product_profile.profile_lint import lint_profile, not_linted
from atcaprov.product_profile.trial_certificate import TrialCertificate
from tests.product_profile.profiles import FITTING, MINIMAL, replaced

pytestmark = pytest.mark.slow  # the first one loads pkilint

TRIAL: Final = TrialCertificate(profile_from_toml(MINIMAL, Path("p.toml")).certificate)
GOOD: Final = TRIAL.issued.der
LAYOUT: Final = certificate_layout(GOOD)


def patched(at: int, data: bytes) -> bytes:
    return GOOD[:at] + data + GOOD[at + len(data) :]


def off_curve_key() -> bytes:
    """Return the certificate with a public key that is no point, and the right identifier of that key."""
    key = bytes(63) + b"\x01"
    assert LAYOUT.subject_key_id is not None
    with_key = patched(LAYOUT.public_key.start, key)
    start = LAYOUT.subject_key_id.start
    return with_key[:start] + key_id(key) + with_key[start + 20 :]


def other_subject_key_id() -> bytes:
    assert LAYOUT.subject_key_id is not None
    return patched(LAYOUT.subject_key_id.start, bytes(20))


def other_authority_key_id() -> bytes:
    assert LAYOUT.authority_key_id is not None
    return patched(LAYOUT.authority_key_id.start, bytes(20))


def ca_usage_without_ca() -> bytes:
    """Return the certificate with the key usage keyCertSign (bit 5) in the place of digitalSignature."""
    usage = bytes.fromhex("0603551d0f0101ff040403020780")
    assert GOOD.count(usage) == 1
    return GOOD.replace(usage, usage[:-2] + b"\x02\x04")


def negative_serial_number() -> bytes:
    return patched(LAYOUT.serial_number.start, b"\x80")


def generalized_time_before_2050() -> bytes:
    return patched(LAYOUT.expire_date.start, b"20490101000000Z")


@pytest.mark.parametrize(
    ("plant", "code"),
    [
        (off_curve_key, "atcaprov.key_not_on_curve"),
        (other_subject_key_id, "atcaprov.subject_key_id_other"),
        (other_authority_key_id, "atcaprov.authority_key_id_other"),
        (ca_usage_without_ca, "pkix.ee_certificate_keycertsign_keyusage_set"),
        (negative_serial_number, "pkix.certificate_serial_number_out_of_range"),
        (generalized_time_before_2050, "pkix.wrong_time_useful_type"),
    ],
)
def test_planted_fault_is_found(plant: Callable[[], bytes], code: str) -> None:
    found = lint_certificate(plant(), TRIAL.signer_public_key)
    assert code in [finding.code for finding in found if finding.severity <= Severity.ERROR], list(map(str, found))


@pytest.mark.parametrize("plant", [off_curve_key, other_subject_key_id, other_authority_key_id])
def test_pkilint_misses_what_we_check(plant: Callable[[], bytes]) -> None:
    """If it finds these one day, our checks have done their work."""
    found = lint_certificate(plant(), TRIAL.signer_public_key)
    assert {finding.code.split(".")[0] for finding in found if finding.severity <= Severity.ERROR} == {"atcaprov"}


def test_good_certificate_has_no_finding() -> None:
    assert lint_certificate(GOOD, TRIAL.signer_public_key) == []


@pytest.mark.parametrize("name", FITTING)
def test_presets_have_no_finding(name: str) -> None:
    assert lint_profile(profile_from_toml(PRESETS[name].text, Path("p.toml"))) == []


def with_uri(uri: str) -> str:
    return replaced("[certificate.slots]", f'[certificate.subject_alt_name]\nuri = "{uri}"\n[certificate.slots]')


def test_profile_with_an_error_is_refused() -> None:
    profile = profile_from_toml(with_uri("http://[/{chip_serial}"), Path("p.toml"))
    with pytest.raises(UsageError, match=r"p\.toml: certificates of the product x break a rule of X\.509:") as caught:
        lint_profile(profile)
    assert caught.value.code == Code.PROFILE_INVALID
    assert "pkix.invalid_uri_syntax at certificate.tbsCertificate.extensions." in str(caught.value)


def test_urn_is_a_uri() -> None:
    assert lint_profile(profile_from_toml(with_uri("urn:example:{chip_serial}"), Path("p.toml"))) == []


def test_without_pkilint_our_checks_remain_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate_lint, "has_pkilint", lambda: False)
    assert lint_certificate(ca_usage_without_ca(), TRIAL.signer_public_key) == []
    (found,) = lint_certificate(other_subject_key_id(), TRIAL.signer_public_key)
    assert found.code == "atcaprov.subject_key_id_other"
    assert "pip install" in not_linted()
    assert "pkilint" in not_linted()


def test_pkilint_is_installed_where_the_tests_run() -> None:
    assert importlib.util.find_spec("pkilint") is not None
