"""The options that choose certificates of the ledger. The same in all commands that list them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import click

from atcaprov.program.serial_number import SerialNumber
from provisioning_server.commands.parameter_types import CertificateSerial, Moment
from provisioning_server.ledger.search import CertificateFilter

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
_OPTIONS: Final[tuple[_Decorator, ...]] = (
    click.option("--chip", metavar="SN", type=SerialNumber(), help="Only of the chip with this serial number."),
    click.option("--signer", metavar="SN", type=SerialNumber(), help="Only of the signer with this serial number."),
    click.option("--station", metavar="NAME/IP", help="Only what this station or address asked for."),
    click.option("--since", metavar="TIME", type=Moment(), help="Issued at this time (UTC) or later."),
    click.option("--until", metavar="TIME", type=Moment(), help="Issued before this time."),
    click.option(
        "--serial", metavar="HEX", type=CertificateSerial(), help="Only the certificate with this serial number."
    ),
    click.option(
        "--proven/--unproven", default=None, help="Only those whose chip has proven its key, or only the others."
    ),
    click.option("--revoked/--not-revoked", default=None, help="Only those that were revoked, or only the others."),
)


def filter_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options; its function gets them as `wanted`, a CertificateFilter."""

    @functools.wraps(function)
    def with_filter(
        *arguments: Any,
        chip: bytes | None,
        signer: bytes | None,
        station: str | None,
        since: datetime | None,
        until: datetime | None,
        serial: bytes | None,
        proven: bool | None,
        revoked: bool | None,
        **options: Any,
    ) -> Any:
        if since is not None and until is not None and until <= since:
            raise click.UsageError("--until must be later than --since.")
        wanted = CertificateFilter(
            chip_serial=chip,
            signer_serial=signer,
            certificate_serial=serial,
            station=station,
            since=since,
            until=until,
            proven=proven,
            revoked=revoked,
        )
        return function(*arguments, wanted=wanted, **options)

    decorated: Callable[..., Any] = with_filter
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
