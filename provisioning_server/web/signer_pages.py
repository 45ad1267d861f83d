"""The page of the signers: their cards, their changes as they happen, their passwords."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from atcaprov.web.logins import Logins
from atcaprov.web.roles import Role
from provisioning_server.passwords.unlock_service import Outcome, UnlockService
from provisioning_server.web.live_updates import LiveSigners, snapshot, summary
from provisioning_server.web.views import SignerOverview, SignerView
from provisioning_server.web.visits import Reception, Visit, VisitorRoute

STREAMS_MAX: Final = 32
PASSWORD_MAX: Final = 1024


class SignerPages:
    """Shows the signers and takes passwords."""

    def __init__(
        self,
        reception: Reception,
        logins: Logins,
        overview: SignerOverview,
        live: LiveSigners,
        unlock_service: UnlockService,
    ) -> None:
        self._reception = reception
        self._logins = logins
        self._overview = overview
        self._live = live
        self._unlock_service = unlock_service
        self._streams = 0

    def routes(self) -> list[VisitorRoute]:
        """Return the routes."""
        return [
            VisitorRoute("/signers", Role.LOOK, self._signers),
            VisitorRoute("/signers/events", Role.LOOK, self._events, stream=True),
            VisitorRoute("/signers/{key}/password", Role.UNLOCK, self._password, "POST"),
        ]

    async def _signers(self, visit: Visit) -> Response:
        self._live.look()
        views = self._live.views
        return self._reception.page(
            "signers.html", visit, views=views, blank=SignerView(), summary=summary(views, self._live.notice)
        )

    async def _events(self, visit: Visit) -> Response:
        if visit.request.method == "HEAD" or self._streams >= STREAMS_MAX:
            raise HTTPException(503, "Too many pages are open.")
        events = self._live.events(lambda: self._logins.open(visit.session))
        return _CountedStream(events, self._count_stream)

    def _count_stream(self, change: int) -> None:
        self._streams += change

    async def _password(self, visit: Visit) -> Response:
        signer = self._overview.signer(visit.request.path_params["key"])
        password = visit.fields.get("password", "")
        if len(password) > PASSWORD_MAX:
            raise HTTPException(400, "The password is too long.")
        outcome = Outcome.NOT_WAITING
        if signer is not None and password:
            if self._unlock_service.busy(signer) or self._unlock_service.seconds_left(signer):
                return self._answer(visit, "too-early", 429)
            outcome = (await self._unlock_service.attempt(signer, password.encode())).outcome
        self._live.look()
        return self._answer(visit, outcome.name.lower().replace("_", "-"), 200)

    def _answer(self, visit: Visit, outcome: str, status: int) -> Response:
        """Return the outcome to a script; a browser without scripts is sent back to the page, which shows it."""
        if "application/json" not in visit.request.headers.get("accept", ""):
            return RedirectResponse("/signers", 303)
        return JSONResponse({"outcome": outcome, **snapshot(self._live.views, self._live.notice)}, status)


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
