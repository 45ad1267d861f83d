"""The page as a part of the server: opens its port, runs uvicorn on the server's loop, ends with it.

uvicorn is kept from what programs of their own do: it handles no signals, sets up no logging, writes no access log.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import uvicorn

from atcaprov.errors import AtcaProvError, Code, TransportError, UsageError
from atcaprov.log import Log
from atcaprov.web import bounded_http as protocol
from atcaprov.web.address import WebAddress
from atcaprov.web.bounded_http import BoundedProtocol, BoundedSocket
from atcaprov.web.gate import Gate
from atcaprov.web.login_links import Links
from atcaprov.web.logins import Logins
from atcaprov.web.tls import date_warning, host_names, tls_context
from provisioning_server.passwords.unlock_service import UnlockService
from provisioning_server.web.live_updates import LiveSigners
from provisioning_server.web.routes import PageParts, Pages
from provisioning_server.web.views import SignerOverview

STOP_SECONDS: Final = 1
"""For what browsers are at when the server stops."""
_BACKLOG: Final = 64
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class WebPage:
    """The page at an address. `links` get a link that is good for one login, and after each login another one."""

    def __init__(
        self,
        address: WebAddress,
        overview: SignerOverview,
        unlock_service: UnlockService,
        log: Log,
        links: Links,
    ) -> None:
        """Raise UsageError when the certificate can't be used."""
        self._address = address
        self._names = host_names(address)
        self._tls = tls_context(address) if address.tls else None
        self._overview = overview
        self._unlock_service = unlock_service
        self._log = log
        self._links = links
        self._logins = Logins()
        self._live = LiveSigners(overview.views)
        self._server: _PartServer | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._logging = _UvicornLog(log)

    async def start(self) -> str:
        """Listen; return the page's address, such as `http://127.0.0.1:8080`.

        Raises:
            TransportError: PORT_IN_USE.
            UsageError: this address or port can't be had.
        """
        listening = _listening_socket(self._address)
        scheme, port = "https" if self._address.tls else "http", listening.getsockname()[1]
        hosts = [name + end for name in self._names for end in _host_ends(scheme, port)]
        url = f"{scheme}://{hosts[0]}"
        parts = PageParts(
            self._overview, self._live, self._unlock_service, self._logins, self._log, lambda: self._logged_in(url),
            cookie_name=f"{'__Host-' if self._address.tls else ''}atcaprov-{port}", tls=self._address.tls,
        )  # fmt: skip
        self._server = _PartServer(self._config(Gate(Pages(parts).application(), hosts, scheme, self._log)))
        self._logging.attach()
        self._tasks = [
            asyncio.create_task(self._server.serve([listening])),
            asyncio.create_task(self._live.run()),
        ]
        for task in self._tasks:
            task.add_done_callback(self._ended)
        self._say_link(url)
        warning = date_warning(self._address, datetime.now(UTC))
        if warning:
            self._log.warning(warning)
        return url

    async def stop(self) -> None:
        """Close the port, let streams end, cut what is left after a second."""
        self._live.stop()
        if self._server is None:
            return
        serving, looking = self._tasks
        looking.cancel()
        self._server.should_exit = True
        await asyncio.gather(serving, looking, return_exceptions=True)
        self._logging.detach()
        self._links.end()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error(f"The web page is gone by a fault of the program: {type(error).__name__}.")

    def _logged_in(self, url: str) -> None:
        """Hand out the next link; that this fails, on a full disk perhaps, is not the fault of who has logged in."""
        try:
            self._say_link(url)
        except UsageError as error:
            self._log.error(str(error))

    def _say_link(self, url: str) -> None:
        # Behind the number sign a browser keeps it to itself: it is in no request, log or Referer header.
        self._links.tell(f"{url}/login#{self._logins.code}")

    def _config(self, app: Gate) -> uvicorn.Config:
        context = self._tls
        return uvicorn.Config(
            app,
            http=BoundedProtocol,
            ws="none",
            loop="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            h11_max_incomplete_event_size=16 * 1024,
            timeout_graceful_shutdown=STOP_SECONDS,
            ssl_context_factory=None if context is None else (lambda _, __: context),
        )


class _PartServer(uvicorn.Server):
    """A server that is part of another program."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen (uvicorn). Its own gives the handshake of TLS a minute, in which it bounds nothing."""
        await self.lifespan.startup()
        self.servers = [await self._listen(each) for each in sockets or ()]
        self.started = True

    async def _listen(self, listening: socket.socket) -> asyncio.Server:
        config = self.config
        return await asyncio.get_running_loop().create_server(
            lambda: BoundedProtocol(config, self.server_state, self.lifespan.state),
            sock=listening,
            ssl=config.ssl,
            backlog=config.backlog,
            ssl_handshake_timeout=protocol.REQUEST_SECONDS if config.ssl else None,
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the program."""
        yield


class _UvicornLog(logging.Handler):
    """Takes what uvicorn logs: faults go to the program log, the rest nowhere."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.ERROR)
        self._log = log
        self._logger = logging.getLogger("uvicorn.error")

    def attach(self) -> None:
        """Begin."""
        self._propagated = self._logger.propagate
        self._logger.propagate = False
        self._logger.addHandler(self)

    def detach(self) -> None:
        """End."""
        self._logger.propagate = self._propagated
        self._logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Tell a fault, without its trace."""
        self._log.error(f"The web page: {record.getMessage().strip()}")


def _host_ends(scheme: str, port: int) -> list[str]:
    """What follows the name in a Host header, the common form first."""
    return ["", f":{port}"] if _DEFAULT_PORTS[scheme] == port else [f":{port}"]


def _listening_socket(address: WebAddress) -> socket.socket:
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
        family, _, _, _, place = found[0]
        with socket.create_server(place, family=family, backlog=_BACKLOG) as listening:
            return BoundedSocket(fileno=listening.detach())
    except OSError as error:
        raise _no_listener(error, address) from error


def _no_listener(error: OSError, address: WebAddress) -> AtcaProvError:
    if error.errno == errno.EADDRINUSE:
        return TransportError(
            f"Port {address.port} of {address.host} is in use by another program.",
            advice="Choose another port for the web page with --web.",
            code=Code.PORT_IN_USE,
        )
    reason = error.strerror or str(error)
    return UsageError(
        f"The web page cannot be served at {address.host}, port {address.port}: {reason}.", advice="Check --web."
    )
