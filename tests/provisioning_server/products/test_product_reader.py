"""Profiles are linted when they are read, and it is said once if they cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from atcaprov import Code, UsageError
from atcaprov.product_profile.certificate_lint import LintFinding, Severity
from provisioning_server.products import product_reader
from provisioning_server.products.product import ProductFiles
from provisioning_server.products.product_reader import ProductReader
from tests.support.products import profile_text
from tests.support.server_parts import RememberingLog


@pytest.fixture
def files(tmp_path: Path) -> ProductFiles:
    (tmp_path / "a.toml").write_text(profile_text("a"))
    return ProductFiles((tmp_path,))


def test_missing_pkilint_is_said_once(files: ProductFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product_reader, "has_pkilint", lambda: False)
    log = RememberingLog()
    reader = ProductReader(files, log)
    reader.read()
    reader.read()
    assert len(log.lines) == 1
    assert log.lines[0].startswith("warning: Product profiles are not linted: the Python package pkilint is missing.")


def test_without_profiles_nothing_is_said_of_pkilint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product_reader, "has_pkilint", lambda: False)
    log = RememberingLog()
    assert ProductReader(ProductFiles(), log).read() == ()
    assert log.lines == []


def test_findings_below_an_error_are_warnings(files: ProductFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    finding = LintFinding(Severity.WARNING, "pkix.some_rule", "is not followed", "certificate.subject")
    monkeypatch.setattr(product_reader, "lint_profile", lambda profile: [finding])
    log = RememberingLog()
    assert len(ProductReader(files, log).read()) == 1
    assert log.lines == [
        "warning: Certificates of the product a: warning pkix.some_rule at certificate.subject: is not followed"
    ]


def test_error_refuses_the_profile(files: ProductFiles, tmp_path: Path) -> None:
    more = '[certificate.subject_alt_name]\nuri = "https://localhost/{chip_serial}"\n'
    (tmp_path / "b.toml").write_text(profile_text("b").replace("[certificate.slots]", f"{more}[certificate.slots]"))
    with pytest.raises(
        UsageError, match=r"b\.toml: certificates of the product b break a rule of X\.509: error"
    ) as caught:
        ProductReader(files, RememberingLog()).read()
    assert caught.value.code == Code.PROFILE_INVALID
