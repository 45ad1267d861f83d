"""Signers of every kind are held against a profile, and none breaks the comparison."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from atcaprov.certs.descriptions.description import default_description
from atcaprov.certs.descriptions.template import device_definition
from atcaprov.product_profile.profile_file import profile_from_toml
from provisioning_server.products.signer_fit import signer_problem
from provisioning_server.records.signer_documents import SignerDocuments
from signer_module.on_files.create_signer import create_signer
from signer_module.on_files.key_file import SoftwareKey
from signer_module.on_files.root_folder import create_root
from signer_module.signer_description import SignerDescriptions
from tests.support.in_memory_signer import MemorySigner
from tests.support.products import profile_text

PROFILE = profile_from_toml(profile_text("a"), Path("p.toml"))


def test_signer_made_by_signer_module_fits_its_own_description(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    root = create_root(tmp_path / "root", default_description("root"), None, now)
    made = create_signer(
        tmp_path / "signer",
        root=root,
        root_key=root.unlock(None),
        descriptions=SignerDescriptions(default_description("signer"), PROFILE.certificate),
        key=SoftwareKey.generate(),
        password=None,
        signer_id=bytes.fromhex("BEEF"),
        now=now,
    )
    assert signer_problem(PROFILE, SignerDocuments.of(made)) == ""


@pytest.mark.parametrize("years", [0, 10, 28, 31])
def test_dates_on_both_sides_of_2050_are_compared(years: int) -> None:
    """UTCTime or GeneralizedTime is settled when the signer is made, not when the profile is read."""
    text = profile_text("a").replace("expire_years = 0", f"expire_years = {years}", 1)
    profile = profile_from_toml(text, Path("p.toml"))
    for year in (2026, 2031):
        at = datetime(year, 6, 1, tzinfo=UTC)
        device = device_definition(profile.certificate, signer=default_description("signer"), at=at)
        assert signer_problem(profile, MemorySigner(device=device).documents) == ""


@pytest.mark.parametrize("part", ["root_certificate", "signer_certificate"])
def test_certificate_that_is_none_is_a_problem_and_no_exception(part: str) -> None:
    documents = MemorySigner().documents
    broken = replace(documents, **{part: b"\x30\x03\x02\x01\x00"})
    assert signer_problem(PROFILE, broken).startswith("cannot be held against the profile: ")
