"""Two servers on one ledger of PostgreSQL, under load: both issue, one is killed, or the database is."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from tests.soak.acknowledged import Acknowledgement
from tests.soak.checker import Contents, problems
from tests.soak.load import Address, Load
from tests.support.postgresql import PostgresqlServer, Stop
from tests.support.server import ServerProgram, server_program

SERVERS: Final = 2
_LOG_KEY: Final = "log-key.pem"


class Running(NamedTuple):
    """A server that can issue, and where it listens."""

    program: ServerProgram
    address: Address


@dataclass
class SharedLedger:
    """The ledger in a database, and the data folders of its servers in `folder`."""

    postgresql: PostgresqlServer
    url: str
    folder: Path
    signer: Path
    signer_key: bytes
    random: Random
    acknowledged: list[Acknowledgement] = field(default_factory=list)
    certificates: dict[int, str] = field(default_factory=dict)
    """What each chip has got, from whichever server."""
    first: int = 1

    def data(self, number: int) -> Path:
        """Return the data folder of a server."""
        return self.folder / f"data-{number}"

    @contextlib.contextmanager
    def servers(self) -> Iterator[Sequence[Running]]:
        """Start the servers; the first one makes the log key, which the others get."""
        with contextlib.ExitStack() as stack:
            started = []
            for number in range(SERVERS):
                data = self.data(number)
                data.mkdir(exist_ok=True)
                if number and not (data / _LOG_KEY).exists():
                    shutil.copy(self.data(0) / _LOG_KEY, data)
                words = ("--signer", self.signer, "--data", data, "--ledger", self.url)
                program = stack.enter_context(server_program(*words))
                started.append(Running(program, program.address()[:2]))
                program.wait_for("ready.")
            yield started

    def load(
        self, servers: Sequence[Running], requests: int, after: int = 0, act: Callable[[], object] | None = None
    ) -> Counter[str]:
        """Ask the servers; after so many acknowledgements do something once, in another thread. Return the refusals."""
        told = 0
        acting: list[threading.Thread] = []

        def tell(acknowledgement: Acknowledgement) -> None:
            nonlocal told
            self.acknowledged.append(acknowledgement)
            told += 1
            if told == after and act is not None:
                acting.append(threading.Thread(target=act))
                acting[0].start()

        addresses = [server.address for server in servers]
        load = Load(addresses, self.signer_key, tell, self.random, self.first, certificates=self.certificates)
        load.run(requests)
        for thread in acting:
            thread.join()
        self.first = load.next_number
        return load.refused

    def check(self) -> Contents:
        """Check the ledger against all that was acknowledged; raises AssertionError."""
        contents = Contents.of(f"{self.url}&options=-csearch_path%3Datcaprov_ledger")
        found = problems(contents, self.acknowledged)
        assert not found, found
        return contents

    def restart_under_load(self, requests: int, how: Stop) -> Counter[str]:
        """Restart the database while servers issue: they stop, and lose nothing."""
        with self.servers() as servers:
            # The database is started by this thread, with which it would end otherwise.
            refused = self.load(servers, requests, requests // 3, lambda: self.postgresql.stop(how))
            self.postgresql.start()
            for server in servers:
                server.program.stop()
        self.check()
        return refused
