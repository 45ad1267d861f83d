"""A root in a folder, requests of keys in memory, and the bundle of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from signer_module.ceremony.bundle import Bundle
from signer_module.ceremony.certification_request import CertificationRequest
from signer_module.commands import options
from signer_module.external_ca.request_and_certificate import signed_request
from signer_module.on_files.key_file import SoftwareKey
from signer_module.on_files.root_folder import RootFolder, create_root

NOW = datetime(2026, 11, 21, 10, 15, tzinfo=UTC)
DESCRIPTIONS = options.descriptions(None, None)


def request_of(signer_id: str, key: SoftwareKey | None = None) -> CertificationRequest:
    """Return a request of a signer; without a key it is a new one's."""
    key = key or SoftwareKey.generate()
    der = signed_request(DESCRIPTIONS.signer, bytes.fromhex(signer_id), key.public_key, key.sign)
    return CertificationRequest.of(der, DESCRIPTIONS.signer)


def bundle_of(*requests: CertificationRequest, made: datetime = NOW) -> Bundle:
    return Bundle(made, DESCRIPTIONS, requests)


@pytest.fixture
def root(tmp_path: Path) -> RootFolder:
    return create_root(tmp_path / "root", options.description("root", None), None, NOW)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, here: Path) -> Callable[..., int]:
    """Run `signer-module` in the folder of the test, at the moment NOW."""
    from tests.support.programs import run_signer_module

    monkeypatch.setattr(options, "now", lambda: NOW)
    return run_signer_module
