"""Who asks for a page: each route has a role, and is reached only by a login that has it.

A form must bring the secret of its session. A handler gets a visit that passed all this.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from atcaprov.errors import AtcaProvError, Code, UsageError
from atcaprov.terminal.printable import printable
from atcaprov.web.forms import BODY_MAX, FORM_TYPE, parse_form
from atcaprov.web.logins import Logins, LoginSession
from atcaprov.web.page_files import templates
from atcaprov.web.roles import Role

BY_SCRIPT: Final = "X-Refresh"
"""The header of a request that a page makes by itself: it does not keep a session from ending as idle."""
WHO_MAX: Final = 64
_HERE: Final = Path(__file__).parent
_MAY: Final = {
    Role.LOOK: "looks only",
    Role.UNLOCK: "looks and unlocks signers",
    Role.ADMINISTER: "does everything",
}


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of a session whose role suffices; `fields` are those of its form, if it is one."""

    request: Request
    session: LoginSession
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def who(self) -> str:
        """Return who it is, for the records, which take 64 characters: role, session and address."""
        return f"web {self.session.role} {self.session.name} {self.session.peer}"[:WHO_MAX]


@dataclass(frozen=True, slots=True)
class VisitorRoute:
    """A path that a login with a role reaches. Without a login a page leads to the login; a stream is refused."""

    path: str
    role: Role
    handler: Callable[[Visit], Awaitable[Response]]
    method: str = "GET"
    stream: bool = False


class Reception:
    """Lets in who may come in, and shows pages."""

    def __init__(self, logins: Logins, cookie_name: str, alarms: Callable[[], int] = int) -> None:
        """`alarms` counts what every page is to show."""
        self._logins = logins
        self._cookie_name = cookie_name
        self._templates = templates(_HERE, "Provisioning Server")
        self._alarms = alarms

    def route(self, wanted: VisitorRoute) -> Route:
        """Return a route that is closed to others."""

        async def handle(request: Request) -> Response:
            session = self.session(request)
            if session is None:
                if wanted.method == "GET" and not wanted.stream:
                    return RedirectResponse("/login", 303)
                raise HTTPException(401, "Log in first.")
            fields = await form_of(request) if wanted.method == "POST" else {}
            if wanted.method == "POST" and not session.owns(fields.get("secret", "")):
                raise HTTPException(403, "This form belongs to another login. Load the page again.")
            if not session.role.includes(wanted.role):
                raise HTTPException(403, f"This needs a login that may {wanted.role}; yours {_MAY[session.role]}.")
            visit = Visit(request, session, fields)
            try:
                return await wanted.handler(visit)
            except AtcaProvError as error:
                return self._refused(visit, error)

        return Route(wanted.path, handle, methods=[wanted.method])

    def session(self, request: Request) -> LoginSession | None:
        """Return the session of a request, if it has one."""
        cookie = request.cookies.get(self._cookie_name, "")
        return self._logins.session(cookie, peer_of(request), by_user=BY_SCRIPT not in request.headers)

    def page(self, template: str, visit: Visit, status: int = 200, **values: object) -> Response:
        """Return a page for a login; it shows what its role allows."""
        role = visit.session.role
        return self.public_page(
            template,
            status,
            secret=visit.session.form_secret,
            role=role,
            may={each.value: role.includes(each) for each in Role},
            place=visit.request.url.path,
            alarm_count=self._alarms(),
            **values,
        )

    def _refused(self, visit: Visit, error: AtcaProvError) -> Response:
        """Return a page that says what could not be done."""
        status = 503 if error.code in (Code.SERVER_BUSY, Code.RECORDS_FAILED) else 409
        return self.page(
            "message.html",
            visit,
            status,
            title="Not done",
            what=printable(error.what),
            advice=printable(error.advice),
        )

    def public_page(self, template: str, status: int = 200, **values: object) -> Response:
        """Return a page for anyone."""
        return HTMLResponse(self._templates.get_template(template).render(values), status)


def peer_of(request: Request) -> str:
    """Return the address that a request comes from."""
    return request.client.host if request.client else ""


async def form_of(request: Request) -> dict[str, str]:
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
