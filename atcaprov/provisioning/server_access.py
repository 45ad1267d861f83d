"""Which servers are asked, and whether over TLS as a station: one rule for all programs.

Plain connections are for this computer's own servers, unless the network is declared to be safe. Everything else is TLS
with the station's certificate, and so are the servers of its enrolment, wherever they are. Nothing falls back to plain.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

from atcaprov.errors import UsageError
from atcaprov.provisioning.station_identity import StationIdentity, default_station_folder, is_enrolled
from atcaprov.provisioning.tcp_client import DEFAULT_HOST, DEFAULT_PORT
from atcaprov.web.address import is_loopback
from atcaprov.wire.server_place import ServerPlace

OWN_SERVER: Final = str(ServerPlace(DEFAULT_HOST, DEFAULT_PORT))


class ServerAccess(NamedTuple):
    """The servers, as `HOST:PORT`, and the folder of the station; None for plain connections."""

    servers: tuple[str, ...]
    station: Path | None = None

    @classmethod
    def by(cls, servers: Sequence[str], station: Path | None = None, *, plain_network: bool = False) -> Self:
        """Return how servers are reached; without any, those of the station's enrolment, or this computer's own one.

        `station` is the folder that was named; else that of the user counts, if a server is not on this computer.

        Raises:
            UsageError: a server is malformed; the station is not enrolled, or its folder is damaged, or others may read
                it.
        """
        if station is not None and plain_network:
            raise UsageError("--station and --plain-network exclude each other.", advice="Leave out --plain-network.")
        places = [ServerPlace.parse(server, DEFAULT_PORT) for server in servers]
        folder = station or default_station_folder()
        if not places and (station is not None or (not plain_network and is_enrolled(folder))):
            enrolled_at = StationIdentity.load(folder).servers
            if enrolled_at:
                return cls(tuple(map(str, enrolled_at)), folder)
        places = places or [ServerPlace(DEFAULT_HOST, DEFAULT_PORT)]
        names = tuple(map(str, places))
        if station is None and (plain_network or all(is_loopback(place.host) for place in places)):
            return cls(names)
        return cls(names, _enrolled(folder, named=station is not None))


def _enrolled(folder: Path, *, named: bool) -> Path:
    """Return the folder of a station that is enrolled; raises UsageError."""
    try:
        StationIdentity.load(folder)
    except UsageError as error:
        if not named:
            error.what += " A server on another computer is asked over TLS only."
        raise
    return folder
