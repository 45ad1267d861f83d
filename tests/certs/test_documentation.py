"""The pages on certificates say what the code does."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from atcaprov import CertInfo
from atcaprov.certs.compressed_form import CompressedCertificate
from atcaprov.certs.dates import LAST_ISSUE_YEAR, MAX_EXPIRE_YEARS, encode_dates
from atcaprov.certs.definitions.definition import MAX_DOCUMENT, SerialSource, StdElement
from atcaprov.certs.descriptions.description import default_text
from tests.support.certificates import ROOT, SIGNER, default_definitions, vector

REFERENCE = Path(__file__).parents[2] / "docs/reference"
PAGES = ("certificates.md", "certificate-descriptions.md", "certificate-definitions.md", "cert-info.md")
PAGE = "\n".join((REFERENCE / name).read_text(encoding="utf-8") for name in PAGES)


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def first_cells(text: str) -> list[str]:
    return [line.split("|")[1] for line in text.splitlines() if line.startswith("| ")]


def test_the_example_is_the_genuine_certificate() -> None:
    block = re.search(r"^```compressed\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert block is not None
    compressed = bytes.fromhex(block[1])
    assert compressed.hex() == vector("signer-certificate")["signer"]["compressed"]
    found = CompressedCertificate.parse(compressed)
    assert found.issue_date == datetime(2015, 12, 17, 23, tzinfo=UTC)
    assert (found.expire_years, found.signer_id.hex(), found.template_id, found.chain_id) == (0, "0034", 1, 0)


def test_the_dates() -> None:
    rows = re.findall(
        r"^\| (\d{4}-\d\d-\d\d) (\d\d)h \| (\d+) \| (\d) \| `([0-9a-f]{6})` \| `([0-9a-f]{2})` \|$", PAGE, re.MULTILINE
    )
    assert len(rows) == 6
    for day, hour, years, version, encoded, extension in rows:
        issue = datetime.fromisoformat(f"{day}T{hour}:00:00+00:00")
        assert encode_dates(issue, int(years), int(version)) == (bytes.fromhex(encoded), int(extension, 16))
    assert f"| issue years | 2000-{LAST_ISSUE_YEAR[0]} | 2000-{LAST_ISSUE_YEAR[1]} |" in PAGE
    assert f"| expire years | 0-{MAX_EXPIRE_YEARS[0]} | 0-{MAX_EXPIRE_YEARS[1]} |" in PAGE


def test_all_serial_number_sources() -> None:
    text = section("Serial numbers")
    for source in SerialSource:
        assert re.search(rf"\| [0-9A-F, ]*{source:X}\b[^\n]*{source.name}", text), source


def test_all_keys_of_descriptions() -> None:
    explained = set(re.findall(r"`([a-z_]+)`", "".join(first_cells(section("Descriptions")))))
    used = set()
    example = (REFERENCE.parents[1] / "configs/certificates/device-with-alternative-name.toml").read_text("utf-8")
    unit = (REFERENCE.parents[1] / "configs/certificates/device-with-unit.toml").read_text("utf-8")
    for text in (default_text("root"), default_text("signer"), default_text("device"), example, unit):
        top = re.split(r"^\[subject\]", text, flags=re.MULTILINE)
        rest = re.sub(r"^\[subject\].*?(?=^\[)", "", text, flags=re.MULTILINE | re.DOTALL)
        for part in (top[0], rest):
            used |= set(re.findall(r"^([a-z_]+) =", part, re.MULTILINE))
    others = {"serial_number_size", "crl_distribution_points", "length", "case", "separator"}
    assert explained - others == used


def test_all_keys_of_unit_rules() -> None:
    table = section("The unit's own name").split("\n| on the chip")[0]
    assert set(re.findall(r"`([a-z]+)`", "".join(first_cells(table)[1:]))) == {
        "form", "pattern", "length", "case", "separator", "zone", "slot", "offset",
    }  # fmt: skip


def test_the_example_with_alternative_names_is_the_one_that_the_page_runs() -> None:
    example = (REFERENCE.parents[1] / "configs/certificates/device-with-alternative-name.toml").read_text("utf-8")
    table = example.split("[subject_alt_name]", 1)[1].split("\n[slots]", 1)[0].splitlines()[1:]
    lines = [line.split("    #")[0].strip() for line in table if line.strip()]
    assert len(lines) == 4
    for line in lines:
        assert f"'{line}'" in section("Subject alternative names")


def test_all_keys_of_definitions() -> None:
    explained = set(re.findall(r"`([a-z_]+)`", "".join(first_cells(section("Definitions")))))
    assert explained == {*default_definitions()[0].to_document(), "unit"}
    for element in StdElement:
        assert f"`{element.name}`" in section("Definitions")
    assert f"{MAX_DOCUMENT:,} bytes" in PAGE


def test_all_declarations_of_the_cert_info_file() -> None:
    info = CertInfo("x", b"\0\1", SIGNER.public, ROOT.public, 1, 0, 2, 0)
    written = set(re.findall(r"g_atcaprov_cert_info_0_([a-z_]+)", info.to_c()))
    cells = "".join(first_cells(section("Cert info")))
    explained = set(re.findall(r"`(?:g_atcaprov_cert_info_N|…)_([a-z_]+)`", cells))
    assert explained == written
