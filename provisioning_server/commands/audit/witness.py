"""The command `provisioning-server audit witness`."""

from __future__ import annotations

import time
from pathlib import Path

import click

from atcaprov.program.console_text import say
from atcaprov.transparency.tile_files import CHECKPOINT_FILE
from atcaprov.transparency.verifier_keys import VerifierKey
from provisioning_server.audit.log_source import FolderLog
from provisioning_server.audit.witness import Witness
from provisioning_server.commands.audit.written_file import write_file


@click.command("witness")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--state", metavar="DIR", required=True, type=click.Path(path_type=Path),
    help="Folder of the witness: its key, and the newest checkpoint of each log. Keep it on a machine of its own.",
)  # fmt: skip
@click.option("--name", metavar="NAME", required=True, help="Name of the witness, such as witness.example.com/hall-2.")
@click.option("--trust", metavar="VKEY", help="Verifier key of a log that this witness sees for the first time.")
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(path_type=Path),
    help="File for the cosigned checkpoint; default: the checkpoint in DIR itself.",
)  # fmt: skip
def command(folder: Path, state: Path, name: str, trust: str | None, output: Path | None) -> None:
    """Cosign the checkpoint of an exported log that continues.

    It must continue what this witness saw before. A log that went back, or whose older entries were changed, is
    refused.
    """
    witness = Witness(state, name)
    log = FolderLog(folder)
    cosigned = witness.cosign(log, int(time.time()), VerifierKey.parse(trust) if trust else None)
    target = output or folder / CHECKPOINT_FILE
    write_file(target, cosigned.to_bytes())
    head = cosigned.checkpoint
    say(f"Cosigned {head.size} entries of {head.origin} in {target}.")
    say(f"Verifier key of this witness: {witness.verifier_key}")
