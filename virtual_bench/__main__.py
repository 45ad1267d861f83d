"""`python -m virtual_bench [COMMAND...]`: run the bench's tests, or a command, in virtual machines."""

from __future__ import annotations

import compileall
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Final

from tests.benchmarks.report import Figure, read_figures, report
from virtual_bench.kernel import Kernel, prepare_kernel
from virtual_bench.machine import FIGURES_FILE, Guest, GuestOutcome
from virtual_bench.programs import BenchUnavailable

WORK_FOLDER: Final = Path(__file__).parents[1] / ".bench"
TIME_LIMIT: Final = 1200.0
"""A guest that takes longer hangs; one that is done in a third of it on two idle processors may share them."""
TIME_WANTED: Final = 600
EXIT_UNAVAILABLE: Final = 69
_TESTS: Final = "virtual_bench/guest"
_NAMED: Final = {
    "provisioning": (f"{_TESTS}/test_provisioning.py", f"{_TESTS}/test_hotplug.py"),
    "contract": (f"{_TESTS}/test_contract.py", f"{_TESTS}/test_boards.py"),
}
_OTHERS: Final = tuple(f"--ignore={path}" for paths in _NAMED.values() for path in paths)
_SHARES: Final = {**_NAMED, "buses": (_TESTS, *_OTHERS)}
"""Tests of one guest each; the guests run side by side, since one keeps less than one processor busy."""
_PROCESSORS: Final = os.cpu_count() or 1
_PROCESSORS_EACH: Final = max(1, _PROCESSORS // len(_SHARES))
"""More than there are would wait for each other: QEMU stops all of a guest for many a change of its page tables."""
_PYTEST: Final = (
    *(sys.executable, "-m", "pytest"),
    # The suite's own conftest and hypothesis take 20 s to import in there, and nothing uses them.
    *("--confcutdir=virtual_bench", "-p", "no:hypothesispytest", "-p", "no:cacheprovider"),
    # A hang is an error that shows where.
    *("-o", "faulthandler_timeout=300", "-o", "faulthandler_exit_on_timeout=true"),
    *("-v", "--color=no", "--tb=short", "--durations=15", "--durations-min=1"),
)


def main(command: list[str]) -> int:
    """Return the exit code of the tests or the command, 124 after the time limit, 125 if a guest died, 69 without QEMU.

    The files that a guest leaves are in `.bench/<its name>`.
    """
    begin = time.monotonic()
    try:
        kernel = prepare_kernel(WORK_FOLDER)
        compile_sources()
        print(f"bench: kernel ready in {time.monotonic() - begin:.1f} s", flush=True)
        if command:
            return _run_command(kernel, command)
        exit_code = _run_tests(kernel)
        _report_figures(time.monotonic() - begin)
        return exit_code
    except BenchUnavailable as reason:
        print(f"The virtual bench cannot run here: {reason}.", file=sys.stderr)
        return EXIT_UNAVAILABLE
    finally:
        print(f"bench: {time.monotonic() - begin:.1f} s in all", flush=True)


def compile_sources() -> None:
    """Compile here what each process in a guest would compile again, some 15 times slower."""
    folders = (entry for entry in WORK_FOLDER.parent.iterdir() if (entry / "__init__.py").exists())
    for folder in folders:
        compileall.compile_dir(folder, quiet=2, workers=0)


def _run_command(kernel: Kernel, command: list[str]) -> int:
    outcome = Guest(kernel, WORK_FOLDER / "command", processors=_PROCESSORS).run(command, seconds=TIME_LIMIT, show=True)
    _tell("command", outcome)
    return outcome.exit_code


def _run_tests(kernel: Kernel) -> int:
    exit_codes = []
    with ThreadPoolExecutor(len(_SHARES)) as threads:
        running = {threads.submit(_run_share, kernel, name): name for name in _SHARES}
        for done in as_completed(running):
            name = running[done]
            print((WORK_FOLDER / name / "console.log").read_text(errors="replace"))
            _tell(name, done.result())
            exit_codes.append(done.result().exit_code)
    return max(exit_codes)


def _report_figures(seconds: float) -> None:
    """Put what the guests have measured beside the figures of the benchmarks."""
    measured = [figure for name in _SHARES for figure in read_figures(WORK_FOLDER / name / FIGURES_FILE)]
    note = f"all tests in {len(_SHARES)} guests on {_PROCESSORS} processors; wanted: under {TIME_WANTED}"
    report(*measured, Figure("bench.seconds", round(seconds, 1), "s", note))


def _run_share(kernel: Kernel, name: str) -> GuestOutcome:
    out = WORK_FOLDER / name
    command = (*_PYTEST, f"--junitxml={out}/tests.xml", *_SHARES[name])
    return Guest(kernel, out, processors=_PROCESSORS_EACH).run(command, seconds=TIME_LIMIT)


def _tell(name: str, outcome: GuestOutcome) -> None:
    print(
        f"bench: {name}: guest up in {outcome.boot_seconds:.1f} s, whole run {outcome.whole_seconds:.1f} s,"
        f" exit code {outcome.exit_code}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
