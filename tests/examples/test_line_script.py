"""examples/line_script.py against the software chip."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.examples.conftest import Line, run_example

pytestmark = pytest.mark.slow

BROKEN = '[[fault]]\nkind = "no-acknowledge"\nopcode = "Lock"\ntimes = 99\n'


def run_line(line: Line, folder: Path, *urls: str) -> subprocess.CompletedProcess[str]:
    return run_example("line_script.py", "--certinfo", line.certinfo, "--port", line.port, *urls, cwd=folder)


def test_good_boards_go_to_the_green_bin(line: Line, tmp_path: Path) -> None:
    done = run_line(line, tmp_path, "emulator:a.json", "emulator:b.json")
    rows = [row.split("\t") for row in done.stdout.splitlines()]
    assert [(url, verdict, code) for url, _, verdict, code in rows] == [
        ("emulator:a.json", "green", ""),
        ("emulator:b.json", "green", ""),
    ]
    assert len({serial for _, serial, _, _ in rows}) == 2
    assert done.returncode == 0, done.stderr


def test_a_part_of_another_kind_is_set_aside(line: Line, tmp_path: Path) -> None:
    done = run_line(line, tmp_path, "emulator:?image=tngtls", "emulator:a.json")
    assert [row.split("\t")[2:] for row in done.stdout.splitlines()] == [["aside", "wrong-part"], ["green", ""]]
    assert done.returncode == 1


def test_a_board_that_can_be_tried_again_is_tried_once_more(line: Line, tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(BROKEN)
    done = run_line(line, tmp_path, "emulator:a.json?faults=plan.toml")
    assert done.stdout.split("\t")[2] == "aside"
    assert done.stderr.count("stage 2") == 2
    assert done.returncode == 1


def test_the_line_stands_still_without_a_server(line: Line, tmp_path: Path) -> None:
    done = run_example("line_script.py", "--certinfo", line.certinfo, "--port", 1, "emulator:", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert "[server-unreachable]" in done.stderr
