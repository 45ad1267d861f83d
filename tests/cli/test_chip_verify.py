"""`atcaprov chip verify`: verdicts and exit codes, the server's record, and that nothing on the chip changes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from atcaprov import Code, Device, Hal, read_trace
from atcaprov.certs.issued_record import HEADER, IssuedRecord
from atcaprov.chip.commands import GEN_KEY_CREATE, Opcode
from atcaprov.chip.memory_map import SLOT_CONFIG
from atcaprov.cli.main import atcaprov
from atcaprov.emulator.images import load_image
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.random_source import SeededRandom
from atcaprov.emulator.slot import MemorySlot
from atcaprov.emulator.state_file import chip_file
from atcaprov.hal.base import ForwardingHal
from atcaprov.inspection.certificates.defined import IssuerDefinitions
from atcaprov.inspection.snapshot import read_snapshot
from atcaprov.inspection.verification import TrustSources, Verdict, verify_chip
from tests.support.certificates import DEVICE, ROOT, Key
from tests.support.chips_by_use import hal_of, provisioned
from tests.support.in_memory_server import MemoryCa
from tests.support.programs import Ended, run_in_process

pytestmark = pytest.mark.slow
TEST_ROOT = Path(__file__).parents[2] / "configs" / "images" / "tngtls-test-root.pem"


def verify(folder: Path, chip: Memory | bytes, *options: object) -> Ended:
    file = folder / "chip.json"
    file.write_bytes(chip if isinstance(chip, bytes) else chip_file(chip))
    before = file.read_bytes()
    ended = run_in_process(atcaprov, "chip", "verify", "--device", f"emulator:{file}", *map(str, options))
    assert file.read_bytes() == before
    return ended


def result(ended: Ended) -> dict[str, Any]:
    (line,) = ended.out.splitlines()
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


def outcomes(found: dict[str, Any]) -> dict[str, str]:
    return {step["name"]: step["outcome"] for step in found["steps"]}


def test_good_chip(finished: bytes, export: Path, tmp_path: Path) -> None:
    ended = verify(tmp_path, finished, "--signer", export)
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-1] == "verdict         good"
    found = result(verify(tmp_path, finished, "--signer", export, "--json"))
    assert outcomes(found) == dict.fromkeys(("certificate", "chain", "key", "dates"), "passed")


def test_good_chip_by_the_definition_of_another_ca(finished: bytes, export: Path, tmp_path: Path) -> None:
    named = ("--definition", export / "device_definition.json", "--issuer", export / "signer.pem")
    assert verify(tmp_path, finished, *named, "--root", export / "root.pem").code == 0
    assert verify(tmp_path, finished, *named).code == 2
    assert verify(tmp_path, finished, *named, "--root", TEST_ROOT).code == 7


def test_chip_of_another_signer_of_the_root_is_good_and_set_aside(
    authority: MemoryCa, export: Path, tmp_path: Path
) -> None:
    other = MemoryCa()
    other.root_key = authority.root_key
    ended = verify(tmp_path, provisioned(other), "--signer", export, "--json")
    found = result(ended)
    assert (ended.code, found["verdict"]) == (6, "good-set-aside")
    assert found["error"]["code"] == "finished-elsewhere"
    assert found["error"]["board"] == "set-aside"


def test_chip_of_another_root_is_not_good(export: Path, tmp_path: Path) -> None:
    ended = verify(tmp_path, provisioned(MemoryCa()), "--signer", export, "--json")
    assert (ended.code, result(ended)["verdict"]) == (7, "not-good")
    assert result(ended)["error"]["code"] == "root-not-pinned"
    assert result(ended)["error"]["board"] == "set-aside"


def test_good_chip_of_a_signer_that_is_not_named_is_not_called_bad(finished: bytes, tmp_path: Path) -> None:
    found = result(ended := verify(tmp_path, finished, "--json"))
    assert (ended.code, found["verdict"]) == (7, "unknown")
    assert (found["error"]["code"], found["error"]["board"]) == ("definition-unknown", "untouched")


def test_blank_chip_is_not_provisioned(export: Path, tmp_path: Path) -> None:
    for options in ((), ("--signer", export)):
        ended = verify(tmp_path, load_image("atecc608a").make(SeededRandom(b"blank")), *options, "--json")
        assert (ended.code, result(ended)["verdict"]) == (6, "not-provisioned")


def test_without_a_root_nothing_is_called_good(tmp_path: Path) -> None:
    """A whole certificate in slot 8 for the key in slot 2, under a root that somebody has to name."""
    root, device = issued_by_root(ROOT, ROOT, "root", ca=True), issued_by_root(DEVICE, ROOT, "device", ca=False)
    chip = load_image("tngtls").make(SeededRandom(b"whole"))
    MemorySlot(chip, 2).store_private_key(DEVICE.private.private_numbers().private_value.to_bytes(32))
    chip.write_slot(8, 0, device)
    for slot in (10, 11, 12):
        chip.write_slot(slot, 0, bytes(72))
    file = tmp_path / "root.pem"
    file.write_bytes(x509.load_der_x509_certificate(root).public_bytes(Encoding.PEM))
    without = verify(tmp_path, chip)
    assert (without.code, "Add --root FILE" in without.err) == (2, True)
    assert verify(tmp_path, chip, "--root", file).code == 0
    assert verify(tmp_path, chip, "--root", TEST_ROOT).code == 7


def issued_by_root(subject: Key, issuer: Key, name: str, *, ca: bool) -> bytes:
    above, own = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in ("root", name))
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    key = subject.private.public_key()
    builder = x509.CertificateBuilder(above, own, key, 5, begin, begin.replace(year=2060))
    builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    return builder.sign(issuer.private, hashes.SHA256()).public_bytes(Encoding.DER)


# The server's record


def record(authority: MemoryCa, *, certificate: bytes | None = None, serial: bytes | None = None) -> bytes:
    (chip_serial, public_key), reply = next(iter(authority.issued.items()))
    return IssuedRecord(
        time=datetime(2026, 11, 21, 10, tzinfo=UTC),
        chip_serial=serial or chip_serial,
        signer_serial=bytes(9),
        signer_name="Example Signer",
        signer_id=b"\x00\x34",
        certificate_serial=b"\x01",
        public_key=public_key,
        compressed=reply.device_compressed,
        documents="0" * 64,
        certificate=certificate or reply.device_certificate,
    ).to_line()


@pytest.mark.parametrize("way", ["log", "server-data"])
def test_record_of_this_certificate_is_compared(
    authority: MemoryCa, finished: bytes, export: Path, tmp_path: Path, way: str
) -> None:
    logs = tmp_path / "data" / "logs"
    logs.mkdir(parents=True)
    log = logs / "signing-20261121-101500.tsv"
    option = ("--log", log) if way == "log" else ("--server-data", tmp_path / "data")
    for line, code, verdict in (
        (record(authority), 0, "good"),
        (record(authority, serial=bytes(9)), 6, "good-set-aside"),
        (record(authority, certificate=b"another"), 7, "not-good"),
    ):
        log.write_bytes(HEADER + line)
        ended = verify(tmp_path, finished, "--signer", export, *option, "--json")
        assert (ended.code, result(ended)["verdict"]) == (code, verdict)


def test_file_of_another_certificate_in_certs_is_told(
    authority: MemoryCa, finished: bytes, export: Path, tmp_path: Path
) -> None:
    logs, certs = tmp_path / "data" / "logs", tmp_path / "data" / "certs"
    logs.mkdir(parents=True)
    certs.mkdir()
    (logs / "signing-20261121-101500.tsv").write_bytes(HEADER + record(authority))
    (serial, _), reply = next(iter(authority.issued.items()))
    file = certs / f"{serial.hex().upper()}_device.pem"
    options = ("--signer", export, "--server-data", tmp_path / "data", "--json")
    for der, code in ((reply.device_certificate, 0), (reply.signer_certificate, 7)):
        file.write_bytes(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM))
        ended = verify(tmp_path, finished, *options)
        assert ended.code == code
    assert "folder 'certs' holds another one" in result(ended)["error"]["message"]


def test_recorded_certificate_of_another_signer_of_the_server_is_good(
    authority: MemoryCa, export: Path, tmp_path: Path
) -> None:
    other = MemoryCa()
    other.root_key = authority.root_key
    memory, log = provisioned(other), tmp_path / "signing.tsv"
    log.write_bytes(HEADER + record(other))
    assert verify(tmp_path, memory, "--signer", export, "--log", log).code == 0
    assert verify(tmp_path, memory, "--signer", export).code == 6


@pytest.mark.parametrize("content", [b"", b"no log\n", HEADER + b"damaged\n"])
def test_log_that_is_none_is_refused_before_the_verdict(
    finished: bytes, export: Path, tmp_path: Path, content: bytes
) -> None:
    log = tmp_path / "signing.tsv"
    log.write_bytes(content)
    ended = verify(tmp_path, finished, "--signer", export, "--log", log)
    assert ended.code == (2 if content else 6)


def test_missing_records_are_refused(finished: bytes, tmp_path: Path) -> None:
    assert verify(tmp_path, finished, "--server-data", tmp_path).code == 2
    assert verify(tmp_path, finished, "--log", tmp_path / "none.tsv").code == 2


# Key, dates, and what is sent


def sources(authority: MemoryCa, now: datetime | None = None) -> TrustSources:
    definitions = IssuerDefinitions(
        authority.device_definition,
        authority.signer_definition,
        authority.root_public_key,
        authority.signer_public_key,
    )
    return TrustSources(now or datetime.now(UTC), definitions)


def test_key_of_limited_use_is_not_used(authority: MemoryCa, export: Path, tmp_path: Path) -> None:
    memory = provisioned(authority)
    memory.config[SLOT_CONFIG] |= 0x20
    counters = bytes(memory.config[52:68])
    ended = verify(tmp_path, memory, "--signer", export, "--json")
    found = result(ended)
    assert (ended.code, outcomes(found)["key"]) == (0, "not-checked")
    assert "limited use" in next(step["message"] for step in found["steps"] if step["name"] == "key")
    assert bytes(memory.config[52:68]) == counters


def test_expired_certificate_is_told_with_both_times(authority: MemoryCa) -> None:
    memory = provisioned(authority)
    with Device(hal_of(memory)) as device:
        early = verify_chip(device, read_snapshot(device), sources(authority, datetime(2001, 1, 1, tzinfo=UTC)))
    assert early.verdict is Verdict.NOT_GOOD
    assert early.error is not None
    assert early.error.code == Code.CERTIFICATE_EXPIRED
    assert "is not valid yet" in early.error.what
    assert "this computer's clock says 2001-01-01" in early.error.what


class RecordingHal(ForwardingHal):
    """Keep every packet that is sent."""

    def __init__(self, hal: Hal) -> None:
        super().__init__(hal)
        self.packets: list[bytes] = []

    def exchange(self, packet: bytes) -> bytes:
        self.packets.append(packet)
        return super().exchange(packet)


def test_only_harmless_commands_are_sent_and_no_byte_changes(authority: MemoryCa) -> None:
    memory = provisioned(authority)
    before, hal = memory.image(), hal_of(memory)
    listening = RecordingHal(hal)
    with Device(listening) as device:
        assert verify_chip(device, read_snapshot(device), sources(authority)).verdict is Verdict.GOOD
    packets = listening.packets
    assert {packet[1] for packet in packets} == {
        Opcode.READ,
        Opcode.INFO,
        Opcode.GEN_KEY,
        Opcode.NONCE,
        Opcode.SIGN,
    }
    assert not [packet for packet in packets if packet[1] == Opcode.GEN_KEY and packet[2] & GEN_KEY_CREATE]
    assert memory.image() == before


@pytest.mark.parametrize("command", ["cert", "verify"])
def test_trace_of_the_program_holds_harmless_commands_only(
    finished: bytes, export: Path, tmp_path: Path, command: str
) -> None:
    file, trace = tmp_path / "chip.json", tmp_path / "chip.trace"
    file.write_bytes(finished)
    options = ("--device", f"emulator:{file}", "--signer", str(export), "--trace", str(trace))
    assert run_in_process(atcaprov, "chip", command, *options).code == 0
    sent = [bytes.fromhex(event.sent[:6]) for event in read_trace(trace).events if event.sent]
    expected = {Opcode.READ, Opcode.INFO, Opcode.GEN_KEY}
    assert {packet[1] for packet in sent} == expected | ({Opcode.NONCE, Opcode.SIGN} if command == "verify" else set())
    assert not [packet for packet in sent if packet[1] == Opcode.GEN_KEY and packet[2] & GEN_KEY_CREATE]
    assert file.read_bytes() == finished


# Trust parts


def test_trust_part_is_good_under_a_root_that_is_named(tmp_path: Path) -> None:
    chip = load_image("tngtls").make(SeededRandom(b"trust"))
    for options in (("--root", TEST_ROOT), ("--root", TEST_ROOT, "--genuine")):
        ended = verify(tmp_path, chip, *options)
        assert ended.code == 0, ended.err


def test_software_trust_part_is_not_good_under_microchips_root(tmp_path: Path) -> None:
    chip = load_image("tngtls").make(SeededRandom(b"trust"))
    ended = verify(tmp_path, chip, "--json")
    assert (ended.code, result(ended)["verdict"]) == (7, "not-good")
    error = result(ended)["error"]
    assert error["code"] == "root-not-pinned"
    assert (
        "do not lead to the root CN=Crypto Authentication Root CA 002,O=Microchip Technology Inc." in error["message"]
    )
    assert "cert_info" not in error["advice"]
    assert "give --root FILE" in error["advice"]
    assert verify(tmp_path, chip, "--root", TEST_ROOT).code == 0
    assert "Error [not-genuine]" in verify(tmp_path, chip, "--genuine").err


def test_another_root_than_the_makers_is_told(tmp_path: Path) -> None:
    chip, other = load_image("tngtls").make(SeededRandom(b"trust")), tmp_path / "other.pem"
    root = issued_by_root(ROOT, ROOT, "root", ca=True)
    other.write_bytes(x509.load_der_x509_certificate(root).public_bytes(Encoding.PEM))
    ended = verify(tmp_path, chip, "--root", other)
    assert ended.code == 7
    assert "Check the file given with --root." in ended.err
    assert verify(tmp_path, chip, "--root", TEST_ROOT).code == 0


def test_blank_part_cannot_prove_that_it_is_genuine(tmp_path: Path) -> None:
    ended = verify(tmp_path, load_image("atecc608b").make(SeededRandom(b"blank")), "--genuine")
    assert ended.code == 6
    assert "a blank part holds no certificate of the maker" in ended.err


def test_genuine_goes_with_no_signer_of_ours(export: Path, tmp_path: Path, finished: bytes) -> None:
    assert verify(tmp_path, finished, "--genuine", "--signer", export).code == 2
