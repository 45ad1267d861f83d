"""The pages of a login: its form, and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from atcaprov.log import Log
from atcaprov.web.logins import SESSION_TIMES, Logins, LoginSession
from atcaprov.web.roles import Role
from provisioning_server.web.visits import Reception, Visit, VisitorRoute, form_of, peer_of

WRONG_CODE_SECONDS: Final = 1.0
WRONG_CODES_MAX: Final = 8
"""Wrong codes that are answered late at the same time; further ones are refused at once and logged nowhere."""
KEPT_SECONDS: Final = {Role.LOOK: int(SESSION_TIMES[Role.LOOK].longest)}
"""How long a browser keeps the cookie though it is closed: a screen on the wall is switched off at night."""
HOME: Final = {Role.LOOK: "/overview", Role.UNLOCK: "/signers", Role.ADMINISTER: "/overview"}


class LoginPages:
    """Exchanges codes for sessions. A right code is always taken, however many wrong ones others send."""

    def __init__(
        self,
        reception: Reception,
        logins: Logins,
        log: Log,
        *,
        logged_in: Callable[[], None],
        ended: Callable[[], None],
        cookie_name: str,
        tls: bool,
    ) -> None:
        """`logged_in` is called after each login, and `ended` after a session was ended by its user."""
        self._reception = reception
        self._logins = logins
        self._log = log
        self._logged_in = logged_in
        self._ended = ended
        self._cookie_name = cookie_name
        self._tls = tls
        self._late = 0

    def public_routes(self) -> list[Route]:
        """Return what needs no login."""
        return [Route("/login", self._form), Route("/login", self._log_in, methods=["POST"])]

    def routes(self) -> list[VisitorRoute]:
        """Return what needs one."""
        return [
            VisitorRoute("/", Role.LOOK, self._home),
            VisitorRoute("/logout", Role.LOOK, self._log_out, "POST"),
        ]

    async def _home(self, visit: Visit) -> Response:
        return RedirectResponse(HOME[visit.session.role], 303)

    async def _form(self, request: Request) -> Response:
        session = self._reception.session(request)
        if session is not None:
            return RedirectResponse(HOME[session.role], 303)
        return self._reception.public_page("login.html", wrong=False)

    async def _log_in(self, request: Request) -> Response:
        peer, before = peer_of(request), self._reception.session(request)
        session = self._logins.log_in((await form_of(request)).get("code", ""), peer)
        if session is None:
            return await self._refuse(peer)
        if before is not None:
            self._end(before)
        self._log.info(f"A browser at {peer or '?'} logged in to the web page: {session.role}, session {session.name}.")
        self._logged_in()
        reply = RedirectResponse(HOME[session.role], 303)
        reply.set_cookie(
            self._cookie_name,
            session.cookie,
            max_age=KEPT_SECONDS.get(session.role),
            secure=self._tls,
            httponly=True,
            samesite="strict",
        )
        return reply

    async def _refuse(self, peer: str) -> Response:
        if self._late >= WRONG_CODES_MAX:
            raise HTTPException(429, "Too many wrong codes.", {"Retry-After": "1", "Connection": "close"})
        self._late += 1
        try:
            self._log.warning(f"A login to the web page from {peer or '?'} gave a wrong code.")
            await asyncio.sleep(WRONG_CODE_SECONDS)
        finally:
            self._late -= 1
        return self._reception.public_page("login.html", 403, wrong=True)

    async def _log_out(self, visit: Visit) -> Response:
        self._end(visit.session)
        reply = RedirectResponse("/login", 303)
        reply.delete_cookie(self._cookie_name, secure=self._tls, httponly=True, samesite="strict")
        return reply

    def _end(self, session: LoginSession) -> None:
        self._logins.log_out(session)
        self._ended()
