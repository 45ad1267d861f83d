"""Values on the command line: serial numbers of certificates, moments, durations, rates, and the URL of a ledger."""

from __future__ import annotations

import re
import shlex
import sys
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

from atcaprov.errors import UsageError
from provisioning_server.ledger.ledger_place import PostgresqlUrl
from provisioning_server.orders.rates import Rate
from provisioning_server.revocation.schedule import LONGEST_VALIDITY, SHORTEST_VALIDITY

_SERIAL: Final = re.compile("(?:[0-9A-Fa-f]{2}){1,20}")
"""RFC 5280, 4.1.2.2: at most 20 bytes."""
_DURATION: Final = re.compile("([0-9]{1,6})([smhdw])", re.ASCII)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST: Final = timedelta(weeks=5200)


class CertificateSerial(click.ParamType[bytes]):
    """The serial number of a certificate: hexadecimal digits."""

    name = "serial number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """Return its bytes."""
        if isinstance(value, bytes):
            return value
        if not _SERIAL.fullmatch(str(value)):
            self.fail(f"'{value}' is not the serial number of a certificate: 2 to 40 hexadecimal digits.", param, ctx)
        return bytes.fromhex(str(value))


class Moment(click.ParamType[datetime]):
    """A date or a time of ISO 8601; without an offset it is in UTC, as all times of the ledger are."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the moment in UTC."""
        if isinstance(value, datetime):
            return value
        try:
            found = datetime.fromisoformat(str(value))
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"'{value}' is not a time such as 2026-11-21 or 2026-11-21T10:15:40Z.", param, ctx)


class Duration(click.ParamType[timedelta]):
    """A number and a unit: `s`, `m`, `h`, `d` or `w`; at most a hundred years."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the duration."""
        if isinstance(value, timedelta):
            return value
        match = _DURATION.fullmatch(str(value))
        duration = None if match is None else timedelta(**{_UNITS[match[2]]: int(match[1])})
        if duration is None or duration > _LONGEST:
            self.fail(f"'{value}' is not a duration such as 30m, 24h or 7d.", param, ctx)
        return duration


class RateLimit(click.ParamType[Rate | None]):
    """A rate such as `60/m`, or `none`, which stands for no limit."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Rate | None:
        """Return the rate; None for no limit."""
        if value is None or isinstance(value, Rate) or value == "none":
            return None if value == "none" else value
        try:
            return Rate.parse(str(value))
        except UsageError as error:
            self.fail(str(error), param, ctx)


class CrlValidity(Duration):
    """How long a list of revoked certificates is valid."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the duration, an hour to ten years."""
        duration = super().convert(value, param, ctx)
        if not SHORTEST_VALIDITY <= duration <= LONGEST_VALIDITY:
            self.fail(f"'{value}' is not a duration from 1h to {LONGEST_VALIDITY.days}d.", param, ctx)
        return duration


def _words(text: str) -> tuple[str, ...]:
    """Return the words of a command line; a backslash is a part of a path on Windows. Raises ValueError."""
    if sys.platform == "win32":
        return tuple(word.strip('"') for word in shlex.split(text, posix=False))
    return tuple(shlex.split(text))


class CommandLine(click.ParamType[tuple[str, ...]]):
    """A program with its arguments, in one text with the quotes of a shell; no shell runs it."""

    name = "command"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Return its words."""
        if isinstance(value, tuple):
            return value
        try:
            words = _words(str(value))
        except ValueError:
            words = ()
        if not words or "\0" in str(value):
            self.fail(f"'{value}' is not a command with its arguments.", param, ctx)
        return words


class LedgerUrl(click.ParamType[PostgresqlUrl]):
    """The URL of a database of PostgreSQL, without a password."""

    name = "URL"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> PostgresqlUrl:
        """Return the URL; raises UsageError, which does not repeat it."""
        return value if isinstance(value, PostgresqlUrl) else PostgresqlUrl.parse(str(value))
