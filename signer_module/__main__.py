"""The program `signer-module`, also as `python -m signer_module`."""

from __future__ import annotations

from typing import NoReturn

from atcaprov.program.entry_point import start


def main() -> NoReturn:
    """Run the program."""
    start("signer_module.cli")


if __name__ == "__main__":
    main()
