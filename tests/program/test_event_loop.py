"""Programs use the selector loop on every system: the default loop of Windows stops accepting after an early reset."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from atcaprov.program import event_loop

PACKAGES = ("atcaprov", "provisioning_client", "provisioning_server", "signer_module")


def test_selector_loop_is_used_on_every_system(monkeypatch: pytest.MonkeyPatch) -> None:
    class Preferred(asyncio.SelectorEventLoop):
        """Stands for the default loop of Windows."""

    async def kind() -> type:
        return type(asyncio.get_running_loop())

    monkeypatch.setattr(asyncio.events, "new_event_loop", Preferred)
    assert asyncio.run(kind()) is Preferred
    assert event_loop.run(kind()) is asyncio.SelectorEventLoop


def test_no_program_uses_another_loop() -> None:
    root = Path(__file__).parents[2]
    sources = [path for package in PACKAGES for path in (root / package).rglob("*.py")]
    other = re.compile(r"asyncio\.(run|new_event_loop)\(|run_until_complete")
    assert [path for path in sources if other.search(path.read_text(encoding="utf-8"))] == []
