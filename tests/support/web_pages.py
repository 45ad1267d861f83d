"""The pages of the server without a socket: requests go straight to the application, with the session of a role."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from atcaprov.web.logins import Logins, LoginSession
from atcaprov.web.roles import Role
from provisioning_server.passwords.unlock_service import UnlockService
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.signers.signer import Signer
from provisioning_server.web.health import HealthCheck
from provisioning_server.web.live_updates import LiveSigners
from provisioning_server.web.routes import PageParts, Pages
from provisioning_server.web.views import SignerOverview
from tests.support.server_parts import RememberingLog

PEER = "192.0.2.77"


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

    def __init__(self, signers: Iterable[Signer] = ()) -> None:
        registry, self.log, self.logins = SignerRegistry(list(signers)), RememberingLog(), Logins()
        unlock_service = UnlockService(registry, self.log)
        overview = SignerOverview(registry, unlock_service, lambda _: None)
        self.parts = PageParts(
            overview,
            LiveSigners(overview.views),
            unlock_service,
            HealthCheck(registry, lambda _: None, str),
            self.logins,
            self.log,
            lambda: None,
            cookie_name="login",
            tls=False,
        )
        self.pages = Pages(self.parts)
        self.application = self.pages.application()
        self._runner = asyncio.Runner()

    def close(self) -> None:
        """End its event loop."""
        self._runner.close()

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
