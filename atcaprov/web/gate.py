"""Checks each request before a page gets it, and adds security headers to each reply."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from atcaprov.log import Log

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with that, browsers hide the origin of a form as well.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
_READING: Final = ("GET", "HEAD")


class Gate:
    """Admits only requests of a browser at the page's own address.

    `hosts` are what the Host header may say, such as `127.0.0.1:8080`. Another one means that a foreign name was made
    to lead here (DNS rebinding). A request that changes something must say that it comes from one of its own pages.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], scheme: str, log: Log) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._scheme = scheme
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request (ASGI)."""
        begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send_with_headers)
            return
        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:
            # Its text could quote what was typed; its kind and place cannot.
            self._log.error(f"Internal error of the web page: {type(error).__name__} at {_place(error)}.")
            if not begun:
                fault = PlainTextResponse("Internal server error. See the server's program log.", 500)
                await fault(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return PlainTextResponse("This page has another address; the server's console shows it.", 421)
        origin = headers.get("origin")
        own = f"{self._scheme}://{hosts[0].lower()}"
        if origin is not None and origin.lower() != own:
            return PlainTextResponse("This request comes from a page of another site.", 403)
        if origin is None and scope["method"] not in _READING:
            return PlainTextResponse("This request does not say which page it comes from.", 403)
        return None


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "?" if trace is None else f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}"
