"""`python -m tests.platforms [trixie|forky|wine|arm64 ...]`: install and test on other systems, in `.platforms/`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Final

from tests.conftest import NO_SKIP
from tests.platforms.chroot import FailedError, UnavailableError
from tests.platforms.linux import arm64, forky, trixie
from tests.platforms.windows import wine

PLATFORMS: Final[dict[str, Callable[[], None]]] = {"trixie": trixie, "forky": forky, "wine": wine, "arm64": arm64}
USUAL: Final = ("trixie", "forky", "wine")


def main(names: list[str]) -> int:
    """Run the named platforms one after the other; return 1 if one fails, or is unavailable although it is required."""
    if unknown := set(names) - set(PLATFORMS):
        print(f"Unknown platform {', '.join(sorted(unknown))}. Choose from {', '.join(PLATFORMS)}.")
        return 2
    outcomes = {name: _outcome(name, PLATFORMS[name]) for name in names or USUAL}
    print("\n".join(f"{name:8}{seconds:6.0f} s  {words}" for name, (_, seconds, words) in outcomes.items()))
    return int(not all(good for good, _, _ in outcomes.values()))


def _outcome(name: str, run: Callable[[], None]) -> tuple[bool, float, str]:
    begun = time.monotonic()
    good, words = True, "passed"
    try:
        run()
    except UnavailableError as error:
        good = error.elsewhere or os.environ.get(NO_SKIP) != "1"
        words = f"skipped: {error}"
    except FailedError as error:
        print(f"{name} failed:\n{error}", flush=True)
        good, words = False, "failed"
    return good, time.monotonic() - begun, words


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
