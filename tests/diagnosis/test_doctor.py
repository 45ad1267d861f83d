"""`atcaprov chip doctor` names exactly what is wrong, and what it advises ends the finding."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from atcaprov.cli.main import atcaprov
from atcaprov.diagnosis.finding import PASSED_ON, FindingCode
from tests.diagnosis.bench import Bench, codes, examined
from tests.diagnosis.cases import CASES, FindingCase, certified
from tests.support.programs import run_in_process


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    bench = Bench(tmp_path, monkeypatch)
    with bench.left_behind:
        yield bench


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_finding_is_named_alone_and_ends_when_its_advice_is_followed(case: FindingCase, bench: Bench) -> None:
    play = case.play(bench)
    first = examined(*next(play))
    assert set(codes(first)) == {case.code} | case.beside
    second = examined(*play.send(next(found for found in first["findings"] if found["code"] == case.code)))
    assert case.code not in codes(second)
    assert [found["code"] for found in second["findings"] if found["weight"] == "problem"] == []


def test_every_finding_is_provoked() -> None:
    assert {case.code for case in CASES} == {str(code) for code in (*FindingCode, *PASSED_ON)}


def test_steps_left_out_tell_the_first_reason_in_words(bench: Bench) -> None:
    no_bus = {step["step"]: step["reason"] for step in examined("--device", "i2c://7/0x60")["not_checked"]}
    no_server = "no server was named: give --server HOST, or --certinfo FILE"
    chip_steps = ("transfers", "part", "supply", "configuration", "certificates")
    assert no_bus == {**dict.fromkeys(chip_steps, "no chip can be reached"), "server": no_server, "signer": no_server}
    no_device = {step["step"]: step["reason"] for step in examined()["not_checked"]}
    assert {no_device[step] for step in ("chip", *chip_steps)} == {"it is not known which chip"}
    shown = run_in_process(atcaprov, "chip", "doctor", "--device", "i2c://7/0x60").out
    assert "Not checked:\n  transfers without damage (no chip can be reached)\n" in shown


@pytest.mark.slow
def test_certificates_of_a_product_need_the_server(bench: Bench) -> None:
    url, words = certified(bench)
    alone = examined("--device", url)
    (reason,) = (step["reason"] for step in alone["not_checked"] if step["step"] == "certificates")
    assert reason.endswith("--certinfo FILE, with --host and --port")
    asked = examined(*words)
    assert codes(asked) == []
    assert "The certificates lead to the pinned root." in asked["good"]
