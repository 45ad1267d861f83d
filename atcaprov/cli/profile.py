"""`atcaprov profile`: product profiles to start from, and checks of your own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import click

from atcaprov.product_profile.preset import DEFAULT_PRESET, PRESETS, preset
from atcaprov.program.console_text import say
from atcaprov.terminal.printable import printable

_FILE: Final = click.Path(path_type=Path)


@click.group("profile")
def group() -> None:
    """Product profiles: what one product needs, in one TOML file.

    Its chip's configuration, its certificate, who may sign it. Server, signer-module and client take the same file.
    """


@group.command()
@click.argument("name", metavar="[PRESET]", default=DEFAULT_PRESET)
def template(name: str) -> None:
    """Print a profile to start from. 'atcaprov profile list' names the presets."""
    say(preset(name).text, end="")


@group.command("list")
def list_presets() -> None:
    """List the presets."""
    for each in PRESETS.values():
        say(f"{each.name:<12}  {each.summary}{'' if each.judged else '; not judged by programs of others'}")
        if each.unfit:
            say(f"{'':<12}  no profile: {each.unfit}")


@group.command()
@click.argument("paths", metavar="FILE...", type=_FILE, nargs=-1, required=True)
def check(paths: tuple[Path, ...]) -> None:
    """Check profiles: FILE, or all *.toml of a folder.

    A certificate of each profile is issued in memory, compressed, rebuilt, and linted if pkilint is installed. Nothing
    is written.
    """
    from atcaprov.product_profile.certificate_lint import has_pkilint
    from atcaprov.product_profile.profile_file import read_profiles
    from atcaprov.product_profile.profile_lint import lint_profile, not_linted

    for profile in read_profiles(paths):
        for finding in lint_profile(profile):
            say(f"{printable(str(profile.path))}: {finding}", err=True)
        slots = profile.certificate.slots
        assert slots is not None
        certificates = ", ".join(map(str, sorted(profile.chip.certificate_slots)))
        say(
            f"{printable(str(profile.path))}: product {profile.name} is valid. Key in slot {slots.private_key},"
            f" certificates in slots {certificates}; proofs are {profile.proof.policy}."
        )
    if not has_pkilint():
        say(not_linted(), err=True)


@group.command()
def schema() -> None:
    """Print the JSON Schema of profiles, for editors."""
    from atcaprov.product_profile.profile_keys import json_schema

    say(json.dumps(json_schema(), indent=2))
