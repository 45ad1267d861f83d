"""`provisioning-client plan` and `--dry-run` against a real server, which issues, records and counts nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from atcaprov import Device
from atcaprov.device.command_guard import act_of
from provisioning_client.cli import command
from provisioning_server.commands.open_for_reading import ledger_for_reading
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.ledger.store import TreeHead
from tests.support.in_memory_signer import MemorySigner
from tests.support.ports import unused_port
from tests.support.programs import Ended, run_in_process
from tests.support.server import running_server
from tests.support.signer_folders import certinfo_of, make_signer_folder

pytestmark = pytest.mark.slow

CERTINFO = "atcaprov_cert_info_0.c"


@dataclass
class Line:
    """A server with one signer, whose folder a client uses."""

    certinfo: Path
    data: Path
    port: int

    def client(self, *words: str) -> Ended:
        station = ("--certinfo", str(self.certinfo), "--port", str(self.port), "--host", "127.0.0.1")
        return run_in_process(command, *words[:1], *station, *words[1:])

    def records(self) -> tuple[TreeHead, int]:
        """What the server has kept: the head of its ledger, and how many signers it has the documents of."""
        with ledger_for_reading(LedgerPlace(self.data)) as ledger:
            return ledger.head(), len(ledger.known_documents())


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    folder = tmp_path_factory.mktemp("line")
    signer = make_signer_folder(folder)
    with running_server(signer.path, folder / "data") as address:
        yield Line(signer.path / CERTINFO, folder / "data", address.port)


def plan_of(line: Line, *words: str) -> dict[str, Any]:
    done = line.client("plan", "--json", *words)
    (text,) = done.out.splitlines()
    found: dict[str, Any] = json.loads(text)
    assert (done.code == 0) == found["would_start"]
    return found


def test_a_dry_run_leaves_server_and_chip_as_they_are(line: Line, tmp_path: Path) -> None:
    chip = tmp_path / "chip.json"
    Device.open(f"emulator:{chip}").close()
    before, records = chip.read_bytes(), line.records()
    found = plan_of(line, "--dry-run", "--device", f"emulator:{chip}", "--lock-slot", "13")
    assert (chip.read_bytes(), line.records()) == (before, records)
    assert {check["outcome"] for check in found["checks"]} == {"passed"}
    dry_run = found["dry_run"]
    assert dry_run["error"] is None
    assert (dry_run["before"]["config_locked"], dry_run["after"]["config_locked"]) == (False, True)
    assert dry_run["after"]["locked_slots"] == [13]
    assert found["stages"][8]["does"] == "lock slots 13, permanently"
    device, signer = (
        x509.load_der_x509_certificate(bytes.fromhex(dry_run[f"{role}_certificate_der"]))
        for role in ("device", "signer")
    )
    device.verify_directly_issued_by(signer)
    assert dry_run["verification"]["verdict"] == "good"
    steps = [step["name"] for step in dry_run["verification"]["steps"]]
    assert steps == ["certificate", "chain", "key", "dates"]
    assert found["sn"] in device.subject.rfc4514_string()
    assert dry_run["device_certificate"]["subject"] == device.subject.rfc4514_string()


def test_after_the_plan_the_run_does_it_and_the_plan_says_so(line: Line, tmp_path: Path) -> None:
    url = f"emulator:{tmp_path / 'chip.json'}"
    assert plan_of(line, "--device", url)["would_start"]
    assert not (tmp_path / "chip.json").exists()
    station = ("--certinfo", str(line.certinfo), "--port", str(line.port), "--host", "127.0.0.1")
    assert run_in_process(command, *station, "--auto", "--device", url).code == 0
    records = line.records()
    found = plan_of(line, "--dry-run", "--device", url)
    assert found["would_start"]
    assert [stage["n"] for stage in found["stages"] if stage["state"] == "to-do"] == [3, 10]
    assert line.records() == records


def test_both_forms_of_the_dry_run_say_the_same(line: Line, tmp_path: Path) -> None:
    chip = tmp_path / "chip.json"
    Device.open(f"emulator:{chip}").close()
    station = ("--certinfo", str(line.certinfo), "--port", str(line.port), "--host", "127.0.0.1")
    device = ("--device", f"emulator:{chip}")
    own = run_in_process(command, "plan", *station, *device, "--dry-run")
    option = run_in_process(command, *station, *device, "--dry-run")
    before = run_in_process(command, *station, *device, "plan", "--dry-run")
    assert own.code == option.code == before.code == 0
    changing = re.compile(r"serial number: .*")
    texts = {changing.sub("", ended.out) for ended in (own, option, before)}
    assert len(texts) == 1
    (text,) = texts
    assert "A run would start." in text
    assert "CN=Example ATECC608A Device" in text


def test_an_option_of_the_command_goes_before_one_of_the_program(line: Line) -> None:
    done = run_in_process(
        command, "--device", "emulator:", "--certinfo", "missing.c", "plan", "--certinfo", str(line.certinfo),
        "--port", str(line.port), "--host", "127.0.0.1",
    )  # fmt: skip
    assert done.code == 0


def test_the_real_chip_gets_no_command_that_changes_it(line: Line, tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    assert plan_of(line, "--dry-run", "--device", "emulator:", "--trace", str(trace))["would_start"]
    sent = [json.loads(text).get("sent") for text in trace.read_text().splitlines()]
    packets = [bytes.fromhex(packet.replace("..", "00")) for packet in sent if packet]
    assert packets
    assert {act_of(packet) for packet in packets} == {None}


def test_without_a_server_the_plan_is_made_and_the_exit_code_says_why(line: Line) -> None:
    words = ("--certinfo", str(line.certinfo), "--port", str(unused_port()), "--host", "127.0.0.1")
    done = run_in_process(command, "plan", *words, "--device", "emulator:", "--dry-run")
    assert done.code == 3
    assert "Without a signer offered by the server, the certificates are the default ones." in done.out
    assert "[server-unreachable]" in done.out
    assert "Permanent afterwards:" in done.out


def test_without_a_cert_info_file_the_plan_is_made_too(tmp_path: Path) -> None:
    done = run_in_process(command, "plan", "--certinfo", str(tmp_path / "missing.c"), "--device", "emulator:")
    assert done.code == 2
    assert "A run would stop before stage 1: [file-unreadable]" in done.out
    assert "Permanent afterwards:" in done.out


def test_a_chip_that_cannot_be_done_has_the_code_and_the_fate_of_its_run(line: Line) -> None:
    found = plan_of(line, "--device", "emulator:?image=atecc508a")
    assert found["error"]["code"] == "wrong-part"
    assert found["error"]["board"] == "untouched"
    assert (found["stages"], found["dry_run"]) == ([], None)
    done = line.client("plan", "--device", "emulator:?image=atecc508a")
    assert done.code == 6
    assert "[wrong-part]" in done.out


def test_a_proof_that_is_not_demanded_is_not_told_as_passed(line: Line) -> None:
    """A blank part proves nothing, so no plan may say that it did."""
    assert "Microchip made it" not in line.client("plan", "--device", "emulator:").out
    assert "[genuine-unprovable]" in line.client("plan", "--device", "emulator:", "--require-genuine").out


def test_slots_that_lose_the_same_uses_have_one_line(line: Line) -> None:
    out = line.client("plan", "--device", "emulator:").out
    assert "  slot 0 can no longer be given a new key by GenKey or given a key by PrivWrite\n" in out
    assert "  slots 1-4 can no longer be given a key by PrivWrite\n" in out


def test_several_chips_get_a_plan_each(line: Line) -> None:
    done = line.client("plan", "--json", "--device", "emulator:", "--device", "emulator:?image=atecc508a")
    assert [json.loads(text)["would_start"] for text in done.out.splitlines()] == [True, False]
    assert done.code == 6


def test_quota_that_is_too_small_is_told_and_not_used(tmp_path: Path) -> None:
    signer = MemorySigner()
    signer.remaining = 3
    with running_server(signer, tmp_path / "data") as address:
        certinfo = tmp_path / CERTINFO
        certinfo.write_text(certinfo_of(signer))
        line = Line(certinfo, tmp_path / "data", address.port)
        good = plan_of(line, "--dry-run", "--device", "emulator:", "--count", "3")
        assert good["would_start"]
        found = plan_of(line, "--device", "emulator:", "--count", "4")
        assert found["error"]["code"] == "quota-too-small"
    assert (signer.signatures, signer.remaining) == (0, 3)
