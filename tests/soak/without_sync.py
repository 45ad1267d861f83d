"""The control of the power cuts: the server with `synchronous=OFF`, so that SQLite syncs nothing.

`python -m tests.soak.without_sync OPTIONS`. The product has no switch for that.
"""

from __future__ import annotations

from provisioning_server import cli
from provisioning_server.ledger.sql import sqlite_database


def main() -> None:
    """Run the server; its ledger is lost when the power fails."""
    settings = sqlite_database._SETTINGS
    changed = tuple(setting.replace("synchronous=FULL", "synchronous=OFF") for setting in settings)
    assert changed != settings
    vars(sqlite_database)["_SETTINGS"] = changed
    cli.main()


if __name__ == "__main__":
    main()
