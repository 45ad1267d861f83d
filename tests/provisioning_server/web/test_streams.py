"""How many pages may be open at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from atcaprov.web.logins import Logins
from atcaprov.web.roles import Role
from provisioning_server.passwords.unlock_service import UnlockService
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.web import signer_pages as pages
from provisioning_server.web.health import HealthCheck
from provisioning_server.web.live_updates import LiveSigners
from provisioning_server.web.routes import PageParts, Pages
from provisioning_server.web.views import SignerOverview
from tests.support.server_parts import RememberingLog


def test_pages_that_are_opened_all_at_once_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "STREAMS_MAX", 2)
    registry, log, logins = SignerRegistry(), RememberingLog(), Logins()
    unlock_service = UnlockService(registry, log)
    live = LiveSigners(list)
    health = HealthCheck(registry, lambda _: None, str)
    overview = SignerOverview(registry, unlock_service, lambda _: None)
    application = Pages(
        PageParts(overview, live, unlock_service, health, logins, log, lambda: None, cookie_name="login", tls=False)
    ).application()
    session = logins.log_in(logins.new_code(Role.LOOK))
    assert session is not None
    cookie = f"login={session.cookie}".encode()
    scope = {"type": "http", "method": "GET", "path": "/signers/events", "query_string": b"", "root_path": ""}
    begun: asyncio.Queue[int] = asyncio.Queue()

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            begun.put_nowait(message["status"])

    async def open_pages(number: int) -> list[int]:
        headers = [(b"cookie", cookie)]
        requests = [
            asyncio.create_task(application({**scope, "headers": headers}, receive, send)) for _ in range(number)
        ]
        found = [await begun.get() for _ in requests]
        live.stop()
        await asyncio.gather(*requests)
        return sorted(found)

    async def run() -> list[int]:
        return await open_pages(5) + await open_pages(1)

    assert asyncio.run(run()) == [200, 200, 503, 503, 503, 200]
