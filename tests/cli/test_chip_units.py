"""Chips with a unit's own name: shown, verified, inspected, asked for a request, and imported again."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from cryptography import x509

from atcaprov import CertInfo, Device, Profile, Provisioner, TcpClient
from atcaprov.cli.main import atcaprov
from signer_module.on_files.signer_folder import SignerFolder
from tests.certs.test_unit_names import DEV_EUI, MAC, PLAIN, SERIAL, described
from tests.support.programs import Ended, run_in_process
from tests.support.server import running_server
from tests.support.signer_folders import make_signer_folder

pytestmark = pytest.mark.slow


class Named(TcpClient):
    """A client that knows one name."""

    def __init__(self, host: str, port: int, name: str) -> None:
        super().__init__(host, port)
        self._name = name

    def unit_name(self, serial_number: bytes) -> str:
        return self._name


def chip(command: str, folder: Path, *options: object) -> Ended:
    return run_in_process(atcaprov, "chip", command, "--device", f"emulator:{folder}/chip.json", *map(str, options))


def provision(folder: Path, rule: str, name: str) -> bytes:
    """Provision a chip in a file, and return its certificate (DER)."""
    signer = make_signer_folder(folder, device=described(rule))
    info = CertInfo.parse((signer.path / "atcaprov_cert_info_0.c").read_text())
    with (
        running_server(signer.path, folder / "data") as address,
        closing(Named(address.host, address.port, name)) as client,
        Device.open(f"emulator:{folder}/chip.json") as device,
    ):
        return Provisioner(Profile(), info, client).provision(device).device_certificate


@pytest.mark.parametrize(
    ("rule", "name"),
    [(SERIAL, "SN-00000017"), (MAC, "00:04:A3:01:02:FF"), (DEV_EUI, "0004a30b001c0530")],
    ids=["text in a slot", "MAC address in a slot", "DevEUI in OTP"],
)
def test_chip_is_shown_verified_and_inspected(tmp_path: Path, rule: str, name: str) -> None:
    certificate = provision(tmp_path, rule, name)
    signer = tmp_path / "signer"
    shown = chip("cert", tmp_path, "--signer", signer, "--pem")
    assert shown.code == 0, shown.err
    device, _ = x509.load_pem_x509_certificates(shown.out.encode())
    assert device == x509.load_der_x509_certificate(certificate)
    assert f"Device {name}" in chip("cert", tmp_path, "--signer", signer).out
    verified = chip("verify", tmp_path, "--signer", signer)
    assert verified.code == 0, verified.err
    assert chip("info", tmp_path).code == 0
    inspected = chip("inspect", tmp_path)
    assert (inspected.err, "1 inspected, 1 locked" in inspected.out) == ("", True)


def test_changed_name_no_longer_verifies(tmp_path: Path) -> None:
    provision(tmp_path, SERIAL, "SN-00000017")
    path = tmp_path / "chip.json"
    document = json.loads(path.read_text())
    changed = json.dumps(document).replace(b"SN-00000017".hex(), b"SN-00000018".hex())
    assert changed != json.dumps(document)
    path.write_text(changed)
    verified = chip("verify", tmp_path, "--signer", tmp_path / "signer")
    assert verified.code == 7
    assert "signature does not verify" in verified.err


def test_request_has_the_name_that_the_chip_holds(tmp_path: Path) -> None:
    provision(tmp_path, MAC, "00:04:A3:01:02:FF")
    description = default_text_with(MAC)
    (tmp_path / "device.toml").write_text(description)
    url = f"emulator:{tmp_path}/chip.json"
    options = ("--device", url, "--description", str(tmp_path / "device.toml"))
    made = run_in_process(atcaprov, "request", *options, "--out", str(tmp_path / "own.csr"))
    assert made.code == 0, made.err
    assert common_name(tmp_path / "own.csr").endswith(" 00:04:A3:01:02:FF")
    given = ("--unit", "00-04-a3-01-02-00", "--out", str(tmp_path / "given.csr"))
    assert run_in_process(atcaprov, "request", *options, *given).code == 0
    assert common_name(tmp_path / "given.csr").endswith(" 00:04:A3:01:02:00")
    refused = run_in_process(atcaprov, "request", *options, "--unit", "SN-1", "--out", str(tmp_path / "no.csr"))
    assert refused.code == 2
    assert "The unit's name 'SN-1' is refused" in refused.err
    superfluous = ("--device", url, "--unit", "SN-1", "--out", str(tmp_path / "no.csr"))
    assert "Leave --unit out." in run_in_process(atcaprov, "request", *superfluous).err
    assert not (tmp_path / "no.csr").exists()


def test_request_of_a_chip_without_a_name_needs_one(tmp_path: Path) -> None:
    provision(tmp_path, SERIAL, "SN-00000017")
    (tmp_path / "device.toml").write_text(default_text_with(DEV_EUI))
    options = ("--device", f"emulator:{tmp_path}/chip.json", "--description", str(tmp_path / "device.toml"))
    refused = run_in_process(atcaprov, "request", *options, "--out", str(tmp_path / "device.csr"))
    assert refused.code == 2
    assert "the OTP zone, byte 32" in refused.err
    assert "Give the name with --unit NAME." in refused.err
    named = ("--unit", "0004A30B001C0530", "--out", str(tmp_path / "device.csr"))
    assert run_in_process(atcaprov, "request", *options, *named).code == 0
    assert common_name(tmp_path / "device.csr").endswith(" 0004a30b001c0530")


def default_text_with(rule: str) -> str:
    return PLAIN.replace("[slots]", f"[unit]\n{rule}\n[slots]")


def common_name(path: Path) -> str:
    subject = x509.load_pem_x509_csr(path.read_bytes()).subject
    return str(subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


def test_certificate_is_imported_with_the_name_that_the_chip_holds(tmp_path: Path) -> None:
    """The chip holds the name already; the certificate that comes from outside is compressed with it."""
    provision(tmp_path, SERIAL, "SN-00000017")
    signer = SignerFolder.load(tmp_path / "signer")
    chain, definition = tmp_path / "chain.pem", tmp_path / "device.json"
    assert chip("cert", tmp_path, "--signer", signer.path, "--pem", "--out", chain).code == 0
    definition.write_text(signer.device_definition.to_json())
    words = ("import", "--device", f"emulator:{tmp_path}/chip.json", "--dry-run", "--definition", str(definition))
    ended = run_in_process(atcaprov, *words, str(chain))
    assert ended.code == 0, ended.err
