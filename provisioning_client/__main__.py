"""The program `provisioning-client`, also as `python -m provisioning_client`."""

from __future__ import annotations

from typing import NoReturn

from atcaprov.program.entry_point import start


def main() -> NoReturn:
    """Run the program."""
    start("provisioning_client.cli")


if __name__ == "__main__":
    main()
