"""A factory under force: one ledger, and servers that start on it one after the other and end as a fault says.

It remembers all that was acknowledged, over all starts, and checks the ledger after each end.
"""

from __future__ import annotations

import http.client
import re
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from provisioning_server.ledger.open_ledger import FILE_NAME
from tests.soak.acknowledged import Acknowledgement
from tests.soak.checker import Contents, problems
from tests.soak.fork_server import Fault, ForkedServer, ForkServer
from tests.soak.load import PATIENCE, Load

REQUESTS: Final = 40
_WEB_PAGE: Final = re.compile(r"Web page at http://([\d.]+:\d+)")


class Ended(NamedTuple):
    """How a server ended: exit code (negative for a signal), what was refused by code, and its console.

    `health` is what it said of itself after the load: a status of HTTP, 0 if it was not asked or did not answer.
    """

    code: int
    ready: bool
    refused: Counter[str]
    issued_after_failure: int
    health: int
    said: str
    calls: int


@dataclass
class Factory:
    """A data folder in `folder`. `signer` are the options for the signer, `signer_key` its public key (X||Y)."""

    servers: ForkServer
    folder: Path
    signer: Sequence[object]
    signer_key: bytes
    random: Random
    acknowledged: list[Acknowledgement] = field(default_factory=list)
    certificates: dict[int, str] = field(default_factory=dict)
    """What each chip has got."""
    first: int = 1
    """The number of the next new chip."""

    @property
    def data(self) -> Path:
        """Return the data folder."""
        return self.folder / "data"

    def run(self, fault: Fault = None, *, kill_after: int | None = None, requests: int = REQUESTS) -> Ended:
        """Start a server, load it, and end it: by its fault, after so many acknowledgements, or in order.

        With `kill_after` it is killed in any case.
        """
        with self.servers.running("--data", self.data, *self.signer, fault=fault) as server:
            address = server.address()
            telling = _Telling(self.acknowledged, server, kill_after)
            addresses = [] if address is None else [address]
            load = Load(addresses, self.signer_key, telling, self.random, self.first, certificates=self.certificates)
            load.run(requests)
            self.first = load.next_number
            health = _health(server.said())
            code = server.stop() if kill_after is None else server.kill()
        said, calls = server.said(), server.calls
        return Ended(code, address is not None, load.refused, load.issued_after_failure, health, said, calls)

    def contents(self) -> Contents:
        """Read the ledger."""
        return Contents.of(self.data / FILE_NAME)

    def check(self) -> Contents:
        """Check the ledger against all that was acknowledged; return it.

        Raises:
            AssertionError: something is wrong.
        """
        contents = self.contents()
        found = problems(contents, self.acknowledged)
        assert not found, found
        return contents

    def goes_on(self) -> Contents:
        """Start a server without a fault: it issues, gives what it gave before, ends in order, and leaves nothing open.

        Raises:
            AssertionError: one of these does not hold.
        """
        before = self.first
        ended = self.run()
        assert (ended.code, ended.ready) == (0, True), ended.said
        assert not ended.refused, ended.refused
        assert self.first > before
        contents = self.check()
        assert not contents.open_intents
        return contents


def _health(said: str) -> int:
    """Ask a server with a web page for its health."""
    found = _WEB_PAGE.search(said)
    if found is None:
        return 0
    connection = http.client.HTTPConnection(found[1], timeout=PATIENCE)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


@dataclass
class _Telling:
    """Notes what is acknowledged, and kills the server after so many."""

    acknowledged: list[Acknowledgement]
    server: ForkedServer
    kill_after: int | None
    told: int = 0

    def __call__(self, acknowledgement: Acknowledgement) -> None:
        self.acknowledged.append(acknowledgement)
        self.told += 1
        if self.told == self.kill_after:
            self.server.send_signal(signal.SIGKILL)
