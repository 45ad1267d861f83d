"""Programs that refuse late end dates are named, with the source of each on the page.

What runs here accepts them all; for GnuTLS see tests/signer_module/test_openssl_and_gnutls.py.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from atcaprov.certs.descriptions.description import default_description
from atcaprov.certs.limited_readers import FORMAT_1, READERS, end_text, not_accepted_by
from signer_module.on_files.folder_files import pem_certificate
from signer_module.on_files.key_file import SoftwareKey
from signer_module.on_files.root_folder import self_signed
from tests.certs.test_subject_alt_name import EXAMPLE, unit
from tests.support.certificates import NOW, ROOT
from tests.support.external_cas import openssl

PAGE: Final = (Path(__file__).parents[2] / "docs/reference/certificates.md").read_text(encoding="utf-8")
NO_END: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("end", "names"),
    [
        (datetime(2037, 12, 31, 23, 59, 59, tzinfo=UTC), []),
        (datetime(2038, 1, 1, tzinfo=UTC), ["Azure IoT Edge"]),
        (datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC), ["Azure IoT Edge", "LibreSSL", "phpseclib"]),
        (datetime(2050, 1, 1, tzinfo=UTC), ["Azure IoT Edge", "LibreSSL", "phpseclib", "XRootD", "POCO"]),
        (NO_END, ["Azure IoT Edge", "LibreSSL", "phpseclib", "XRootD", "POCO", "Qt"]),
    ],
)
def test_readers_of_an_end_date(end: datetime, names: list[str]) -> None:
    found = not_accepted_by([datetime(2026, 1, 1, tzinfo=UTC), end], [0, 0])
    assert len(found) == len(names)
    assert all(full.startswith(name) for full, name in zip(found, names, strict=True))


def test_readers_of_format_version_1() -> None:
    end = datetime(2033, 1, 1, tzinfo=UTC)
    assert not_accepted_by([end], [0, 1]) == [FORMAT_1]
    assert not_accepted_by([end], [0]) == []


def test_ends_in_words() -> None:
    assert end_text(NO_END) == "no expiry (9999-12-31)"
    assert end_text(datetime(2036, 6, 1, 8, tzinfo=UTC)) == "2036-06-01"


def test_the_page_lists_each_reader_with_its_source() -> None:
    for reader in READERS:
        assert f"| {reader.name} | {reader.last:%Y-%m-%d} | <{reader.source}> |" in PAGE
    assert FORMAT_1.split(" (")[0] in PAGE


@pytest.mark.parametrize("years", [11, 12, 23, 24, 31, 0])
def test_openssl_and_cryptography_accept_all_end_dates(years: int, tmp_path: Path) -> None:
    made = unit(EXAMPLE.read_text().replace("expire_years = 0", f"expire_years = {years}"))
    root = self_signed(default_description("root"), SoftwareKey(ROOT.private), NOW)
    for name, der in (("root", root), ("signer", made.signer.der), ("device", made.device.der)):
        (tmp_path / f"{name}.pem").write_bytes(pem_certificate(der))
    files = [tmp_path / f"{name}.pem" for name in ("root", "signer", "device")]
    at = str(int(NOW.timestamp()))
    options = ("-x509_strict", "-purpose", "sslclient", "-attime", at, "-CAfile", files[0], "-untrusted", files[1])
    assert openssl("verify", *options, files[2]).returncode == 0
    loaded = [x509.load_pem_x509_certificate(file.read_bytes()) for file in files]
    PolicyBuilder().store(Store(loaded[:1])).time(NOW).build_client_verifier().verify(loaded[2], loaded[1:2])
