"""How many pages may be open at once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from atcaprov.web.roles import Role
from provisioning_server.web import signer_pages as pages
from tests.support.web_pages import MemoryPages


def test_pages_that_are_opened_all_at_once_are_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "STREAMS_MAX", 2)
    found = MemoryPages(tmp_path)
    application, live = found.application, found.parts.live
    cookie = f"login={found.log_in(Role.LOOK, '').cookie}".encode()
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
