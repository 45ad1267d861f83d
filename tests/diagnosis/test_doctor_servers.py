"""The server steps of `chip doctor` with several servers, and over TLS as a station."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioning_server.stations.server_tls import server_context
from tests.diagnosis.bench import Bench, examined
from tests.support.cut_links import links_to
from tests.support.stations import ExampleStationCa, example_ca

pytestmark = pytest.mark.slow


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    bench = Bench(tmp_path, monkeypatch)
    with bench.left_behind:
        yield bench


def problems(found: dict[str, Any]) -> list[str]:
    return [finding["code"] for finding in found["findings"] if finding["weight"] == "problem"]


def test_each_server_is_examined(bench: Bench) -> None:
    (address, certinfo), closed = bench.server(), "127.0.0.1:1"
    url = bench.store(bench.new_chip())
    found = examined(
        "--device", url, "--certinfo", certinfo, "--server", closed, "--server", f"127.0.0.1:{address.port}"
    )
    assert problems(found) == ["server-unreachable"]
    assert closed in str(found["findings"])
    assert f"A Provisioning Server answers at 127.0.0.1:{address.port}." in found["good"]
    assert any("the server knows the signer" in text for text in found["good"])


def test_no_server_at_all_leaves_the_signer_out(bench: Bench) -> None:
    url = bench.store(bench.new_chip())
    found = examined("--device", url, "--server", "127.0.0.1:1", "--server", "127.0.0.1:2")
    assert problems(found) == ["server-unreachable"] * 2


def test_server_is_examined_over_tls_as_a_station(bench: Bench) -> None:
    address, certinfo = bench.server()
    station = example_ca().enrolled(bench.folder / "station").folder
    tls = server_context(example_ca().server_file(bench.folder / "server.pem"), example_ca().der)
    url = bench.store(bench.new_chip())
    with links_to(address, tls=tls) as (link,):
        server = f"127.0.0.1:{link.place[1]}"
        words = ("--device", url, "--certinfo", certinfo, "--server", server)
        found = examined(*words, "--station", str(station))
        assert problems(found) == []
        assert f"A Provisioning Server answers at {server}, for the station line-1." in found["good"]
        other = ExampleStationCa().enrolled(bench.folder / "other").folder
        assert problems(examined(*words, "--station", str(other))) == ["tls-failed"]
