"""`provisioning-server reload`, with and without a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning_server.cli import command
from tests.support.in_memory_signer import MemorySigner
from tests.support.programs import run_in_process
from tests.support.server import running_server


@pytest.mark.slow
def test_running_server_tells_that_nothing_has_changed(tmp_path: Path) -> None:
    with running_server(MemorySigner(), tmp_path):
        ended = run_in_process(command, "reload", "--data", str(tmp_path))
    assert (ended.code, ended.out) == (0, "Nothing has changed.\n")


def test_without_server_nothing_is_reloaded(tmp_path: Path) -> None:
    ended = run_in_process(command, "reload", "--data", str(tmp_path))
    assert ended.code == 3
    assert "No server runs with the data folder" in " ".join(ended.err.split())
