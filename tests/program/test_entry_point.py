"""Signals while a program is imported and after its end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = ("atcaprov", "provisioning_client", "provisioning_server", "signer_module")
START_MINE = "from atcaprov.program.entry_point import start; start('mine')"
CTRL_C = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script that finds modules in `folder` first."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", f"import signal; signal.signal(2, signal.default_int_handler)\n{script}"]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize("program", PROGRAMS)
def test_ctrl_c_during_import_ends_the_program(program: str, tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text(CTRL_C)
    done = run(f"from {program}.__main__ import main; main()", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Interrupted.\n")


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_signal_during_import_ends_the_program(name: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text(CTRL_C.replace("SIGINT", name))
    done = run(f"signal.signal(signal.{name}, signal.SIG_DFL); from atcaprov.__main__ import main; main()", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", f"Ended by {name}.\n")


def test_program_may_replace_the_handlers_later(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import signal\ndef main():\n    return signal.getsignal(15) is not signal.SIG_DFL\n"
    )
    done = run(f"signal.signal(15, signal.SIG_DFL)\n{START_MINE}", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_module_can_be_run_with_python_m(program: str) -> None:
    done = subprocess.run([sys.executable, "-m", program, "--help"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: ")


def test_only_the_standard_library_is_imported_before_ctrl_c_works() -> None:
    module = "atcaprov.program.entry_point"
    script = f"import sys; before = set(sys.modules); import {module}; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    others = {name.partition(".")[0] for name in done.stdout.split()} - {"atcaprov"}
    assert others <= sys.stdlib_module_names


def test_ignored_ctrl_c_stays_ignored(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(f"{CTRL_C}def main():\n    print('done')\n    return 0\n")
    done = run(f"signal.signal(2, signal.SIG_IGN)\n{START_MINE}", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


@pytest.mark.parametrize("end", ["return 5", "raise SystemExit(5)"])
def test_ctrl_c_after_the_end_does_not_change_the_exit_code(end: str, tmp_path: Path) -> None:
    at_exit = "import atexit, os, signal\natexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))\n"
    (tmp_path / "mine.py").write_text(f"{at_exit}def main():\n    {end}\n")
    done = run(START_MINE, tmp_path)
    assert (done.returncode, done.stderr) == (5, "")


def test_uncaught_ctrl_c_exits_with_130(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def main():\n    raise KeyboardInterrupt\n")
    done = run(START_MINE, tmp_path)
    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")


def test_exit_message_of_the_program_is_shown(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def main():\n    raise SystemExit('no way')\n")
    done = run(START_MINE, tmp_path)
    assert (done.returncode, done.stderr) == (1, "no way\n")
