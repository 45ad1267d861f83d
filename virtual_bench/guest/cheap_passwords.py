"""`python -m virtual_bench.guest.cheap_passwords PACKAGE [ARGUMENT...]`: a program whose modules' passwords are cheap.

Checking a safe password takes many seconds in the guest. The programs have no option that makes it cheaper.
"""

from __future__ import annotations

import runpy
import sys
from typing import Final

from signer_module.on_chip import password_keys

CHEAP: Final = 10
"""log2 of scrypt's N."""


def main(package: str, *arguments: str) -> None:
    """Run the program of a package with arguments."""
    password_keys.CostRule.least = CHEAP
    vars(password_keys)["LEAST_COST"] = CHEAP  # before the program has read it
    sys.argv = [package, *arguments]
    runpy.run_module(package, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
