"""Signals on an event loop, and the one place that handles them. Ends of whole programs: `test_entry_point.py`."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = ("atcaprov", "provisioning_client", "provisioning_server", "signer_module")
ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
ON_A_LOOP = """
import asyncio, os, signal, sys
from atcaprov.program import event_loop
from atcaprov.program.signals import stopped_by_signals
number, before, times = int(sys.argv[1]), getattr(signal, sys.argv[2]), int(sys.argv[3])
signal.signal(number, before)

async def main():
    stop = asyncio.Event()
    with stopped_by_signals(stop.set):
        os.kill(os.getpid(), number)
        if before is signal.SIG_IGN:
            await asyncio.sleep(0)
            return print("ignored" if not stop.is_set() else "stopped")
        await stop.wait()
        if times == 2:
            os.kill(os.getpid(), number)
        print("stopped", flush=True)

event_loop.run(main())
"""


def run(number: signal.Signals, before: str, times: int = 1) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", ON_A_LOOP, str(int(number)), before, str(times)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("number", ENDING)
def test_first_signal_stops_a_loop_in_order(number: signal.Signals) -> None:
    done = run(number, "SIG_DFL")
    assert (done.returncode, done.stdout, done.stderr) == (0, "stopped\n", "")


@pytest.mark.parametrize("number", ENDING)
def test_second_signal_ends_the_process_at_once(number: signal.Signals) -> None:
    done = run(number, "SIG_DFL", 2)
    assert (done.returncode, done.stdout) == (-number, "")


@pytest.mark.parametrize("number", ENDING)
def test_ignored_signal_stays_ignored_on_a_loop(number: signal.Signals) -> None:
    done = run(number, "SIG_IGN")
    assert (done.returncode, done.stdout, done.stderr) == (0, "ignored\n", "")


def test_no_other_module_handles_signals() -> None:
    root = Path(__file__).parents[2]
    sources = [path for package in PACKAGES for path in (root / package).rglob("*.py")]
    handling = re.compile(r"signal\.signal\(|add_signal_handler|sigaction|set_wakeup_fd")
    found = {path.relative_to(root).as_posix() for path in sources if handling.search(path.read_text("utf-8"))}
    assert found == {"atcaprov/program/signals.py"}
