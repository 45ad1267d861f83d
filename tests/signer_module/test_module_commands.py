"""Modules made by the program: root, signer, devices, requests; OpenSSL, gcc and the vendor's library judge."""

from __future__ import annotations

import ctypes
import json
import re
import shutil
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from atcaprov import Act, CertInfo, Device
from atcaprov.certs import certificate_files
from atcaprov.certs.issue import issue
from atcaprov.certs.rebuild import slot_contents
from atcaprov.chip.crc import crc16
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.device.zones.config_zone import write_config
from atcaprov.device.zones.data_zone import DataZone
from signer_module.on_chip.module import SignerModule
from signer_module.on_files import folder_files
from signer_module.on_files.signer_folder import SignerFolder
from tests.signer_module.test_documentation import PAGE
from tests.support import atcacert, atcacert_years
from tests.support.programs import run_signer_module as run
from tests.support.scripted_hal import ScriptedHal
from tests.support.signer_modules import CHEAP, ROOT, SIGNER, locks, working_folder
from tests.support.stock_cryptoauthlib import Wheel
from tests.support.system_programs import require_program

HEADER = Path(__file__).parents[1] / "certs/atcacert_def.h"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return working_folder(tmp_path, monkeypatch)


def make_root(*more: object) -> None:
    order = ("--password-file", "password", *CHEAP)
    assert run("root", "create", "--device", ROOT, "--out", "root", *order, *more) == 0


def make_signer(*more: object, device: str = SIGNER) -> int:
    from_root = ("--root", "root", "--root-device", ROOT, "--root-password-file", "password")
    return run("signer", "create", *from_root, "--device", device, *CHEAP, *more)


