"""`provisioning-client enrol`: admit this computer as a station, or renew its certificate."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from atcaprov.errors import Code, UsageError
from atcaprov.program.console_text import say
from atcaprov.program.password_prompt import ask_password
from atcaprov.provisioning.station_identity import default_station_folder
from atcaprov.provisioning.tcp_client import DEFAULT_PORT
from atcaprov.wire.enrolment_token import TOKEN_TEXT_MAX, EnrolmentToken
from atcaprov.wire.server_place import ServerPlace
from provisioning_client.enrolment import enrol, renew

_ADVICE: Final = "Give the token with --token-file or --token-fd."


@click.command("enrol")
@click.option("--token-file", metavar="FILE", type=click.Path(path_type=Path), help="File with the enrolment token.")
@click.option(
    "--token-fd", metavar="NUM", type=click.IntRange(0), help="Open file descriptor from which to read the token."
)
@click.option("--renew", "renewed", is_flag=True, help="Replace the certificate that this computer has by a new one.")
@click.option(
    "--server",
    "servers",
    metavar="HOST:PORT",
    multiple=True,
    help="Provisioning Server, instead of those of the token; repeat it for several, the preferred one first.",
)
@click.option(
    "--station",
    metavar="DIR",
    default=default_station_folder,
    show_default="of the user; on Linux ~/.local/share/atcaprov/station",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the key and certificate of this computer as a station.",
)
def enrol_command(
    token_file: Path | None, token_fd: int | None, renewed: bool, servers: tuple[str, ...], station: Path
) -> None:
    """Enrol this computer as a station of a Provisioning Server.

    The supervisor makes the token at the server: provisioning-server station add NAME. Without --token-file or
    --token-fd it is typed or pasted on the terminal. The private key is made here and never leaves this computer.
    """
    places = [ServerPlace.parse(server, DEFAULT_PORT) for server in servers]
    sources = [source for source in (token_file, token_fd) if source is not None]
    if len(sources) > 1 or (renewed and sources):
        raise UsageError("Give one of --token-file, --token-fd and --renew.", advice="Leave out the others.")
    source = sources[0] if sources else None
    identity = renew(station, places) if renewed else enrol(_token(source), station, places)
    verb = "renewed" if renewed else "enrolled"
    say(f"Station {identity.name} is {verb} in {station}, until {identity.not_after:%Y-%m-%d}.")


def _token(source: Path | int | None) -> EnrolmentToken:
    if source is None:
        return EnrolmentToken.parse(ask_password("Enrolment token", advice=_ADVICE).decode(errors="replace"))
    name = f"file descriptor {source}" if isinstance(source, int) else str(source)
    try:
        with open(source, "rb") as file:  # noqa: PTH123 - a descriptor has no Path
            data = file.read(TOKEN_TEXT_MAX + 1)
    except OSError as error:
        raise UsageError(
            f"The token cannot be read from {name}: {error.strerror}.",
            advice="Check --token-file or --token-fd.",
            code=Code.FILE_UNREADABLE,
        ) from error
    return EnrolmentToken.parse(data.decode(errors="replace"))
