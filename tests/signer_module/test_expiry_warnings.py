"""A signer under a root that ends before it, and devices under such a signer: it is said, and OpenSSL sees it so."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from atcaprov.certs.descriptions.description import default_text
from signer_module.on_chip.module import SignerModule
from signer_module.on_files import folder_files
from tests.signer_module.test_module_commands import provisioned
from tests.support.external_cas import ExternalCas, openssl
from tests.support.programs import run_signer_module as run
from tests.support.signer_modules import CHEAP, SIGNER, working_folder

OUTLIVES_ROOT = "the signer has a certificate that {own}, but its CA's expires on {end}. It becomes invalid then."
DEVICES = "the signer issues certificates that {own}, but its own expires on {end}. They become invalid then."


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return working_folder(tmp_path, monkeypatch)


def lasting(role: str, years: int) -> str:
    text = default_text("root" if role == "root" else "signer" if role == "signer" else "device")
    assert "expire_years = 0" in text
    Path(f"{role}.toml").write_text(text.replace("expire_years = 0", f"expire_years = {years}"))
    return f"{role}.toml"


def end(path: str) -> datetime:
    return x509.load_pem_x509_certificate(Path(path).read_bytes()).not_valid_after_utc


def verified(at: datetime) -> str:
    moment = ("-attime", str(int(at.timestamp())))
    chain = ("-CAfile", "root/root.pem", "-untrusted", "export/signer.pem", "device.pem")
    return openssl("verify", "-x509_strict", *moment, *chain).stderr


@pytest.mark.slow
@pytest.mark.parametrize(("signer_years", "own"), [(0, "never expires"), (3, "is valid until {signer:%Y-%m-%d}")])
def test_a_signer_that_outlives_its_root(
    here: Path, signer_years: int, own: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("root", "create", "--out", "root", "--no-password", "--description", lasting("root", 2)) == 0
    described = ("--signer-description", lasting("signer", signer_years), "--device-description", lasting("device", 1))
    made = ("--device", SIGNER, "--no-password", *CHEAP)
    assert run("signer", "create", "--root", "root", *made, *described) == 0
    plan = capsys.readouterr().err
    assert run("signer", "create", "--root", "root", "--out", "signer", "--no-password", *described) == 0
    told = capsys.readouterr().err
    root_end = end("root/root.pem")
    says = OUTLIVES_ROOT.format(own=own.format(signer=end("signer/signer.pem")), end=f"{root_end:%Y-%m-%d}")
    assert plan.splitlines()[-1] == told.splitlines()[-1] == f"Warning: {says}"
    assert told.count("Warning") == plan.count("Warning") == 1
    for place in (("--device", SIGNER), ("signer",)):
        assert run("info", *place, "--json") == 0
        assert json.loads(capsys.readouterr().out)["warnings"] == says[:1].upper() + says[1:]
    assert run("export", "--device", SIGNER, "--out", "export") == 0
    with SignerModule.open(SIGNER) as module:
        Path("device.pem").write_bytes(folder_files.pem_certificate(provisioned(module)[1]))
    now, year = datetime.now(UTC), timedelta(days=365)
    assert verified(now) == ""
    assert "certificate has expired" in verified(root_end + timedelta(seconds=1))
    assert "error 10 at 2 depth" in verified(root_end + timedelta(seconds=1)), "nothing but the root has ended"
    assert end("root/root.pem") < now + 3 * year


def test_devices_that_outlive_their_signer(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("root", "create", "--out", "root", "--no-password") == 0
    described = ("--signer-description", lasting("signer", 1))
    assert run("signer", "create", "--root", "root", "--out", "signer", "--no-password", *described) == 0
    says = DEVICES.format(own="never expire", end=f"{end('signer/signer.pem'):%Y-%m-%d}")
    assert [line for line in capsys.readouterr().err.splitlines() if "Warning" in line] == [f"Warning: {says}"]


@pytest.mark.slow
def test_good_dates_give_no_warning(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("root", "create", "--out", "root", "--no-password") == 0
    assert run("signer", "create", "--root", "root", "--out", "signer", "--no-password") == 0
    assert run("signer", "create", "--root", "root", "--device", SIGNER, "--no-password", *CHEAP) == 0
    assert "Warning" not in capsys.readouterr().err
    assert run("info", "signer") == 0
    assert "warnings: none" in capsys.readouterr().out


@pytest.mark.slow
def test_a_signer_of_an_outside_ca_whose_root_ends_first(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cas = ExternalCas(here / "cas")
    cas.add("root", "p256", days=300)
    cas.add("issuing", "p256", "root", days=3000)
    order = ("--device", SIGNER, "--no-password", *CHEAP)
    assert run("signer", "request", "--out", "x.csr", "--signer-id", "0034", *order) == 0
    cas.certify("issuing", Path("x.csr"), Path("signer.pem"))
    capsys.readouterr()
    chain = ("--chain", cas.pem("issuing"), "--chain", cas.pem("root"))
    assert run("signer", "import", "--certificate", "signer.pem", *chain, *order) == 0
    root_end = end(str(cas.pem("root")))
    assert f"but its CA's expires on {root_end:%Y-%m-%d}. It becomes invalid then." in capsys.readouterr().err


def test_programs_that_refuse_the_dates_are_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    described = ("--signer-description", lasting("signer", 31), "--device-description", lasting("device", 9))
    assert run("root", "create", "--out", "root", "--no-password") == 0
    assert run("signer", "create", "--root", "root", "--out", "signer", "--no-password", *described) == 0
    note = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("Note: "))
    last = end("signer/signer.pem")
    assert note.startswith(
        f"Note: The signer's certificate has the end {last:%Y-%m-%d}, and those of its devices have the end"
    )
    assert note.endswith(
        "Not accepted by: Azure IoT Edge 1.1 and older, LibreSSL with a 32-bit time_t, phpseclib 1 on 32-bit PHP, "
        "XRootD, POCO of 2019 and older."
    )
    assert run("info", "signer", "--json") == 0
    assert note.endswith(f"Not accepted by: {json.loads(capsys.readouterr().out)['not accepted by']}.")
    assert run("verify", "signer", "--public-only") == 0
    assert capsys.readouterr().err.splitlines()[-1] == note


def test_short_validity_is_accepted_by_all(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    described = ("--signer-description", lasting("signer", 5), "--device-description", lasting("device", 4))
    assert run("root", "create", "--out", "root", "--no-password") == 0
    assert run("signer", "create", "--root", "root", "--out", "signer", "--no-password", *described) == 0
    assert run("verify", "signer", "--public-only") == 0
    assert "Note" not in capsys.readouterr().err
    assert run("info", "signer", "--json") == 0
    assert json.loads(capsys.readouterr().out)["not accepted by"] == "no known reader"


def test_a_checked_description_names_the_programs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("own.toml").write_text(
        default_text("device")
        .replace("expire_years = 0", "expire_years = 99")
        .replace("compressed_format = 0", "compressed_format = 1")
    )
    assert run("description", "device", "--check", "own.toml") == 0
    told = capsys.readouterr()
    assert told.out.startswith("own.toml is valid. Certificates issued now have the end 21")
    assert told.err.endswith("POCO of 2019 and older, cryptoauthlib before 3.7.5 (compressed format 1).\n")
    assert run("description", "device", "--check", lasting("root", 3)) == 2
    assert run("description", "root", "--check", "root.toml") == 0
    assert "Note" not in capsys.readouterr().err
    assert run("description", "signer", "--check", "missing.toml") == 2
