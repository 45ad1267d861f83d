"""The page of the signers: its port, its login links, its live updates."""

from __future__ import annotations

import asyncio
import functools
import math
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from starlette.types import ASGIApp

from atcaprov.bounded_reading import shown
from atcaprov.errors import UsageError
from atcaprov.log import Log
from atcaprov.web.address import WebAddress
from atcaprov.web.login_links import Links
from atcaprov.web.logins import Logins
from atcaprov.web.roles import Role
from atcaprov.web.server import WebServer
from atcaprov.web.tls import date_warning
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.operations.readiness import Ready
from provisioning_server.passwords.unlock_service import UnlockService
from provisioning_server.web.acts import Acts, RunCommand
from provisioning_server.web.alarms import AlarmBoard, health_alarms, warning_alarms
from provisioning_server.web.counters import page_counters
from provisioning_server.web.figures.ledger_reader import LedgerReader
from provisioning_server.web.figures.page_figures import PageFigures
from provisioning_server.web.health import HealthCheck, notice
from provisioning_server.web.live_updates import LiveSigners
from provisioning_server.web.monitoring import Monitoring
from provisioning_server.web.routes import PageParts, Pages, add_alarms, look
from provisioning_server.web.views import SignerOverview

STANDING_ROLE: Final = Role.UNLOCK
"""Of the link on the console or in the file: what the page was first made for."""


class WebPage:
    """The page at an address. `links` get a link that is good for one login, and after that login another one.

    It is for one who may unlock signers; the command `web-link` gives those of other roles.
    """

    def __init__(
        self,
        address: WebAddress,
        overview: SignerOverview,
        unlock_service: UnlockService,
        health: HealthCheck,
        log: Log,
        links: Links,
        ledger: Callable[[], SqlLedger],
        data: Path,
        run: RunCommand,
        connected: Callable[[], Collection[str]] = tuple,
        monitoring: Monitoring | None = None,
    ) -> None:
        """Raise UsageError when the page's certificate cannot be used.

        `ledger` opens the ledger for reading, `data` is the data folder, `run` does what the commands do, `connected`
        returns the names of stations that hold a connection.
        """
        self._data = data
        self._connected = connected
        self._monitoring = monitoring or Monitoring(health, Ready)
        self._acts = Acts(run, log)
        self._address = address
        self._overview = overview
        self._unlock_service = unlock_service
        self._health = health
        self._log = log
        self._links = links
        self._logins = Logins()
        self._reader = LedgerReader(ledger)
        self._figures = PageFigures(self._reader, _now)
        self._alarms = AlarmBoard()
        self._live = LiveSigners(
            overview.views,
            lambda: notice(health.look()),
            functools.partial(page_counters, self._alarms, self._figures),
        )
        self._alarms.add(lambda: health_alarms(health.look()))
        self._alarms.add(lambda: warning_alarms(health.warnings()))
        add_alarms(self._alarms, self._live, self._figures)
        self._server = WebServer(address, log)
        self._public: Callable[[ASGIApp], ASGIApp] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._standing_code = ""
        self._url = ""

    def add_public(self, public: Callable[[ASGIApp], ASGIApp]) -> None:
        """Let something answer before the page, to anyone; before `start`."""
        self._public = public

    async def start(self) -> str:
        """Listen; return the page's address, such as `http://127.0.0.1:8080`.

        Raises:
            TransportError: PORT_IN_USE.
            UsageError: this address or port is not available.
        """
        url = self._url = self._server.listen()
        parts = PageParts(
            self._overview, self._live, self._reader, self._figures, self._alarms, self._acts,
            self._connected, self._data, self._unlock_service, self._monitoring, self._logins, self._log,
            self._logged_in, cookie_name=self._server.cookie_name, tls=self._address.tls,
        )  # fmt: skip
        self._server.start(Pages(parts).application(), self._public)
        self._looking = self._server.watched(look(self._live, self._figures))
        self._say_link()
        warning = date_warning(self._address, _now())
        if warning:
            self._log.warning(warning)
        return url

    async def stop(self) -> None:
        """Close the port, let streams end, cut what is left after a second."""
        self._live.stop()
        if self._looking is None:
            return
        self._looking.cancel()
        await asyncio.gather(self._server.stop(), self._looking, return_exceptions=True)
        await asyncio.to_thread(self._reader.close)
        self._links.end()

    def answer_link(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Answer the command `web-link`: a link that is good for one login with a role, soon; the page listens."""
        if arguments.get("role") not in list(Role):
            raise UsageError(f"A login cannot have the role {shown(arguments.get('role'))}.")
        role = Role(arguments["role"])
        self._log.info(f"A link for a login to the web page was asked for: {role}.")
        return {"link": self._link(self._logins.new_code(role))}

    def _logged_in(self) -> None:
        """Hand out the next link if that one was used; a failure, such as a full disk, does not undo the login."""
        if self._logins.valid(self._standing_code):
            return
        try:
            self._say_link()
        except UsageError as error:
            self._log.error(str(error))

    def _say_link(self) -> None:
        self._standing_code = self._logins.new_code(STANDING_ROLE, math.inf)
        self._links.tell(self._link(self._standing_code))

    def _link(self, code: str) -> str:
        # Browsers keep to themselves what follows the number sign: it is in no request, log or Referer header.
        return f"{self._url}/login#{code}"


def _now() -> datetime:
    return datetime.now(UTC)
