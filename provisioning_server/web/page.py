"""The page of the signers: its port, its login links, its live updates."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime
from typing import Final

from atcaprov.errors import UsageError
from atcaprov.log import Log
from atcaprov.web.address import WebAddress
from atcaprov.web.login_links import Links
from atcaprov.web.logins import Logins
from atcaprov.web.roles import Role
from atcaprov.web.server import WebServer
from atcaprov.web.tls import date_warning
from provisioning_server.passwords.unlock_service import UnlockService
from provisioning_server.web.health import HealthCheck, notice
from provisioning_server.web.live_updates import LiveSigners
from provisioning_server.web.routes import PageParts, Pages
from provisioning_server.web.views import SignerOverview

STANDING_ROLE: Final = Role.UNLOCK
"""Of the link on the console or in the file: what the page was first made for."""


class WebPage:
    """The page at an address. `links` get a link that is good for one login, and after that login another one.

    It is for one who may unlock signers; `link` gives those of other roles.
    """

    def __init__(
        self,
        address: WebAddress,
        overview: SignerOverview,
        unlock_service: UnlockService,
        health: HealthCheck,
        log: Log,
        links: Links,
    ) -> None:
        """Raise UsageError when the certificate cannot be used."""
        self._address = address
        self._overview = overview
        self._unlock_service = unlock_service
        self._health = health
        self._log = log
        self._links = links
        self._logins = Logins()
        self._live = LiveSigners(overview.views, lambda: notice(health.look()))
        self._server = WebServer(address, log)
        self._looking: asyncio.Task[None] | None = None
        self._standing_code = ""
        self._url = ""

    async def start(self) -> str:
        """Listen; return the page's address, such as `http://127.0.0.1:8080`.

        Raises:
            TransportError: PORT_IN_USE.
            UsageError: this address or port is not available.
        """
        url = self._url = self._server.listen()
        parts = PageParts(
            self._overview, self._live, self._unlock_service, self._health, self._logins, self._log,
            self._logged_in, cookie_name=self._server.cookie_name, tls=self._address.tls,
        )  # fmt: skip
        self._server.start(Pages(parts).application())
        self._looking = self._server.watched(self._live.run())
        self._say_link()
        warning = date_warning(self._address, datetime.now(UTC))
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
        self._links.end()

    def link(self, role: Role) -> str:
        """Return a link that is good for one login with a role, soon; the page listens."""
        return self._link(self._logins.new_code(role))

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