def openssl(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [require_program("openssl"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def provisioned(module: SignerModule, at: datetime | None = None) -> tuple[ScriptedHal, bytes]:
    """Make a product of a blank chip with certificates of a module; return it and its certificate (DER)."""
    hal = ScriptedHal()
    with Device(hal) as device, device.permit(*Act):
        written = write_config(device, device.read_config(), DEFAULT_608A)
        device.lock_config(crc16(written))
        public_key = device.gen_key(0)
        definition = module.device_definition
        issued = issue(
            definition,
            subject_public_key=public_key,
            ca_public_key=module.public_key,
            signer_id=module.signer_id,
            issue_date=definition.issue_date(at or datetime.now(UTC)),
            chip_serial=device.serial_number(),
            sign=module.sign,
        )
        zone = DataZone(device, written)
        parts = slot_contents(definition, compressed=issued.compressed, public_key=public_key)
        parts += slot_contents(module.signer_definition, compressed=module.compressed, public_key=module.public_key)
        for part in parts:
            zone.write(part.slot, part.offset, part.data)
        device.lock_data(zone.summary_crc())
    return hal, issued.der


def compiled(folder: Path) -> ctypes.CDLL:
    (folder / "atcacert").mkdir()
    shutil.copy(HEADER, folder / "atcacert" / "atcacert_def.h")
    sources = sorted(path.name for path in folder.glob("cert_def_*.c"))
    command = [
        require_program("gcc"),
        "-std=c11",
        "-Wall",
        "-Werror",
        f"-DATCACERT_YEAR={atcacert_years.TODAY}",
        "-I.",
        "-shared",
        "-fPIC",
        "-o",
        "d.so",
        *sources,
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(folder / "d.so"))


@pytest.mark.slow
def test_root_signer_and_device(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_root()
    assert make_signer("--signer-id", "0034", "--quota", 5, "--password-file", "new") == 0
    assert "signer id 0034, 5 signatures." in capsys.readouterr().out
    assert run("export", "--device", SIGNER, "--out", "export") == 0
    with SignerModule.open(SIGNER) as module:
        module.unlock(b"battery staple")
        hal, der = provisioned(module)
        assert module.read_quota() == module.quota
        assert module.remaining == 4
        root_key, signer_key = module.root_public_key, module.public_key
        signer_der = module.certificate
        assert CertInfo.parse(Path("export/atcaprov_cert_info_0.c").read_text()) == module.cert_info()
    Path("device.pem").write_bytes(folder_files.pem_certificate(der))
    done = openssl(
        "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", "root/root.pem",
        "-untrusted", "export/signer.pem", "device.pem",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "device.pem: OK\n"), done.stderr
    library = compiled(here / "export")
    wheel = Wheel(hal.chip.chip)  # type: ignore[attr-defined]
    for name, key, expected in (("1_signer", root_key, signer_der), ("2_device", signer_key, der)):
        definition = atcacert.Definition.in_dll(library, f"g_cert_def_{name}")
        assert atcacert.read_certificate(wheel, definition, key) == expected
    wheel.close()


@pytest.mark.slow
def test_every_key_of_info_is_explained(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_root()
    assert make_signer("--signer-id", "0034", "--quota", 100, "--password-file", "password") == 0
    assert run("root", "create", "--out", "files", "--no-password") == 0
    assert run("signer", "create", "--root", "files", "--out", "signer", "--no-password") == 0
    section = PAGE.split("\n### info\n")[1].split("\n### ")[0]
    explained = set(re.findall(r"`([^`]+)`", section))
    for arguments in (("--device", SIGNER), ("--device", ROOT), ("root",), ("signer",)):
        capsys.readouterr()
        assert run("info", *arguments, "--json") == 0
        facts = json.loads(capsys.readouterr().out)
        inner = {key for value in facts.values() if isinstance(value, dict) for key in value}
        assert {*facts, *inner} - explained == set()


@pytest.mark.slow
def test_what_info_verify_and_backup_say(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_root()
    assert make_signer("--signer-id", "0034", "--quota", 100, "--password-file", "password") == 0
    capsys.readouterr()
    assert run("password", "check", "--device", SIGNER, "--password-file", "new") == 2
    assert "The password is wrong" in capsys.readouterr().err
    assert run("info", "--device", SIGNER, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["kind"] == "signer module"
    assert (facts["signatures left"], facts["signer id"]) == (100, "0034")
    assert facts["make a new module soon"] == "no"
    assert facts["password"] == "set; wrong ones so far: 1"
    assert run("info", "--device", ROOT) == 0
    assert "kind: root module" in capsys.readouterr().out
    assert run("info", "root") == 0
    assert "key: on a root module" in capsys.readouterr().out
    for device, out in ((ROOT, "root-backup"), (SIGNER, "signer-backup")):
        assert run("verify", "--device", device, "--password-file", "password") == 0
        assert run("verify", "--device", device, "--public-only") == 0
        assert run("verify", "--device", device, "--password-file", "new") == 2
        assert run("backup-public", "--device", device, "--out", out) == 0
        assert certificate_files.read_certificate(Path(out, "root.pem")) == certificate_files.read_certificate(
            Path("root/root.pem")
        )
    backup = json.loads(Path("signer-backup/module.json").read_text())
    assert backup["signatures_left"] == 100
    assert bytes.fromhex(backup["slots"]["9"])[:4] == b"ATSM"


@pytest.mark.slow
def test_used_up_root_module_or_damaged_register_is_found_before_the_chip_is_changed(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("root", "create", "--device", ROOT, "--out", "root", "--quota", 1, "--no-password", *CHEAP) == 0
    register = Path("root/signers.tsv").read_text()
    Path("root/signers.tsv").write_text("damaged\n")
    assert make_signer("--no-password") == 2
    Path("root/signers.tsv").write_text(register)
    assert make_signer("--no-password") == 0
    assert make_signer("--no-password", device="emulator:second.chip") == 2
    assert "Make a new root" in capsys.readouterr().err
    assert locks("emulator:second.chip") == (False, False)


@pytest.mark.slow
def test_passwords_by_program(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_root()
    assert make_signer("--password-later") == 0
    assert run("password", "check", "--device", SIGNER) == 0
    assert "needs no password" in capsys.readouterr().out
    assert run("password", "set", "--device", SIGNER, "--password-file", "password") == 0
    change = ("password", "change", "--device", SIGNER)
    assert run(*change, "--old-password-file", "new", "--password-file", "new") == 2
    assert run(*change, "--old-password-file", "password", "--password-file", "new") == 0
    assert run("password", "check", "--device", SIGNER, "--password-file", "password") == 2
    assert run("password", "check", "--device", SIGNER, "--password-file", "new") == 0


@pytest.mark.slow
def test_a_finished_module_is_only_proved(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_root()
    assert make_signer("--password-file", "password") == 0
    before = Path("signer.chip").read_bytes()
    assert make_signer("--password-file", "password") == 0
    assert json.loads(before)["data"] == json.loads(Path("signer.chip").read_bytes())["data"]
    shutil.rmtree("root")
    make_root("--register-lost")
    capsys.readouterr()
    assert run("signer", "create", "--root", "root", "--root-device", ROOT, "--root-password-file", "password",
               "--device", ROOT, "--no-password", *CHEAP) != 0  # fmt: skip
    request = ("signer", "request", "--device", SIGNER, "--signer-id", "0A0B", "--out", "x.csr")
    assert run(*request, "--password-file", "password", *CHEAP) == 6
    assert "'signer-module info --device' says which" in " ".join(capsys.readouterr().err.split())
    assert run("info", "--device", SIGNER) == 0
    assert "kind: signer module" in " ".join(capsys.readouterr().out.split())
    assert run("export", "--device", ROOT, "--out", "export") == 6


def test_nothing_is_done_without_consent(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("root", "create", "--device", ROOT, "--out", "root", "--no-password") == 2
    error = capsys.readouterr().err
    assert "permanently locked" in error
    assert "--yes" in error
    assert not Path("root").exists()
    with Device.open(ROOT) as device:
        assert device.read_config_word(21) == bytes.fromhex("00005555")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--quota", "5", "--out", "root", "--no-password"),
        ("--password-later", "--out", "root", "--no-password"),
        ("--device", ROOT, "--out", "root", "--no-password", "--password-later", "--yes"),
        ("--device", ROOT, "--out", "root", "--no-password", "--quota", "0", "--yes"),
        ("--device", "emulator:?image=tngtls", "--out", "root", "--no-password", "--yes"),
        ("--device", "nonsense:", "--out", "root", "--no-password", "--yes"),
    ],
)
def test_impossible_orders_are_refused(here: Path, arguments: tuple[str, ...]) -> None:
    assert run("root", "create", *arguments) in (2, 6)
    assert not Path("root").exists()


@pytest.mark.slow
def test_a_signer_folder_under_a_root_module(here: Path) -> None:
    make_root()
    from_root = ("--root", "root", "--root-device", ROOT, "--root-password-file", "password")
    assert run("signer", "create", *from_root, "--out", "signer", "--no-password") == 0
    assert SignerFolder.load(here / "signer").root_certificate == certificate_files.read_certificate(
        here / "root/root.pem"
    )
    assert run("signer", "create", "--root", "root", "--out", "other", "--no-password") == 2


@pytest.mark.slow
def test_verify_and_passwords_of_folders(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("root", "create", "--out", "root", "--no-password") == 0
    assert run("signer", "create", "--root", "root", "--out", "signer", "--no-password") == 0
    for folder in ("root", "signer"):
        before = Path(folder, "key.pem").read_bytes()
        assert run("verify", folder) == 0
        assert run("password", "check", folder) == 0
        assert run("password", "change", folder, "--old-password-file", "new", "--password-file", "password") == 2
        assert run("password", "set", folder, "--password-file", "password") == 0
        assert run("password", "set", folder, "--password-file", "new") == 2
        change = ("password", "change", folder, "--password-file", "new", "--old-password-file")
        assert run(*change, "new") == 2
        assert run(*change, "password") == 0
        assert run("password", "check", folder, "--password-file", "password") == 2
        assert run("password", "check", folder, "--password-file", "new") == 0
        assert run("verify", folder, "--password-file", "new") == 0
        assert run("verify", folder, "--public-only") == 0
        path = Path(folder, "key.pem")
        assert path.read_bytes() != before
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert not list(Path(folder).glob(".*"))
    assert run("verify") == 2
    assert run("verify", "root", "--device", ROOT) == 2
    assert run("verify", ".") == 2


# An external CA

CA = """
[ca]
default_ca = outside
[outside]
new_certs_dir = .
database = index.txt
serial = serial.txt
certificate = ca.pem
private_key = ca.key
default_md = sha256
policy = anything
preserve = yes
unique_subject = no
x509_extensions = signer
[anything]
organizationName = optional
commonName = supplied
[signer]
basicConstraints = critical, CA:true, pathlen:0
keyUsage = critical, digitalSignature, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[req]
distinguished_name = name
prompt = no
x509_extensions = root
[name]
O = External CA Ltd
CN = Outside Root
[root]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""


def external_ca() -> None:
    Path("ca.cnf").write_text(CA)
    Path("index.txt").touch()
    Path("serial.txt").write_text("4455667788990011223344556677889900AABB\n")
    new = ("req", "-x509", "-config", "ca.cnf", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    done = openssl(*new, "-keyout", "ca.key", "-out", "ca.pem", "-days", "3650")
    assert done.returncode == 0, done.stderr


def certify(request: str, out: str, begin: datetime) -> None:
    dates = ("-startdate", f"{begin:%Y%m%d%H%M%SZ}", "-enddate", "99991231235959Z")
    done = openssl("ca", "-batch", "-config", "ca.cnf", "-in", request, "-out", out, "-notext", *dates)
    assert done.returncode == 0, done.stderr


REQUEST = ("signer", "request", "--device", SIGNER, "--signer-id", "0A0B", "--out", "signer.csr")
IMPORT = ("signer", "import", "--device", SIGNER, "--certificate", "signer.pem", "--chain", "ca.pem")
ORDER = ("--password-file", "password", "--quota", "3", *CHEAP)


@pytest.mark.slow
def test_a_signer_module_under_an_external_ca(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    external_ca()
    assert run(*REQUEST, *ORDER) == 0
    assert openssl("req", "-in", "signer.csr", "-noout", "-verify").returncode == 0
    first = x509.load_pem_x509_csr(Path("signer.csr").read_bytes())
    assert run(*REQUEST, *ORDER) == 0  # a request made again keeps the key
    assert x509.load_pem_x509_csr(Path("signer.csr").read_bytes()).public_key() == first.public_key()
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    certify("signer.csr", "signer.pem", hour)
    capsys.readouterr()
    assert IMPORT[-2:] == ("--chain", "ca.pem")
    assert run(*IMPORT[:-2], *ORDER) == 7
    assert "Add it with --chain." in capsys.readouterr().err
    assert run(*IMPORT, *ORDER) == 6
    assert "has counted 2 signatures" in capsys.readouterr().err
    assert run(*IMPORT, *ORDER, "--signatures", 2) == 0, capsys.readouterr().err
    assert run(*IMPORT, *ORDER) == 0
    assert "is finished already" in capsys.readouterr().out
    with SignerModule.open(SIGNER) as module:
        assert module.certificate == certificate_files.read_certificate(Path("signer.pem"))
        assert (module.signer_id, module.remaining) == (b"\x0a\x0b", 3)
        module.unlock(b"correct horse")
        _, der = provisioned(module)
    Path("device.pem").write_bytes(folder_files.pem_certificate(der))
    done = openssl("verify", "-x509_strict", "-CAfile", "ca.pem", "-untrusted", "signer.pem", "device.pem")
    assert (done.returncode, done.stdout) == (0, "device.pem: OK\n"), done.stderr


@pytest.mark.slow
def test_a_returned_chain_is_checked_before_the_lock(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    external_ca()
    assert run(*REQUEST, *ORDER) == 0
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    certify("signer.csr", "signer.pem", hour + timedelta(minutes=1))
    capsys.readouterr()
    assert run(*IMPORT, *ORDER) == 7
    shutil.copy("ca.pem", "other-ca.pem")
    certify("signer.csr", "signer.pem", hour)
    external_ca()
    assert run(*IMPORT, *ORDER) == 7  # another root
    shutil.copy("other-ca.pem", "ca.pem")
    Path("signer.csr").unlink()
    assert run(*REQUEST, *ORDER, "--new-key") == 0
    capsys.readouterr()
    assert run(*IMPORT, *ORDER, "--signatures", 2) == 7
    assert "another key" in capsys.readouterr().err
    with Device.open(SIGNER) as device:
        assert device.read_config_word(21)[2] == 0x55
