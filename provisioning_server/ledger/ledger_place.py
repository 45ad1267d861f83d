"""Where a ledger is kept: in the data folder, or in a database of PostgreSQL that several servers share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from urllib.parse import parse_qsl, urlsplit

from atcaprov.errors import UsageError

FILE_NAME: Final = "ledger.sqlite3"
DEFAULT_SCHEMA: Final = "atcaprov_ledger"
"""The schema of the tables in a database: they are never mixed with those of others."""
_SCHEMES: Final = ("postgresql", "postgres")
_SECRET_WORDS: Final = ("password", "sslpassword")


@dataclass(frozen=True, slots=True)
class PostgresqlUrl:
    """The URL of a database, as psycopg and libpq take it; it holds no password, so it may be shown."""

    text: str
    schema: str = DEFAULT_SCHEMA

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check a URL; raises UsageError if it is not one of PostgreSQL, or holds a password, which is not repeated."""
        try:
            parts = urlsplit(text)
            words = {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
            has_password = "@" in parts.netloc and ":" in parts.netloc.rpartition("@")[0]
        except ValueError:
            parts = None
        if parts is None or parts.scheme not in _SCHEMES or not text.isprintable():
            raise UsageError(
                "The value of --ledger is not the URL of a database of PostgreSQL.",
                advice="Write it as postgresql://USER@HOST/DATABASE, or postgresql:///DATABASE?host=/FOLDER for a Unix"
                " socket.",
            )
        if has_password or words.intersection(_SECRET_WORDS):
            raise UsageError(
                "The URL of --ledger holds a password, which every user of this computer can read.",
                advice="Leave it out, and put it into ~/.pgpass, or into a service file that PGSERVICE names.",
            )
        return cls(text)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class LedgerPlace:
    """The data folder of a server, and the database of its ledger, if that is not a file in the folder."""

    data: Path
    url: PostgresqlUrl | None = None

    @property
    def ledger(self) -> Path | PostgresqlUrl:
        """Return where the ledger is."""
        return self.url or self.data / FILE_NAME
