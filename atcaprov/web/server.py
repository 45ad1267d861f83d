"""Serves a page at an address, as a part of another program: on its event loop, until it is told to stop.

uvicorn does nothing here that only a program of its own should: it handles no signals, sets up no logging and writes no
access log.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from atcaprov.errors import AtcaProvError, Code, TransportError, UsageError
from atcaprov.log import Log
from atcaprov.web import bounded_http
from atcaprov.web.address import WebAddress
from atcaprov.web.bounded_http import BoundedProtocol, BoundedSocket
from atcaprov.web.gate import Gate
from atcaprov.web.tls import host_names, tls_context

STOP_SECONDS: Final = 1
"""For open requests when the server stops."""
_BACKLOG: Final = 64
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class WebServer:
    """Serves one ASGI application behind the gate: first `listen`, then `start`, at last `stop`."""

    def __init__(self, address: WebAddress, log: Log) -> None:
        """Raise UsageError when the certificate cannot be used."""
        self._address = address
        self._names = host_names(address)
        self._tls = tls_context(address) if address.tls else None
        self._log = log
        self._listening: socket.socket | None = None
        self._hosts: list[str] = []
        self._server: _PartServer | None = None
        self._serving: asyncio.Task[None] | None = None
        self._logging = _UvicornLog(log)

    @property
    def scheme(self) -> str:
        """Return `http` or `https`."""
        return "https" if self._address.tls else "http"

    @property
    def cookie_name(self) -> str:
        """Return the name of the cookie of a login; browsers keep one name for all ports of a host."""
        assert self._listening is not None
        return f"{'__Host-' if self._address.tls else ''}atcaprov-{self._listening.getsockname()[1]}"

    def listen(self) -> str:
        """Open the port; return the page's address, such as `http://127.0.0.1:8080`.

        Raises:
            TransportError: PORT_IN_USE.
            UsageError: this address or port is not available.
        """
        self._listening = _listening_socket(self._address)
        port = self._listening.getsockname()[1]
        self._hosts = [name + end for name in self._names for end in _host_ends(self.scheme, port)]
        return f"{self.scheme}://{self._hosts[0]}"

    def start(self, application: ASGIApp, public: Callable[[ASGIApp], ASGIApp] | None = None) -> None:
        """Serve an application; `listen` was called before.

        `public` returns what answers before the gate, for anyone and under any host name, and hands on the rest.
        """
        assert self._listening is not None
        gate = Gate(application, self._hosts, self.scheme, self._log)
        self._server = _PartServer(self._config(gate if public is None else public(gate)))
        self._logging.attach()
        self._serving = self.watched(self._server.serve([self._listening]))

    def watched(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a part of the page; that it ends by an exception is logged."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        return task

    async def stop(self) -> None:
        """Close the port, let open requests end, and cut what is left after a second."""
        if self._server is None or self._serving is None:
            return
        self._server.should_exit = True
        await asyncio.gather(self._serving, return_exceptions=True)
        self._logging.detach()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error(f"The web page stopped because of an internal error: {type(error).__name__}.")

    def _config(self, app: ASGIApp) -> uvicorn.Config:
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
            ssl_handshake_timeout=bounded_http.REQUEST_SECONDS if config.ssl else None,
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the program."""
        yield


class _UvicornLog(logging.Handler):
    """Takes what uvicorn logs: errors go to the program log, the rest nowhere."""

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
        """Log an error without its trace."""
        self._log.error(f"The web page: {record.getMessage().strip()}")


def _host_ends(scheme: str, port: int) -> list[str]:
    """Return what may follow the name in a Host header, the common form first."""
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
