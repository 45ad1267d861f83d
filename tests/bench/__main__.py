"""`python -m tests.bench [COMMAND...]`: run a command, by default the bench's tests, in the virtual machine."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final

from tests.bench.kernel import prepare_kernel
from tests.bench.machine import Guest
from tests.bench.programs import BenchUnavailable

WORK_FOLDER: Final = Path(__file__).parents[2] / ".bench"
TIME_LIMIT: Final = 540.0
EXIT_UNAVAILABLE: Final = 69
_PYTEST_OPTIONS: Final = (
    # The suite's own conftest and hypothesis take 20 s to import in there, and nothing uses them.
    *("--confcutdir=tests/bench", "-p", "no:hypothesispytest", "-p", "no:cacheprovider"),
    *("-v", "--color=no", "--tb=short", "--durations=25", "--durations-min=1"),
)


def main(command: list[str]) -> int:
    """Return the command's exit code, 124 after the time limit, 125 if the guest died, 69 without a bench."""
    out = WORK_FOLDER / "out"
    tests = ("-m", "pytest", "tests/bench/guest", *_PYTEST_OPTIONS, f"--junitxml={out}/tests.xml")
    begin = time.monotonic()
    try:
        guest = Guest(prepare_kernel(WORK_FOLDER), out)
        prepared = time.monotonic() - begin
        outcome = guest.run(command or (sys.executable, *tests), seconds=TIME_LIMIT)
    except BenchUnavailable as reason:
        print(f"The virtual bench can't be had here: {reason}.", file=sys.stderr)
        return EXIT_UNAVAILABLE
    print(
        f"bench: kernel ready after {prepared:.1f} s, guest up in {outcome.boot_seconds:.1f} s,"
        f" whole run {outcome.whole_seconds:.1f} s, exit code {outcome.exit_code}"
    )
    return outcome.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
