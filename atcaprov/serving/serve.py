"""Everything that `atcaprov emulator serve` does between its options and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from atcaprov.emulator.timing import Clock, VirtualClock, parse_speed
from atcaprov.errors import UsageError
from atcaprov.kit_protocol.firmware import PARSER3, Profile
from atcaprov.serving.bridge import BridgeSession
from atcaprov.serving.bus import Buses
from atcaprov.serving.chips import ServedClock
from atcaprov.serving.i2c import I2cSession
from atcaprov.serving.kit import KitSession
from atcaprov.serving.listeners import MakeSession, Server
from atcaprov.serving.pseudo_terminal import PseudoTerminal
from atcaprov.serving.wolfssl import WolfsslSession

LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True)
class Ways:
    """Ways in: a TCP port for each framing (0: the system chooses; None: not wanted), a link to a pseudo-terminal."""

    bridge: int | None = None
    i2c: int | None = None
    kit: int | None = None
    wolfssl: int | None = None
    pty: Path | None = None
    bind: str = LOOPBACK
    firmware: Profile = PARSER3

    def ports(self) -> dict[str, int]:
        """Return the ports that are wanted, by the name of the framing."""
        wanted = {"bridge": self.bridge, "i2c": self.i2c, "kit": self.kit, "wolfssl": self.wolfssl}
        return {name: port for name, port in wanted.items() if port is not None}


def parse_clock(text: str) -> Callable[[], Clock]:
    """Return what makes a chip's clock: `virtual`, `real`, or a number, how often faster than real time.

    Raises:
        UsageError: the text is none of these.
    """
    speed = parse_speed(text)
    return VirtualClock if speed is None else partial(ServedClock, speed)


async def serve(
    buses: Buses, ways: Ways, *, say: Callable[[str], None], report: Callable[[str], None], stop: asyncio.Event
) -> None:
    """Serve the chips until `stop` is set; `say` gets one line for each way in when it is open.

    Raises:
        TransportError: a port can't be opened (PORT_IN_USE).
        UsageError: the link to the pseudo-terminal can't be made, or no way in is wanted.
    """
    if not ways.ports() and ways.pty is None:
        raise UsageError("No port is given.", advice="Give at least one of --bridge, --i2c, --kit, --pty, --wolfssl.")
    server = Server(report)
    try:
        for name, port in ways.ports().items():
            found = await server.listen(name, ways.bind, port, _sessions(buses, ways)[name])
            say(f"{name}: listening on {ways.bind}:{found}")
        if ways.pty is None:
            await stop.wait()
        else:
            await _serve_terminal(server, partial(KitSession, buses, ways.firmware), ways.pty, say, stop)
    finally:
        await server.close()


def _sessions(buses: Buses, ways: Ways) -> dict[str, MakeSession]:
    return {
        "bridge": partial(BridgeSession, buses),
        "i2c": partial(I2cSession, buses),
        "kit": partial(KitSession, buses, ways.firmware),
        "wolfssl": partial(WolfsslSession, buses),
    }


async def _serve_terminal(
    server: Server, make_session: MakeSession, link: Path, say: Callable[[str], None], stop: asyncio.Event
) -> None:
    terminal = PseudoTerminal.open(link)
    try:
        say(f"pty: {link}")
        async with asyncio.TaskGroup() as group:
            carrying = group.create_task(server.serve_line("pty", make_session, terminal.reader, terminal))
            await stop.wait()
            carrying.cancel()
    finally:
        terminal.close()
