from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from atcaprov.web.gate import SECURITY_HEADERS, Gate
from tests.support.server_parts import RememberingLog


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def replies(gate: Gate) -> list[Message]:
    """Send a request through the gate; return what comes out of it."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"here:80")]}
    asyncio.run(gate(scope, _nothing, send))
    return sent


@pytest.mark.parametrize("begun", [False, True])
def test_exception_is_logged_without_its_text(begun: bool) -> None:
    async def faulty(scope: Scope, receive: Receive, send: Send) -> None:
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("the password was geheim")

    log = RememberingLog()
    start, *rest = replies(Gate(faulty, ["here:80"], "http", log))
    assert start["status"] == (200 if begun else 500)
    assert {name.decode() for name, _ in start["headers"]} >= {name.lower() for name in SECURITY_HEADERS}
    assert b"geheim" not in b"".join(message.get("body", b"") for message in rest)
    (line,) = log.lines
    assert line.startswith("error: Internal error of the web page: ValueError at ")
    assert "faulty" in line
    assert "geheim" not in line
