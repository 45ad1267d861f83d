"""`signer-module definition`: certificates of OpenSSL's CA, and what the vendor's library makes of the definitions."""

from __future__ import annotations

import errno
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from atcaprov import Act, Device, durable_files
from atcaprov.certs.certificate_files import read_certificate
from atcaprov.certs.compress import compress
from atcaprov.certs.definitions.definition import CertificateDefinition, SerialSource
from atcaprov.certs.derivation.derive import role_of
from atcaprov.certs.descriptions.description import CertificateDescription, default_file, default_text
from atcaprov.certs.x509_layout import authority_layout
from atcaprov.chip.crc import crc16
from atcaprov.cli.main import atcaprov
from signer_module.cli import cli
from signer_module.on_chip.module import SignerModule
from tests.certs.conftest import SLOTS
from tests.certs.test_subject_alt_name import EXAMPLE
from tests.cli.test_request import CHIP
from tests.signer_module.test_module_commands import compiled, provisioned
from tests.support import atcacert
from tests.support.certificates import CHIP_SERIAL, vector
from tests.support.chips import awake_chip, configured_memory
from tests.support.external_cas import ExternalCas, openssl
from tests.support.programs import run_in_process
from tests.support.programs import run_signer_module as run
from tests.support.signer_modules import CHEAP, SIGNER
from tests.support.stock_cryptoauthlib import driven
from tests.support.system_programs import require_program

CONFIG: Final = Path(__file__).parents[2] / "configs" / "openssl-ca.cnf"
BEGIN, YEARS = "2026060108", 10
DATES: Final = ("-startdate", f"{BEGIN}0000Z", "-enddate", "20360601080000Z")
SERIAL: Final = CHIP_SERIAL.hex().upper()
SUBJECT: Final = f"/C=DE/O=House/CN=Device {SERIAL}"


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ExternalCas:
    """A company's CA on P-256 in the current folder, with the shipped configuration."""
    monkeypatch.chdir(tmp_path)
    cas = ExternalCas(tmp_path / "house")
    cas.add("ca", "p256")
    Path("ca.pem").write_bytes(cas.pem("ca").read_bytes())
    Path("ca.key").write_bytes((tmp_path / "house" / "ca.key").read_bytes())
    Path("openssl-ca.cnf").write_bytes(CONFIG.read_bytes())
    Path("index.txt").touch()
    return cas


