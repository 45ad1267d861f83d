"""What `atcaprov emulator serve` does between its options and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from atcaprov.emulator.timing import Clock, VirtualClock, parse_speed
from atcaprov.errors import UsageError
from atcaprov.kit_protocol.firmware import PARSER3, KitFirmware
from atcaprov.serving.bridge import BridgeSession
from atcaprov.serving.bus import Buses
from atcaprov.serving.chips import ServedClock
from atcaprov.serving.i2c import I2cSession
from atcaprov.serving.kit import KitSession
from atcaprov.serving.listeners import ChipServer, MakeSession
from atcaprov.serving.pseudo_terminal import PseudoTerminal
from atcaprov.serving.wolfssl import WolfsslSession

LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True)
class ServeOptions:
    """What is served: a TCP port for each framing (0: any free port; None: none), and a link to a pseudo-terminal."""

    bridge: int | None = None
    i2c: int | None = None
    kit: int | None = None
    wolfssl: int | None = None
    pty: Path | None = None
    bind: str = LOOPBACK
    firmware: KitFirmware = PARSER3

    def ports(self) -> dict[str, int]:
        """Return the ports to open, by the name of the framing."""
        wanted = {"bridge": self.bridge, "i2c": self.i2c, "kit": self.kit, "wolfssl": self.wolfssl}
        return {name: port for name, port in wanted.items() if port is not None}


def parse_clock(text: str) -> Callable[[], Clock]:
    """Return a function that makes a chip's clock: `virtual`, `real`, or a number, how often faster than real time.

    Raises:
        UsageError: the text is neither.
    """
    speed = parse_speed(text)
    return VirtualClock if speed is None else partial(ServedClock, speed)


async def serve(
    buses: Buses,
    options: ServeOptions,
    *,
    say: Callable[[str], None],
    report: Callable[[str], None],
    stop: asyncio.Event,
) -> None:
    """Serve the chips until `stop` is set; `say` gets one line for each port that is open.

    Raises:
        TransportError: a port cannot be opened (PORT_IN_USE).
        UsageError: the link to the pseudo-terminal cannot be made, or no port is given.
    """
    if not options.ports() and options.pty is None:
        raise UsageError("No port is given.", advice="Give at least one of --bridge, --i2c, --kit, --pty, --wolfssl.")
    server = ChipServer(report)
    try:
        for name, port in options.ports().items():
            found = await server.listen(name, options.bind, port, _sessions(buses, options)[name])
            say(f"{name}: listening on {options.bind}:{found}")
        if options.pty is None:
            await stop.wait()
        else:
            await _serve_terminal(server, partial(KitSession, buses, options.firmware), options.pty, say, stop)
    finally:
        await server.close()


def _sessions(buses: Buses, options: ServeOptions) -> dict[str, MakeSession]:
    return {
        "bridge": partial(BridgeSession, buses),
        "i2c": partial(I2cSession, buses),
        "kit": partial(KitSession, buses, options.firmware),
        "wolfssl": partial(WolfsslSession, buses),
    }


async def _serve_terminal(
    server: ChipServer, make_session: MakeSession, link: Path, say: Callable[[str], None], stop: asyncio.Event
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
