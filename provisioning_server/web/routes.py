"""All routes of the web page: which path is whose, and who may reach it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from atcaprov.log import Log
from atcaprov.web.logins import Logins
from atcaprov.web.page_files import static_files
from provisioning_server.passwords.unlock_service import UnlockService
from provisioning_server.web.acts import Acts
from provisioning_server.web.alarms import AlarmBoard, signer_alarms
from provisioning_server.web.audit_page import AuditPage
from provisioning_server.web.certificate_pages import CertificatePages
from provisioning_server.web.figures.ledger_reader import LedgerReader
from provisioning_server.web.figures.page_figures import PageFigures
from provisioning_server.web.live_updates import LiveSigners
from provisioning_server.web.login_pages import LoginPages
from provisioning_server.web.monitoring import Monitoring
from provisioning_server.web.order_pages import OrderPages, order_alarms
from provisioning_server.web.overview_page import OverviewPage
from provisioning_server.web.signer_pages import SignerPages
from provisioning_server.web.station_pages import StationPages, station_alarms
from provisioning_server.web.views import SignerOverview
from provisioning_server.web.visits import Reception, VisitorRoute

_HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class PageParts:
    """What the pages show and do.

    `connected` returns the names of stations that hold a connection; `data` is the data folder; `logged_in` is called
    after each login, when its code is used up.
    """

    overview: SignerOverview
    live: LiveSigners
    reader: LedgerReader
    figures: PageFigures
    alarms: AlarmBoard
    acts: Acts
    connected: Callable[[], Collection[str]]
    data: Path
    unlock_service: UnlockService
    monitoring: Monitoring
    logins: Logins
    log: Log
    logged_in: Callable[[], None]
    cookie_name: str
    tls: bool


class Pages:
    """Answers requests that have passed the gate."""

    def __init__(self, parts: PageParts) -> None:
        self._monitoring = parts.monitoring
        self._files = static_files(_HERE)
        self._reception = Reception(parts.logins, parts.cookie_name, parts.alarms.count)
        self._login_pages = LoginPages(
            self._reception,
            parts.logins,
            parts.log,
            logged_in=parts.logged_in,
            ended=parts.live.wake,
            cookie_name=parts.cookie_name,
            tls=parts.tls,
        )
        self._signer_pages = SignerPages(
            self._reception, parts.logins, parts.overview, parts.live, parts.unlock_service
        )
        self._overview_page = OverviewPage(
            self._reception, parts.figures, parts.live, parts.alarms.alarms, parts.overview.quotas
        )
        self._certificate_pages = CertificatePages(self._reception, parts.reader, parts.acts)
        self._station_pages = StationPages(self._reception, parts.figures, parts.acts, parts.connected)
        self._order_pages = OrderPages(self._reception, parts.figures, parts.acts)
        self._audit_page = AuditPage(self._reception, parts.reader, parts.figures, parts.data)

    def application(self) -> Starlette:
        """Return the routes as an ASGI application."""
        routes = [*self.public_routes(), *map(self._reception.route, self.routes())]
        application = Starlette(
            routes=routes, exception_handlers={HTTPException: _short, ClientDisconnect: _disconnected}
        )
        application.router.redirect_slashes = False  # there is one address for each page
        return application

    def public_routes(self) -> list[Route]:
        """Return what anyone reaches who reaches the port."""
        return [
            *self._monitoring.public_routes(),
            Route("/static/{name}", self._file),
            *self._login_pages.public_routes(),
        ]

    def routes(self) -> list[VisitorRoute]:
        """Return what a login reaches."""
        return [
            *self._login_pages.routes(),
            *self._overview_page.routes(),
            *self._signer_pages.routes(),
            *self._station_pages.routes(),
            *self._order_pages.routes(),
            *self._certificate_pages.routes(),
            *self._audit_page.routes(),
        ]

    async def _file(self, request: Request) -> Response:
        """Return a file that was read at the start: no request opens one."""
        name = request.path_params["name"]
        if name not in self._files:
            raise HTTPException(404, "Not found.")
        return Response(self._files[name].content, media_type=self._files[name].media_type)


def add_alarms(alarms: AlarmBoard, live: LiveSigners, figures: PageFigures) -> None:
    """Let the board ask for the alarms of all pages."""
    alarms.add(lambda: signer_alarms(live.views))
    alarms.add(lambda: order_alarms(figures))
    alarms.add(lambda: station_alarms(figures))


async def look(live: LiveSigners, figures: PageFigures) -> None:
    """Look at the signers without end, and at the ledger while a page is open."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(live.run())
        tasks.create_task(figures.keep(lambda: live.watched))


async def _short(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return PlainTextResponse(f"{error.detail}\n", error.status_code, error.headers)


async def _disconnected(_: Request, __: Exception) -> Response:
    return PlainTextResponse("", 400)
