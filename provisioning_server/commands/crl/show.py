"""The command `provisioning-server crl show`."""

from __future__ import annotations

from collections.abc import Iterator

import click
from cryptography import x509

from atcaprov.errors import UsageError
from atcaprov.program.console_text import counted, say
from atcaprov.program.serial_number import SerialNumber
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.commands.open_for_reading import ledger_for_reading
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.log_names import time_text
from provisioning_server.revocation.crl import crl_pem
from provisioning_server.revocation.published_crls import PublishedCrl


@click.command("show")
@click.argument("signer", metavar="SIGNER", type=SerialNumber())
@click.option("--pem", is_flag=True, help="Print the list itself, as PEM.")
@ledger_options
def command(signer: bytes, pem: bool, place: LedgerPlace) -> None:
    """Show the newest list of a signer, by its serial number."""
    with ledger_for_reading(place) as ledger:
        issued = ledger.administered.newest_crl(signer)
    if issued is None:
        raise UsageError(
            f"The signer {signer.hex().upper()} has signed no list.",
            advice="'provisioning-server crl list' shows the signers.",
        )
    if pem:
        say(crl_pem(issued.crl).decode(), end="")
        return
    for line in _lines(PublishedCrl.of(issued.crl)):
        say(line)


def _lines(crl: PublishedCrl) -> Iterator[str]:
    entries = list(x509.load_der_x509_crl(crl.der))
    yield f"CRL {crl.number}"
    yield f"  from {time_text(crl.this_update)} until {time_text(crl.next_update)}"
    yield f"  signed by the key {crl.key_id.hex().upper()}"
    yield f"  {counted(len(entries), 'certificate')}"
    for entry in entries:
        serial = entry.serial_number
        digits = serial.to_bytes(serial.bit_length() // 8 + 1, "big").hex().upper()
        yield f"  {digits.removeprefix('00')}  {time_text(entry.revocation_date_utc)}  {_reason(entry)}"


def _reason(entry: x509.RevokedCertificate) -> str:
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    except x509.ExtensionNotFound:
        return "unspecified"
