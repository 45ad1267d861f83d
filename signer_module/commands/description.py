"""`signer-module description`: print a default description, or check one of your own."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from atcaprov.certs.dates import NO_EXPIRY, DateFormat, expire_date, format_version_for, issue_hour
from atcaprov.certs.descriptions.description import CertificateDescription, default_text
from atcaprov.certs.limited_readers import end_text, not_accepted_by
from atcaprov.program.console_text import say
from signer_module.commands import options
from signer_module.commands.options import FILE


@click.command("description")
@click.argument("role", type=click.Choice(["root", "signer", "device"]))
@click.option(
    "--check", "path", type=FILE, help="Check this description instead, and name readers that refuse its dates."
)
def description_command(role: str, path: Path | None) -> None:
    """Print a default description. Start your own from it."""
    if path is None:
        say(default_text("root" if role == "root" else "signer" if role == "signer" else "device"), end="")
        return
    found = options.description(role, path)
    now = options.now()
    say(f"{path} is valid. Certificates issued now have {_end(found, now)}.")
    version = format_version_for(now.year, found.expire_years) if role != "root" else 0
    names = not_accepted_by([_last(found, now)], [version])
    if names:
        say(f"Note: not accepted by: {', '.join(names)}.", err=True)


def _last(found: CertificateDescription, now: datetime) -> datetime:
    if not found.expire_years:
        return NO_EXPIRY[DateFormat.RFC5280_GEN]
    return expire_date(issue_hour(now, found.expire_years), found.expire_years, DateFormat.RFC5280_GEN)


def _end(found: CertificateDescription, now: datetime) -> str:
    return f"the end {end_text(_last(found, now))}" if found.expire_years else end_text(_last(found, now))
