"""Two servers at once on one ledger in PostgreSQL, which is restarted, and one of which is killed, under load."""

from __future__ import annotations

import contextlib
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from atcaprov.errors import Code
from tests.soak.acknowledged import Acknowledgement
from tests.soak.checker import Contents, problems
from tests.soak.fork_server import ForkedServer, ForkServer
from tests.soak.load import Address, Load
from tests.support.postgresql import PostgresqlServer, Stop

REQUESTS: Final = 120
_LOG_KEY: Final = "log-key.pem"
_OPTION: Final = "--ledger"
_SCHEMA: Final = "atcaprov_ledger"


@dataclass
class SharedFactory:
    """Two servers with a data folder each, and one ledger at `url`; both have the same software signer and log key."""

    servers: Sequence[ForkServer]
    folder: Path
    signer: Sequence[object]
    signer_key: bytes
    random: Random
    database: PostgresqlServer
    url: str
    acknowledged: list[Acknowledgement] = field(default_factory=list)
    certificates: dict[int, str] = field(default_factory=dict)
    first: int = 1

    def use_force(self, count: int) -> None:
        """Restart the database in each way, and kill a server, in turn; raises AssertionError as they do."""
        ways = (Stop.IMMEDIATE, Stop.FAST, Stop.KILLED, None)
        for number in range(count):
            how = ways[number % len(ways)]
            if how is None:
                self.kill_one()
            else:
                self.restart_database(how)

    def restart_database(self, how: Stop) -> None:
        """Restart the database under load, then let both servers go on.

        Raises:
            AssertionError: something was lost or doubled, or a server issued after it had said that its ledger failed.
        """
        self._run(lambda _: self.database.restart(how))
        self._goes_on()

    def kill_one(self) -> None:
        """Kill one server under load; the other one issues on."""
        self._run(lambda running: running[0].send_signal(signal.SIGKILL))
        self._goes_on()

    def contents(self) -> Contents:
        """Read the ledger, which is in a schema of its own."""
        return Contents.of(f"{self.url}&options=-csearch_path%3D{_SCHEMA}")

    def _goes_on(self) -> None:
        before = self.first
        load = self._run(lambda _: None)
        assert not load.refused, load.refused
        assert self.first > before
        assert not self.contents().open_intents

    def _run(self, force: Callable[[list[ForkedServer]], None]) -> Load:
        """Load two servers, use force after some acknowledgements, and check the ledger when they have ended."""
        with contextlib.ExitStack() as stack:
            started = [self._start(stack, number) for number in range(len(self.servers))]
            running = [server for server, _ in started]
            telling = _Telling(self.acknowledged, self.random.randint(1, REQUESTS // 3), lambda: force(running))
            load = Load(
                [address for _, address in started],
                self.signer_key,
                telling,
                self.random,
                self.first,
                certificates=self.certificates,
            )
            load.run(REQUESTS)
            self.first = load.next_number
            for server in running:
                server.stop()
        assert telling.used, "the load ended before the force was used"
        assert set(load.refused) <= {Code.RECORDS_FAILED}
        assert not load.issued_after_failure
        found = problems(self.contents(), self.acknowledged)
        assert not found, found
        return load

    def _start(self, stack: contextlib.ExitStack, number: int) -> tuple[ForkedServer, Address]:
        data = self.folder / f"data-{number}"
        if number and not data.exists():
            data.mkdir()
            shutil.copy(self.folder / "data-0" / _LOG_KEY, data)  # the first server has made it by now
        running = self.servers[number].running("--data", data, _OPTION, self.url, *self.signer)
        server = stack.enter_context(running)
        address = server.address()
        assert address is not None, server.said()
        return server, address


@dataclass
class _Telling:
    """Notes what is acknowledged, and uses force after so many."""

    acknowledged: list[Acknowledgement]
    after: int
    force: Callable[[], None]
    used: bool = False

    def __call__(self, acknowledgement: Acknowledgement) -> None:
        self.acknowledged.append(acknowledgement)
        self.after -= 1
        if self.after == 0:
            self.force()
            self.used = True
