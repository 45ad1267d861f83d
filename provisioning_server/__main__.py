"""The program `provisioning-server`, also as `python -m provisioning_server`."""

from __future__ import annotations

from typing import NoReturn

from atcaprov.program.entry_point import start


def main() -> NoReturn:
    """Run the program."""
    start("provisioning_server.cli")


if __name__ == "__main__":
    main()
