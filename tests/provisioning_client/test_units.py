"""`--unit` and `--units`: from the command line to certificate, chip and record, over cut runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from atcaprov import Code
from atcaprov.certs.descriptions.description import default_description
from atcaprov.certs.descriptions.template import device_definition
from provisioning_client.cli import command
from provisioning_server.cli import command as server_command
from tests.certs.test_unit_names import SERIAL, described
from tests.support.in_memory_signer import NOW, MemorySigner
from tests.support.programs import Ended, run_in_process
from tests.support.server import running_server
from tests.support.signer_folders import certinfo_of

pytestmark = pytest.mark.slow


@dataclass
class Line:
    """A station whose server issues certificates with a unit's name."""

    folder: Path
    server: str

    def run(self, *words: str, device: str = "emulator:") -> Ended:
        station = ("--certinfo", str(self.folder / "cert_info.c"), "--server", self.server)
        kept = ("--reports", str(self.folder / "reports"), "--checkpoints", str(self.folder / "checkpoints"))
        return run_in_process(command, *station, *kept, "--auto", "--json", "--device", device, *words)

    def records(self) -> list[tuple[str, str]]:
        """Return unit and chip of each certificate, oldest first."""
        found = run_in_process(server_command, "ledger", "search", "--data", str(self.folder / "data"), "--json")
        lines = map(json.loads, found.out.splitlines())
        return sorted((line["unit"], line["chip_serial"]) for line in lines)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    named = device_definition(described(SERIAL), signer=default_description("signer"), at=NOW)
    signer = MemorySigner(device=named)
    (tmp_path / "cert_info.c").write_text(certinfo_of(signer))
    with running_server(signer, tmp_path / "data") as address:
        yield Line(tmp_path, f"{address.host}:{address.port}")


def code_of(ended: Ended) -> str:
    """Return the code of the last failure that a run has told."""
    events = [json.loads(text) for text in ended.out.splitlines()]
    return str([event["code"] for event in events if event.get("code")][-1])


def test_name_of_one_board(line: Line) -> None:
    assert line.run("--unit", "SN-00000001").code == 0
    assert [unit for unit, _ in line.records()] == ["SN-00000001"]
    taken = line.run("--unit", "SN-00000001")
    assert (taken.code, code_of(taken)) == (8, Code.UNIT_TAKEN)


def test_board_without_a_name_is_refused(line: Line) -> None:
    assert code_of(line.run()) == Code.UNIT_MISSING
    assert code_of(line.run("--unit", "SN-1")) == Code.UNIT_INVALID
    assert line.records() == []


def test_one_name_is_for_one_board_and_given_in_one_way(line: Line) -> None:
    refused = line.run("--unit", "SN-00000001", "--count", "2")
    assert refused.code == 2
    assert "--count 1" in refused.err
    assert "--units FILENAME" in refused.err
    (line.folder / "names.txt").write_text("SN-00000001\n")
    both = line.run("--unit", "SN-00000001", "--units", str(line.folder / "names.txt"))
    assert (both.code, "Leave out --unit or --units." in both.err) == (2, True)
    assert line.run("--unit", "SN-00000001", "--count", "1").code == 0
    assert line.run("--units", str(line.folder / "names.txt")).code == 8


def test_each_board_gets_the_next_name_of_the_file(line: Line) -> None:
    names = line.folder / "names.txt"
    names.write_text("SN-00000001\nSN-00000002\nSN-00000003\n")
    assert line.run("--units", str(names), "--count", "2").code == 0
    chip = f"emulator:{line.folder / 'chip.json'}"
    assert line.run("--units", str(names), device=chip).code == 0
    assert line.run("--units", str(names), device=chip).code == 0, "the board keeps its name"
    used = dict(text.split("\t") for text in names.with_name("names.txt.used").read_text().splitlines())
    assert sorted(used.items()) == line.records()
    assert list(used) == ["SN-00000001", "SN-00000002", "SN-00000003"]
    audited = run_in_process(server_command, "audit", "verify", "--data", str(line.folder / "data"))
    assert audited.code == 0, audited.out + audited.err
    over = line.run("--units", str(names))
    assert code_of(over) == Code.UNITS_USED_UP


def test_board_that_is_refused_leaves_its_name(line: Line) -> None:
    names = line.folder / "names.txt"
    names.write_text("SN-00000001\n")
    refused = line.run("--units", str(names), "--unit-slot", "13")
    assert code_of(refused) == Code.SLOT_NOT_ALLOWED
    assert names.with_name("names.txt.used").read_text() == ""
    assert line.run("--units", str(names)).code == 0


def test_plan_shows_the_next_name_and_takes_none(line: Line) -> None:
    names = line.folder / "names.txt"
    names.write_text("SN-00000001\nSN-00000002\n")
    planned = line.run("--units", str(names), "--dry-run")
    assert planned.code == 0, planned.out
    plan = json.loads(planned.out)
    (stage,) = [each for each in plan["stages"] if each["stage"] == "DATA_WRITE"]
    assert bytes.fromhex(stage["writes"][0]["bytes"]).startswith(b"SN-00000001\0")
    assert line.run("--units", str(names)).code == 0
    assert [unit for unit, _ in line.records()] == ["SN-00000001"]
