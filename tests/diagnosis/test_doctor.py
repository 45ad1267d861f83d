"""`atcaprov chip doctor` names exactly what is wrong, and what it advises ends the finding."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from atcaprov.diagnosis.finding import PASSED_ON, FindingCode
from tests.diagnosis.bench import Bench, codes, examined
from tests.diagnosis.cases import CASES, FindingCase, certified


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


@pytest.mark.slow
def test_certificates_of_a_product_need_the_server(bench: Bench) -> None:
    url, words = certified(bench)
    alone = examined("--device", url)
    (reason,) = (step["reason"] for step in alone["not_checked"] if step["step"] == "certificates")
    assert reason.endswith("--certinfo FILE, with --host and --port")
    asked = examined(*words)
    assert codes(asked) == []
    assert "The certificates lead to the pinned root." in asked["good"]
