"""What programs ask over HTTP: `/health`, `/ready` and, if it is wanted, `/metrics`. No login reaches or needs it."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from provisioning_server.operations.readiness import Ready
from provisioning_server.web.health import HealthCheck

_NOT_KEPT: Final = {"Cache-Control": "no-store"}
_BEARER: Final = "bearer "


@dataclass(frozen=True, slots=True)
class MetricsPage:
    """The metrics, as `read` returns them in a thread, for those who bring the token; without a token for everyone."""

    read: Callable[[], bytes]
    content_type: str
    token: bytes | None

    def admits(self, authorization: str) -> bool:
        """Tell whether an Authorization header brings the token (RFC 6750)."""
        if self.token is None:
            return True
        given = authorization[len(_BEARER) :] if authorization[: len(_BEARER)].lower() == _BEARER else ""
        return hmac.compare_digest(given.strip().encode(errors="replace"), self.token)


class Monitoring:
    """Answers the three paths."""

    def __init__(self, health: HealthCheck, ready: Callable[[], Ready], metrics: MetricsPage | None = None) -> None:
        self._health_check = health
        self._look_ready = ready
        self._metrics_page = metrics

    def public_routes(self) -> list[Route]:
        """Return their routes."""
        routes = [Route("/health", self._health), Route("/ready", self._ready)]
        return [*routes, Route("/metrics", self._metrics)] if self._metrics_page is not None else routes

    async def _health(self, _: Request) -> Response:
        """Return whether the server issues."""
        health = self._health_check.look()
        return JSONResponse({"status": health.status, "code": health.code}, health.http_status, _NOT_KEPT)

    async def _ready(self, _: Request) -> Response:
        """Return whether new boards should be sent here."""
        ready = self._look_ready()
        return JSONResponse({"ready": not ready.why, "why": ready.why}, ready.http_status, _NOT_KEPT)

    async def _metrics(self, request: Request) -> Response:
        page = self._metrics_page
        if page is None or not page.admits(request.headers.get("authorization", "")):
            raise HTTPException(401, "The token of the metrics is missing.", {"WWW-Authenticate": "Bearer"})
        return Response(await asyncio.to_thread(page.read), headers={"Content-Type": page.content_type, **_NOT_KEPT})
