"""The trace of a run, written by the client and replayed by `atcaprov emulator replay`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from atcaprov.serving.serve import ServeOptions
from tests.e2e.conftest import Factory
from tests.support.programs import run
from tests.support.served_chips import served

pytestmark = pytest.mark.slow


@contextmanager
def software_chip(way: str, folder: Path) -> Iterator[str]:
    """Yield the device URL of a blank chip."""
    if way == "emulator":
        yield "emulator:"
    elif way == "pty":
        with served(ways=ServeOptions(), pty=folder / "kit"):
            yield f"kit-cdc://{folder / 'kit'}"
    else:
        with served(ways=ServeOptions(bridge=0)) as server:
            yield f"tcp://127.0.0.1:{server.port('bridge')}"


@pytest.mark.parametrize("way", ["emulator", "pty", "tcp"])
def test_trace_of_a_run_agrees_with_a_new_chip(way: str, factory: Factory, tmp_path: Path) -> None:
    trace = tmp_path / "run.jsonl"
    with software_chip(way, tmp_path) as url:
        done = factory.client("--auto", "--device", url, "--trace", trace)
    assert done.returncode == 0, done.stderr
    assert ".." not in trace.read_text(), "the certificates of a run are public"
    replayed = run("atcaprov", "emulator", "replay", trace)
    assert (replayed.returncode, replayed.stderr) == (0, "")
    count = len(trace.read_text().splitlines()) - 2
    assert replayed.stdout == f"All {count} events agree.\n"
