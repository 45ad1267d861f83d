"""`GET /crl/NAME.crl` on the web port: lists of revoked certificates, for anyone and under any host name.

They are signed and public, so no login and no check of the Host header stands before them: the name in a certificate
is seldom that of the server's page.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from provisioning_server.revocation.published_crls import PublishedCrl, PublishedCrls

MEDIA_TYPE: Final = "application/pkix-crl"
"""RFC 2585, 4.2."""
FRESH_FOR: Final = timedelta(minutes=5)
"""How long a cache may give a list without asking: then a revocation is known after this time."""
_PREFIX: Final = "/crl/"
_NAME: Final = re.compile(r"/crl/([0-9A-Fa-f]{18}|[0-9A-Fa-f]{40})\.crl", re.ASCII)


class CrlRoute:
    """Answers requests for lists, and hands on all others."""

    def __init__(self, application: ASGIApp, crls: PublishedCrls, now: Callable[[], datetime]) -> None:
        self._application = application
        self._crls = crls
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request (ASGI)."""
        if scope["type"] != "http" or not scope["path"].startswith(_PREFIX):
            await self._application(scope, receive, send)
            return
        await self._answer(Request(scope))(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("Lists are read only.\n", 405, {"Allow": "GET, HEAD"})
        name = _NAME.fullmatch(request.url.path)
        crl = None if name is None else self._crls.find(name[1])
        if crl is None:
            return PlainTextResponse("There is no such list.\n", 404, {"Cache-Control": "no-store"})
        headers = self._headers(crl)
        if _has_it(request, crl):
            return Response(None, 304, headers)
        return Response(crl.der, 200, headers, MEDIA_TYPE)

    def _headers(self, crl: PublishedCrl) -> dict[str, str]:
        left = max(min(FRESH_FOR, crl.next_update - self._now()), timedelta())
        return {
            "ETag": f'"{crl.tag}"',
            "Last-Modified": format_datetime(crl.this_update, usegmt=True),
            "Cache-Control": f"public, max-age={int(left.total_seconds())}",
            "X-Content-Type-Options": "nosniff",
        }


def _has_it(request: Request, crl: PublishedCrl) -> bool:
    """Return whether a client says that it has this list already (RFC 9110, 13.2.2)."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        return tags.strip() == "*" or f'"{crl.tag}"' in {tag.strip().removeprefix("W/") for tag in tags.split(",")}
    since = request.headers.get("if-modified-since")
    if since is None:
        return False
    try:
        moment = parsedate_to_datetime(since)
    except (ValueError, OverflowError):  # the second for a number with very many digits
        return False
    return crl.this_update <= (moment if moment.tzinfo else moment.replace(tzinfo=UTC))
