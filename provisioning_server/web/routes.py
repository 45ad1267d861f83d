"""The routes of the page: log in, see the signers, send a password, log out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from atcaprov.errors import UsageError
from atcaprov.log import Log
from atcaprov.web.forms import BODY_MAX, FORM_TYPE, parse_form
from atcaprov.web.logins import Logins, LoginSession
from atcaprov.web.page_files import static_files, templates
from provisioning_server.passwords.unlock_service import Outcome, UnlockService
from provisioning_server.web.health import HealthCheck
from provisioning_server.web.live_updates import LiveSigners, snapshot, summary
from provisioning_server.web.views import SignerOverview, SignerView

STREAMS_MAX: Final = 32
PASSWORD_MAX: Final = 1024
WRONG_CODE_SECONDS: Final = 1.0
_HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class PageParts:
    """What the pages show and do. `logged_in` is called after each login, when the code is another one."""

    overview: SignerOverview
    live: LiveSigners
    unlock_service: UnlockService
    health: HealthCheck
    logins: Logins
    log: Log
    logged_in: Callable[[], None]
    cookie_name: str
    tls: bool


class Pages:
    """Answers requests that have passed the gate."""

    def __init__(self, parts: PageParts) -> None:
        self._parts = parts
        self._streams = 0
        self._templates = templates(_HERE, "Provisioning Server")
        self._files = static_files(_HERE)

    def application(self) -> Starlette:
        """Return the routes as an ASGI application."""
        routes = [
            Route("/", self._to_signers),
            Route("/health", self._health),
            Route("/signers", self._signers),
            Route("/signers/events", self._events),
            Route("/signers/{key}/password", self._password, methods=["POST"]),
            Route("/login", self._login),
            Route("/login", self._log_in, methods=["POST"]),
            Route("/logout", self._log_out, methods=["POST"]),
            Route("/static/{name}", self._file),
        ]
        return Starlette(routes=routes, exception_handlers={HTTPException: _short, ClientDisconnect: _disconnected})

    async def _to_signers(self, _: Request) -> Response:
        return RedirectResponse("/signers", 303)

    async def _health(self, _: Request) -> Response:
        """Return whether the server issues; to anyone."""
        health = self._parts.health.look()
        content = {"status": health.status, "code": health.code}
        return JSONResponse(content, health.http_status, {"Cache-Control": "no-store"})

    async def _signers(self, request: Request) -> Response:
        session = self._session(request)
        if session is None:
            return RedirectResponse("/login", 303)
        self._parts.live.look()
        views = self._parts.live.views
        return self._page(
            "signers.html",
            views=views,
            blank=SignerView(),
            summary=summary(views, self._parts.live.notice),
            secret=session.form_secret,
        )

    async def _events(self, request: Request) -> Response:
        session = self._session(request)
        if session is None:
            raise HTTPException(401, "Log in first.")
        if request.method == "HEAD" or self._streams >= STREAMS_MAX:
            raise HTTPException(503, "Too many pages are open.")

        events = self._parts.live.events(lambda: self._parts.logins.open(session))
        return _CountedStream(events, self._count_stream)

    def _count_stream(self, change: int) -> None:
        self._streams += change

    async def _password(self, request: Request) -> Response:
        _, fields = await self._own_form(request)
        signer = self._parts.overview.signer(request.path_params["key"])
        password = fields.get("password", "")
        if len(password) > PASSWORD_MAX:
            raise HTTPException(400, "The password is too long.")
        outcome = Outcome.NOT_WAITING
        unlock_service = self._parts.unlock_service
        if signer is not None and password:
            if unlock_service.busy(signer) or unlock_service.seconds_left(signer):
                return self._answer(request, "too-early", 429)
            outcome = (await unlock_service.attempt(signer, password.encode())).outcome
        self._parts.live.look()
        return self._answer(request, outcome.name.lower().replace("_", "-"), 200)

    def _answer(self, request: Request, outcome: str, status: int) -> Response:
        """Return the outcome to a script; a browser without scripts is sent back to the page, which shows it."""
        if "application/json" not in request.headers.get("accept", ""):
            return RedirectResponse("/signers", 303)
        return JSONResponse({"outcome": outcome, **snapshot(self._parts.live.views, self._parts.live.notice)}, status)

    async def _login(self, request: Request) -> Response:
        if self._session(request) is not None:
            return RedirectResponse("/signers", 303)
        return self._page("login.html", wrong=False)

    async def _log_in(self, request: Request) -> Response:
        parts, peer = self._parts, request.client.host if request.client else "?"
        session = parts.logins.log_in((await _fields(request)).get("code", ""))
        if session is None:
            parts.log.warning(f"A login to the web page from {peer} gave a wrong code.")
            await asyncio.sleep(WRONG_CODE_SECONDS)
            return self._page("login.html", 403, wrong=True)
        parts.log.info(f"A browser at {peer} logged in to the web page.")
        parts.logged_in()
        reply = RedirectResponse("/signers", 303)
        reply.set_cookie(parts.cookie_name, session.cookie, secure=parts.tls, httponly=True, samesite="strict")
        return reply

    async def _log_out(self, request: Request) -> Response:
        session, _ = await self._own_form(request)
        self._parts.logins.log_out(session)
        self._parts.live.wake()
        reply = RedirectResponse("/login", 303)
        reply.delete_cookie(self._parts.cookie_name, secure=self._parts.tls, httponly=True, samesite="strict")
        return reply

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._files:
            raise HTTPException(404, "Not found.")
        return Response(self._files[name].content, media_type=self._files[name].media_type)

    def _session(self, request: Request) -> LoginSession | None:
        return self._parts.logins.session(request.cookies.get(self._parts.cookie_name, ""))

    async def _own_form(self, request: Request) -> tuple[LoginSession, dict[str, str]]:
        """Return session and fields of a form that a page of this session sent, or refuse."""
        session = self._session(request)
        if session is None:
            raise HTTPException(401, "Log in first.")
        fields = await _fields(request)
        if not session.owns(fields.get("secret", "")):
            raise HTTPException(403, "This form belongs to another login. Load the page again.")
        return session, fields

    def _page(self, template: str, status: int = 200, **values: object) -> Response:
        return HTMLResponse(self._templates.get_template(template).render(values), status)


class _CountedStream(StreamingResponse):
    """A stream of events, counted from its request on: many requests can come before the first event."""

    def __init__(self, events: AsyncIterator[str], count: Callable[[int], None]) -> None:
        super().__init__(events, media_type="text/event-stream")
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them (ASGI)."""
        self._count(1)
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._count(-1)


async def _fields(request: Request) -> dict[str, str]:
    """Read the form in a request; one that is too large is refused without reading it all."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise HTTPException(415, "The request is not a form of this page.")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > BODY_MAX:
            raise HTTPException(413, "The form is too long.", {"Connection": "close"})
    try:
        return parse_form(bytes(body))
    except UsageError as error:
        raise HTTPException(400, error.what) from None


async def _short(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return PlainTextResponse(f"{error.detail}\n", error.status_code, error.headers)


async def _disconnected(_: Request, __: Exception) -> Response:
    return PlainTextResponse("", 400)
