"""`provisioning-server order`, with and without a server that runs, and what a station is told of an order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from atcaprov import Code, UsageError
from provisioning_client.cli import command as provisioning_client
from provisioning_server.cli import command as provisioning_server
from provisioning_server.ledger.actions import ActionPlace
from provisioning_server.orders.order_actions import COUNT_MAX, close_order, open_order
from signer_module.on_files.signer_folder import SignerFolder
from tests.support.in_memory_signer import NOW
from tests.support.programs import Ended, run_in_process
from tests.support.server import running_server
from tests.support.signer_folders import make_signer_folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def _order(data: Path, *words: str) -> Ended:
    command, *rest = words
    return run_in_process(provisioning_server, "order", command, "--data", str(data), *rest)


def _text(done: Ended) -> str:
    return " ".join((done.out + done.err).split())


def test_order_is_opened_listed_shown_and_closed_where_no_server_runs(data: Path) -> None:
    words = ("--product", "gateway", "--count", "500", "--from", "2026-11-21", "--until", "2099-01-01T06:00+01:00")
    opened = _order(data, "open", "2026-118", *words, "--label-pattern", "GW-[0-9]{6}", "--station", "line-1")
    assert (opened.code, opened.out) == (0, "Work order 2026-118 is open.\n")
    assert _order(data, "list").out == "2026-118\topen\t0/500\tgateway\n"
    shown = json.loads(_order(data, "show", "2026-118", "--json").out)
    assert (shown["until"], shown["left"], shown["stations"]) == ("2099-01-01T05:00:00Z", 500, ["line-1"])
    assert json.loads(_order(data, "list", "--json").out) == shown
    assert "label pattern:" in _order(data, "show", "2026-118").out
    closed = _order(data, "close", "2026-118", "--reason", "recalled")
    assert (closed.code, closed.out) == (0, "Work order 2026-118 is closed.\n")
    assert _order(data, "close", "2026-118").out == "Work order 2026-118 was closed before.\n"
    assert _order(data, "list").out == ""
    assert _order(data, "list", "--all").out.startswith("2026-118\tclosed")


def test_unknown_order_is_looked_up_as_the_advice_says(data: Path) -> None:
    _order(data, "open", "2026-118")
    _order(data, "close", "2026-118")
    for command in ("show", "close"):
        refused = _order(data, command, "2026-119")
        assert refused.code == 2
        assert f"[{Code.ORDER_UNKNOWN}]" in refused.err
        assert "provisioning-server order list --all" in _text(refused)
    assert "2026-118" in _order(data, "list", "--all").out


def test_name_of_an_order_is_never_used_again(data: Path) -> None:
    assert _order(data, "open", "2026-118").code == 0
    _order(data, "close", "2026-118")
    refused = _order(data, "open", "2026-118")
    assert refused.code == 2
    assert "Choose another name" in _text(refused)


@pytest.mark.parametrize(
    ("words", "corrected"),
    [
        (("--from", "2099-01-02", "--until", "2099-01-01"), ("--from", "2099-01-01", "--until", "2099-01-02")),
        (("--until", "2020-01-01"), ("--until", "2099-01-01")),
        (("--label-pattern", "(a+)+"), ("--label-pattern", "a+")),
        (("--count", "0"), ("--count", "1")),
        (("--product", "x" * 33), ("--product", "x")),
        (("--station", "bell\a"), ("--station", "bell")),
    ],
)
def test_order_that_makes_no_sense_is_refused_until_it_is_corrected(
    data: Path, words: tuple[str, ...], corrected: tuple[str, ...]
) -> None:
    refused = _order(data, "open", "2026-118", *words)
    assert refused.code == 2, refused
    assert _order(data, "open", "2026-118", *corrected).code == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"order": 7},
        {"order": ""},
        {"order": "a" * 65},
        {"order": "a\nb"},
        {"count": True},
        {"count": -1},
        {"count": COUNT_MAX + 1},
        {"count": "5"},
        {"begins": 7},
        {"begins": "yesterday"},
        {"ends": "9999-12-31T23:59:59-23:59"},
        {"stations": "line-1"},
        {"stations": [7]},
        {"stations": ["a"] * 257},
        {"label_pattern": ["a"]},
        {"product": None},
    ],
)
def test_arguments_of_another_process_are_refused_unless_they_are_an_order(changed: dict[str, object]) -> None:
    place = ActionPlace(Path("data"), NOW, "anna")
    with pytest.raises(UsageError):
        open_order({"order": "2026-118", **changed}, place)
    with pytest.raises(UsageError):
        close_order({"order": "2026-118", "reason": 7}, place)


@pytest.fixture
def signer(tmp_path: Path) -> SignerFolder:
    return make_signer_folder(tmp_path)


@pytest.fixture
def station(signer: SignerFolder, data: Path, tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """What a station of a server with compulsory orders types."""
    with running_server(signer.path, data, require_order=True) as address:
        certinfo = signer.path / "atcaprov_cert_info_0.c"
        yield ("--auto", "--certinfo", str(certinfo), "--host", address.host, "--port", str(address.port))


@pytest.mark.slow
def test_station_is_told_what_to_type_until_its_board_is_made(data: Path, station: tuple[str, ...]) -> None:
    def make(*words: str) -> str:
        done = run_in_process(provisioning_client, *station, "--device", "emulator:", *words)
        assert done.code in (0, 8), done
        return "" if done.code == 0 else _text(done)

    assert "order-required" in make()
    assert "'provisioning-server order list'" in make("--order", "2026-118")
    assert _order(data, "list").out == ""
    assert _order(data, "open", "2026-118", "--product", "gateway").code == 0
    assert "order-of-another-product" in make("--order", "2026-118")
    assert make("--order", "2026-118", "--product", "gateway") == ""
    assert _order(data, "open", "2026-119", "--count", "1", "--label-pattern", "GW-[0-9]{4}").code == 0
    assert "2026-119\topen\t0/1" in _order(data, "list").out
    assert "Read the label again, and give it with --label" in make("--order", "2026-119")
    assert make("--order", "2026-119", "--label", "GW-0001") == ""
    assert "2026-119\tdone\t1/1" in _order(data, "list", "--all").out
    assert "Name another one with --order" in make("--order", "2026-119", "--label", "GW-0002")
    assert _order(data, "open", "2026-120").code == 0
    assert make("--order", "2026-120") == ""
    assert _order(data, "close", "2026-120").code == 0
    closed = make("--order", "2026-120")
    assert "Work order '2026-120' is closed. Name another one with --order." in closed
    assert "The board was not changed." in closed