def done(*arguments: str | Path) -> str:
    ended = openssl(*arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def device_request(subject: str = SUBJECT) -> None:
    done("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", "device.key")
    names = f"subjectAltName=URI:urn:example:{SERIAL.lower()}"
    done("req", "-new", "-key", "device.key", "-subj", subject, "-addext", names, "-out", "device.csr")


def serial_number(*more: object) -> str:
    options = ("--request", "device.csr", "--not-before", BEGIN, "--expire-years", str(YEARS), *more)
    ended = run_in_process(cli, "definition", "serial-number", *map(str, options))
    assert ended.code == 0, ended.err
    return ended.out.strip()


def certified(role: str, out: str, *dates: str) -> None:
    config = ("ca", "-batch", "-notext", "-preserveDN", "-config", "openssl-ca.cnf", "-extensions", role)
    done(*config, "-in", f"{role}.csr", "-out", out, *(dates or DATES))


def test_the_shipped_configuration_is_the_one_that_is_printed() -> None:
    assert CONFIG.read_text() == default_file("openssl-ca.cnf")
    ended = run_in_process(cli, "definition", "openssl-ca")
    assert (ended.code, ended.out) == (0, CONFIG.read_text())


@pytest.mark.slow
@pytest.mark.parametrize("subject", ["O first", "CN first, with all attributes"])
def test_openssl_ca_certifies_a_signer_that_is_imported(house: ExternalCas, subject: str) -> None:
    text = default_text("signer")
    if subject != "O first":
        lines = 'organization = "Example Organization"\ncommon_name = "Example ATECC608A Signer {signer_id}"'
        assert lines in text
        text = text.replace(
            lines,
            'common_name = "Über Signer {signer_id}"\nserial_number = "7"\ncountry = "DE"\nstate = "Hessen"\n'
            'locality = "Kassel"\norganization = "Hauß"\norganizational_unit = "電"',
        )
    Path("own.toml").write_text(text)
    order = ("--device", SIGNER, "--no-password", *CHEAP, "--signer-description", "own.toml", "--chain", "ca.pem")
    assert run("signer", "request", "--out", "signer.csr", "--signer-id", "0034", *order) == 0
    Path("serial.txt").write_text("4455667788990011223344556677889900AABB\n")
    certified("signer", "signer.pem", "-startdate", f"{datetime.now(UTC):%Y%m%d%H}0000Z", "-enddate", "99991231235959Z")
    assert run("signer", "import", "--certificate", "signer.pem", *order, "--out", "export") == 0
    with SignerModule.open(SIGNER) as module:
        assert module.certificate == read_certificate(Path("signer.pem"))
        provisioned(module)


@pytest.mark.slow
def test_openssl_ca_certifies_a_device_that_the_library_rebuilds(house: ExternalCas) -> None:
    device_request()
    Path("serial.txt").write_text(serial_number() + "\n")
    certified("device", "device.pem")
    command = ("definition", "from-certificate", "device.pem", "--signer-certificate", "ca.pem", "--out", "out")
    assert run(*command) == 0
    definition = CertificateDefinition.from_json(Path("out/device_definition.json").read_text())
    assert definition == CertificateDefinition.from_bytes(Path("out/device_definition.cbor").read_bytes())
    assert definition.sn_source is SerialSource.PUB_KEY_HASH
    assert len(definition.cert_elements) == 4
    assert rebuilt_by_the_library(Path("out"), "g_cert_def_2_device", "device.pem", "ca.pem") == read_certificate(
        Path("device.pem")
    )


def rebuilt_by_the_library(folder: Path, symbol: str, device: str, issuer: str) -> bytes:
    """Return the certificate that the vendor's library makes of a chip with the compiled definition."""
    definition = CertificateDefinition.from_json((folder / "device_definition.json").read_text())
    ca = read_certificate(Path(issuer))
    ca_key = authority_layout(ca).public_key.of(ca)
    certificate = read_certificate(Path(device))
    key = load_pem_private_key(Path("device.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    with driven(awake_chip(configured_memory(slots=SLOTS))) as wheel:
        memory = wheel.chip.memory
        memory.config[0:4], memory.config[8:13] = CHIP_SERIAL[:4], CHIP_SERIAL[4:]
        memory.write_slot(0, 0, bytes(4) + key.private_numbers().private_value.to_bytes(32, "big"))
        memory.write_slot(10, 0, compress(definition, certificate, ca_public_key=ca_key, chip_serial=CHIP_SERIAL))
        structure = atcacert.Definition.in_dll(compiled(folder), symbol)
        assert atcacert.fields(structure) == atcacert.fields(atcacert.c_definition(definition)) | {"std_sig_size": 0}
        return atcacert.read_certificate(wheel, structure, ca_key)


def test_a_serial_number_can_come_from_the_chip(house: ExternalCas) -> None:
    device_request()
    Path("serial.txt").write_text(serial_number("--chip-serial", SERIAL, "--size", 20) + "\n")
    certified("device", "device.pem")
    ended = run_in_process(cli, "definition", "from-certificate", "device.pem")
    assert "serial number: DEVICE_SN_HASH, 20 of 20 bytes" in ended.out


def test_a_full_disk_is_told_with_the_folder_that_was_named(
    house: ExternalCas, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes, mode: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    device_request()
    Path("serial.txt").write_text(serial_number() + "\n")
    certified("device", "device.pem")
    monkeypatch.setattr(durable_files, "write_new", full)
    command = ("definition", "from-certificate", "device.pem", "--signer-certificate", "ca.pem", "--out", "out")
    ended = run_in_process(cli, *command)
    assert ended.code == 2
    assert "Error [file-unwritable]: out/device_definition.json cannot be written: No space left" in ended.err
    assert [path.name for path in Path().iterdir() if "out" in path.name] == []


def test_also_finds_what_varies(house: ExternalCas, capsys: pytest.CaptureFixture[str]) -> None:
    for number, subject in enumerate((SUBJECT, SUBJECT, SUBJECT.replace("House", "Home"))):
        device_request(subject)
        Path("serial.txt").write_text(serial_number() + "\n")
        certified("device", f"device-{number}.pem")
    command = ("definition", "from-certificate", "device-0.pem", "--signer-certificate", "ca.pem")
    assert run(*command, "--also", "device-1.pem") == 0
    assert run(*command, "--also", "device-1.pem", "--also", "device-2.pem") == 7
    told = capsys.readouterr().err
    assert "subject O: expected 'House' (UTF8String), found 'Home'" in told


@pytest.mark.slow
def test_openssl_x509_fails_by_default_and_works_with_options(house: ExternalCas) -> None:
    faketime = require_program("faketime")
    device_request()
    base = ("x509", "-req", "-CA", "ca.pem", "-CAkey", "ca.key", "-in", "device.csr", "-sha256")
    extensions = ("-extfile", "openssl-ca.cnf", "-extensions", "device", "-copy_extensions", "copy")
    done(*base, *extensions, "-days", "3653", "-out", "wrong.pem")
    ended = run_in_process(cli, "definition", "from-certificate", "wrong.pem")
    assert ended.code == 7
    # In the first second of an hour the date fits, and the serial number still does not.
    assert "notBefore: " in ended.err or "serial number: " in ended.err
    number = ("-set_serial", f"0x{serial_number()}")
    words = [require_program("openssl"), *base, *extensions, *number, "-days", "3653", "-out", "device.pem"]
    command = [faketime, "-f", "2026-06-01 08:00:00", *words]
    made = subprocess.run(command, env={"TZ": "UTC", "PATH": "/usr/bin:/bin"}, capture_output=True, check=False)
    assert made.returncode == 0, made.stderr
    assert run("definition", "from-certificate", "device.pem", "--signer-certificate", "ca.pem", "--out", "out") == 0
    certified_device = x509.load_pem_x509_certificate(Path("device.pem").read_bytes())
    assert certified_device.not_valid_after_utc == datetime(2036, 6, 1, 8, tzinfo=UTC)


@pytest.mark.slow
def test_own_certificates_come_back_with_their_descriptions(
    house: ExternalCas, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("device.toml").write_text(EXAMPLE.read_text())
    assert run("root", "create", "--out", "root", "--no-password") == 0
    made = ("--device", SIGNER, "--no-password", *CHEAP, "--device-description", "device.toml")
    assert run("signer", "create", "--root", "root", "--signer-id", "0034", *made) == 0
    assert run("export", "--device", SIGNER, "--out", "export") == 0
    with SignerModule.open(SIGNER) as module:
        _, der = provisioned(module)
    Path("device.der").write_bytes(der)
    command = ("definition", "from-certificate", "device.der", "--template-id", 3)
    chain = ("--signer-certificate", "export/signer.pem", "--root-certificate", "root/root.pem")
    of_signer = ("definition", "from-certificate", "export/signer.pem", "--template-id")
    assert run(*of_signer, 1, "--signer-certificate", "root/root.pem") == 2
    assert "Change --template-id." in capsys.readouterr().err
    assert run(*of_signer, 3, "--signer-certificate", "root/root.pem") == 2
    assert "Give it with --root-certificate." in capsys.readouterr().err
    assert run(*of_signer, 3, "--root-certificate", "root/root.pem") == 0
    assert run(*command, *chain, "--out", "out") == 0
    for role in ("signer", "device"):
        found = CertificateDescription.from_toml(Path(f"out/{role}.toml").read_text())
        given = EXAMPLE.read_text() if role == "device" else default_text("signer")
        assert found == CertificateDescription.from_toml(given)
    source = Path("out/cert_def_3_device.c").read_text()
    assert ".ca_cert_def = &g_cert_def_1_signer" in source
    compiled(Path("out"))


def test_a_request_of_a_chip_leads_to_the_same_number(house: ExternalCas) -> None:

    with Device.open(CHIP) as device, device.permit(Act.LOCK_CONFIG, Act.CREATE_KEY):
        device.lock_config(crc16(device.read_config()))
        device.gen_key(0)
    assert run_in_process(atcaprov, "request", "--device", CHIP, "--out", "device.csr").code == 0
    Path("serial.txt").write_text(serial_number() + "\n")
    certified("device", "device.pem")
    assert role_of(read_certificate(Path("device.pem"))) == "device"
    assert run("definition", "from-certificate", "device.pem", "--signer-certificate", "ca.pem") == 0


@pytest.mark.slow
def test_dates_and_serial_number_that_a_definition_needs_are_made_as_the_advice_says(
    house: ExternalCas, capsys: pytest.CaptureFixture[str]
) -> None:
    """The CA repeats its certificate with what the advice names, until the definition can be derived."""
    derive = ("definition", "from-certificate", "device.pem", "--signer-certificate", "ca.pem")
    device_request()
    Path("serial.txt").write_text(serial_number() + "\n")

    def advice(dates: tuple[str, ...], *more: str) -> str:
        Path("index.txt").write_text("")
        certified("device", "device.pem", *dates)
        code = run(*derive, *more)
        text = " ".join(capsys.readouterr().err.split())
        assert code in (0, 7), text
        return text if code else ""

    told = advice(("-startdate", f"{BEGIN}1500Z", "-enddate", "20360601081500Z"))
    (start,) = re.findall(r"openssl ca (-startdate \w+)", told)
    odd = (*start.split(), "-enddate", "20360715090000Z")
    told = advice(odd)
    (end,) = re.findall(r"openssl ca (-enddate \w+)", told)
    assert "or give --constant-end" in told
    assert advice(odd, "--constant-end", "--serial-slot", "14:0") == ""
    Path("serial.txt").write_text("445566778899AABBCCDD\n")
    told = advice((*start.split(), *end.split()))
    assert "signer-module definition serial-number" in told
    assert "keep the CA's own on the chip with --serial-slot" in told
    assert advice((*start.split(), *end.split()), "--serial-slot", "14:0") == ""
    Path("serial.txt").write_text(serial_number() + "\n")
    assert advice(DATES) == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("serial-number", "--not-before", "20260601"), "'20260601' is not an hour"),
        (("serial-number", "--not-before", "2026133108"), "'2026133108' is not an hour"),
        (("serial-number", "--chip-serial", "0123"), "'0123' is not the serial number of a chip"),
        (("serial-number", "--request", "ca.pem"), "holds no certificate request"),
        (("serial-number", "--request", "missing"), "missing"),
        (("from-certificate", "missing"), "missing"),
        (("from-certificate", "ca.key"), "holds no certificate"),
        (("from-certificate", "ca.pem", "--signer-certificate", "ca.pem", "--template-id", "3"), "is that of a CA"),
        (("from-certificate", "ca.pem", "--signer-certificate", "ca.pem"), "the same template id"),
        (("from-certificate", "ca.pem", "--out", "house"), "exists already"),
        (("from-certificate", "ca.pem"), "notBefore: "),
    ],
)
def test_wrong_options_are_told(
    house: ExternalCas, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    device_request()
    defaults = {"--request": "device.csr", "--not-before": BEGIN, "--expire-years": "1"}
    given = dict(zip(arguments[1::2], arguments[2::2], strict=False))
    if arguments[0] == "serial-number":
        arguments = (arguments[0], *(word for pair in {**defaults, **given}.items() for word in pair))
    assert run("definition", *arguments) in (2, 7)
    assert message in capsys.readouterr().err


def test_texts_of_slots_and_of_otp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A genuine ATECC608B-TNGTLS (see the vector): its address stands in slot 5, and could as well in OTP."""
    monkeypatch.chdir(tmp_path)
    case = vector("stored-certificates")["cases"]["tngtls"]
    Path("device.der").write_bytes(bytes.fromhex(case["device"]))
    address = bytes.fromhex(case["slots"]["5"])[:12].decode()
    for place, element in (("5:0", "slot_5_0_0"), ("otp:16", "otp_16_0")):
        command = ("from-certificate", "device.der", "--template-id", "3", "--stored-text", f"{place}:{address}")
        ended = run_in_process(cli, "definition", *command)
        assert ended.code == 0, ended.err
        assert f"{element} (bytes " in ended.out
    assert run("definition", "from-certificate", "device.der", "--stored-text", "5:0:NOWHERE") == 7
    assert run("definition", "from-certificate", "device.der", "--stored-text", f"otp:60:{address}") == 7
    assert run("definition", "from-certificate", "device.der", "--stored-text", f"otp:x:{address}") == 2


@pytest.mark.parametrize("text", ["16:0", "a", "14:x", "", "14:0:1:2"])
def test_wrong_places_are_told(house: ExternalCas, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    device_request()
    Path("serial.txt").write_text(serial_number() + "\n")
    certified("device", "device.pem")
    assert run("definition", "from-certificate", "device.pem", "--serial-slot", text) == 2
    assert "is not a place in a slot" in capsys.readouterr().err
    assert run("definition", "from-certificate", "device.pem", "--stored-text", f"{text}:") == 2
