"""The command `provisioning-server audit proof`."""

from __future__ import annotations

from pathlib import Path

import click
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from atcaprov.bounded_reading import read_bytes
from atcaprov.certs.keys import raw_public_key
from atcaprov.errors import Code, UsageError
from atcaprov.program.console_text import counted, say
from atcaprov.program.serial_number import SerialNumber
from atcaprov.transparency.checkpoint import SignedCheckpoint
from atcaprov.transparency.signed_note import MAX_NOTE
from atcaprov.transparency.tiles import tree_root
from provisioning_server.audit.birth_record import make_birth_record
from provisioning_server.audit.log_key import LogChip
from provisioning_server.audit.log_signer import LogSigner
from provisioning_server.audit.verify_log import keys_of
from provisioning_server.commands.audit.log_key_options import log_key_options
from provisioning_server.commands.audit.signing_ledger import signing_ledger
from provisioning_server.commands.audit.written_file import write_file
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.ledger.store import Ledger


@click.command("proof")
@ledger_options
@log_key_options
@click.option("--chip", metavar="SN", type=SerialNumber(), help="Serial number of the chip.")
@click.option(
    "--certificate", metavar="FILE", type=click.Path(path_type=Path), help="Device certificate of the chip, PEM or DER."
)
@click.option(
    "--checkpoint", metavar="FILE", type=click.Path(path_type=Path),
    help="Prove by this checkpoint of the log, such as one that a witness has cosigned, and not by a new one.",
)  # fmt: skip
@click.option(
    "--witness", "witnesses", metavar="VKEY", multiple=True,
    help="Verifier key of a witness whose cosignature is on the checkpoint. Repeat it for several.",
)  # fmt: skip
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="File to write; default: standard output."
)
def command(
    place: LedgerPlace,
    chip: bytes | None,
    certificate: Path | None,
    checkpoint: Path | None,
    witnesses: tuple[str, ...],
    output: Path | None,
    log_chip: LogChip | None,
) -> None:
    """Write the birth record of a unit.

    That is all that the log says of its chip, with proofs, in one file. `audit verify FILE` checks it, without
    a ledger and without a server.
    """
    if (chip is None) == (certificate is None):
        raise UsageError("Give either --chip or --certificate.")
    with signing_ledger(place, log_chip) as (ledger, signer):
        serial = _chip_of(ledger, certificate) if chip is None else chip
        signed = signer.checkpoint() if checkpoint is None else _checked(ledger, signer, checkpoint)
        record = make_birth_record(ledger, serial, signed, signer.verifier_key, keys_of(witnesses))
    if output is None:
        click.echo(record.to_bytes().decode(), nl=False)
        return
    write_file(output, record.to_bytes())
    chip_entries = f"{counted(len(record.events), 'entry', 'entries')} of chip {serial.hex().upper()}"
    say(f"{output} has {chip_entries}, proven in the log of {signed.checkpoint.size} entries.")


def _chip_of(ledger: Ledger, path: Path | None) -> bytes:
    """Return the chip of a certificate in a file, by its key."""
    data = read_bytes(path or Path())
    try:
        loaded = (
            x509.load_pem_x509_certificate(data) if data.startswith(b"-----") else x509.load_der_x509_certificate(data)
        )
        key = _key_of(loaded)
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path} is not a device certificate, PEM or DER.", code=Code.FILE_INVALID) from error
    chip = ledger.known([], [key]).chip_of(key)
    if chip is None:
        raise UsageError(
            f"The ledger has no certificate for the key in {path}.",
            advice="Check whether it was issued by this server.",
            code=Code.RECORD_MISSING,
        )
    return chip


def _key_of(certificate: x509.Certificate) -> bytes:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TypeError("not an elliptic curve key")
    return raw_public_key(key)


def _checked(ledger: Ledger, signer: LogSigner, path: Path) -> SignedCheckpoint:
    """Return the checkpoint in a file, which must be of this log."""
    signed = SignedCheckpoint.parse(read_bytes(path, MAX_NOTE))
    signed.verify(signer.verifier_key)
    head = signed.checkpoint
    if head.size > ledger.head().size or tree_root(head.size, ledger.tile) != head.root:
        raise UsageError(
            f"The ledger does not continue the checkpoint in {path}, which has {head.size} entries.",
            advice="Find out which of both was changed, and keep both.",
            code=Code.LOG_MISMATCH,
        )
    return signed
