"""The pages of the server without a socket: requests go straight to the application, with the session of a role."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode

from atcaprov.errors import AtcaProvError
from atcaprov.web.address import WebAddress
from atcaprov.web.logins import Logins, LoginSession
from atcaprov.web.roles import Role
from atcaprov.web.server import WebServer
from provisioning_server.ledger.open_ledger import FILE_NAME, open_for_reading
from provisioning_server.operations.readiness import Ready
from provisioning_server.passwords.unlock_service import UnlockService
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.signers.signer import Signer
from provisioning_server.web.acts import Acts
from provisioning_server.web.alarms import AlarmBoard
from provisioning_server.web.counters import page_counters
from provisioning_server.web.figures.ledger_reader import LedgerReader
from provisioning_server.web.figures.page_figures import PageFigures
from provisioning_server.web.health import HealthCheck
from provisioning_server.web.live_updates import LiveSigners
from provisioning_server.web.monitoring import Monitoring
from provisioning_server.web.routes import PageParts, Pages, add_alarms, look
from provisioning_server.web.views import SignerOverview
from tests.support.ledgers import ledger_in
from tests.support.server import PATIENCE
from tests.support.server_parts import RememberingLog

PEER = "192.0.2.77"
_Result = TypeVar("_Result")


class PageReply(NamedTuple):
    """One reply; a stream of events is cut after its head."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class MemoryPages:
    """All pages, over signers in memory."""

    def __init__(self, data: Path, signers: Iterable[Signer] = (), now: datetime | None = None) -> None:
        """`data` is a folder with a ledger, which is made if it is missing; `now` stands still if it is given."""
        self.ledger = ledger_in(data)
        self.connected: set[str] = set()
        self.done: list[tuple[str, dict[str, Any]]] = []
        self.refusal: AtcaProvError | None = None
        self.reader = LedgerReader(functools.partial(open_for_reading, data / FILE_NAME, check=False))
        registry, self.log, self.logins = SignerRegistry(list(signers)), RememberingLog(), Logins()
        unlock_service = UnlockService(registry, self.log)
        overview = SignerOverview(registry, unlock_service, lambda _: None)
        figures = PageFigures(self.reader, lambda: now or datetime.now(UTC))
        alarms = AlarmBoard()
        live = LiveSigners(overview.views, str, functools.partial(page_counters, alarms, figures))
        add_alarms(alarms, live, figures)
        self.parts = PageParts(
            overview,
            live,
            self.reader,
            figures,
            alarms,
            Acts(self._run, self.log),
            self.connected.copy,
            data,
            unlock_service,
            Monitoring(HealthCheck(registry, lambda _: None), Ready),
            self.logins,
            self.log,
            lambda: None,
            cookie_name="login",
            tls=False,
        )
        self.use_cookie("login")
        self._runner = asyncio.Runner()

    async def _run(self, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Remember what was to be done."""
        self.done.append((command, arguments))
        if self.refusal is not None:
            raise self.refusal
        return {}

    def use_cookie(self, name: str) -> None:
        """Make the pages with a cookie of a name."""
        self.parts = replace(self.parts, cookie_name=name)
        self.pages = Pages(self.parts)
        self.application = self.pages.application()

    def close(self) -> None:
        """End its event loop and its threads."""
        self.reader.close()
        self.ledger.close()
        self._runner.close()

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Run something on the event loop of the pages."""
        return self._runner.run(work)

    def log_in(self, role: Role, peer: str = PEER) -> LoginSession:
        """Return a new session."""
        session = self.logins.log_in(self.logins.new_code(role), peer)
        assert session is not None
        return session

    def ask(
        self,
        method: str,
        path: str,
        session: LoginSession | None = None,
        fields: Mapping[str, str] | None = None,
        *,
        peer: str = PEER,
        headers: Mapping[str, str] | None = None,
    ) -> PageReply:
        """Send a request; a form gets the secret of its session unless `fields` have one."""
        sent = {"host": "page", **(headers or {})}
        if session is not None:
            sent["cookie"] = f"login={session.cookie}"
            fields = {"secret": session.form_secret, **(fields or {})}
        if method == "POST":
            sent["content-type"] = "application/x-www-form-urlencoded"
        body = urlencode(fields or {}).encode() if method == "POST" else b""
        return self._runner.run(self._ask(method, path, body, sent, peer))

    async def _ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str], peer: str) -> PageReply:
        plain, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": plain,
            "raw_path": plain.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "scheme": "http",
            "server": ("page", 80),
            "client": (peer, 50000),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        incoming = [{"type": "http.request", "body": body, "more_body": False}]
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            if incoming:
                return incoming.pop()
            await asyncio.Event().wait()
            return {}

        async def send(message: Any) -> None:
            sent.append(message)
            if (b"content-type", b"text/event-stream; charset=utf-8") in sent[0]["headers"] and not started.done():
                started.set_result(None)

        answering = asyncio.create_task(self.application(scope, receive, send))
        await asyncio.wait([answering, started], return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            answering.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await answering
        elif (error := answering.exception()) is not None:
            raise error
        found = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
        return PageReply(sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:]))


@contextlib.contextmanager
def served(pages: MemoryPages) -> Iterator[str]:
    """Serve pages at a port of the loopback address; give their address."""
    server = WebServer(WebAddress("127.0.0.1", 0), pages.log)
    stop, loop = asyncio.Event(), asyncio.new_event_loop()
    url = server.listen()
    pages.use_cookie(server.cookie_name)

    async def serve() -> None:
        server.start(pages.application)
        looking = server.watched(look(pages.parts.live, pages.parts.figures))
        await stop.wait()
        looking.cancel()
        pages.parts.live.stop()
        await server.stop()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        yield url
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE)
        loop.close()
