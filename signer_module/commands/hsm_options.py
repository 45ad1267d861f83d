"""Options of commands for keys in an HSM."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from signer_module.commands.option_groups import option_group
from signer_module.on_files.pkcs11_file import KeyPlace

PIN_PROMPT: Final = "PIN of the token"

hsm_options = option_group(
    "hsm",
    lambda **values: KeyPlace.named(*values.values()),
    {
        "pkcs11_library": click.option(
            "--pkcs11-library",
            type=click.Path(path_type=Path, dir_okay=False),
            help="PKCS#11 library of the HSM that holds the key. Its PIN is the password.",
        ),
        "pkcs11_token": click.option("--pkcs11-token", metavar="LABEL", help="Label of the token in the HSM."),
        "pkcs11_key": click.option("--pkcs11-key", metavar="LABEL", help="Label of the key in the token."),
    },
)
"""Adds where an HSM has a key; the command gets a `KeyPlace` or None as `hsm`."""
