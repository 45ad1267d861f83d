"""The program `atcaprov`, also as `python -m atcaprov`."""

from __future__ import annotations

from typing import NoReturn

from atcaprov.program.entry_point import start


def main() -> NoReturn:
    """Run the program."""
    start("atcaprov.cli")


if __name__ == "__main__":
    main()
