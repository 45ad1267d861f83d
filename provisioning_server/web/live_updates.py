"""Live updates: signers and counters are looked at a few times a second, and changes are sent to all open pages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict
from typing import Final

from provisioning_server.web.views import PROOFS_KEY, SignerState, SignerView

LOOK_SECONDS: Final = 0.25
PING_SECONDS: Final = 10.0
_ABLE: Final = (SignerState.READY, SignerState.LOW)
Counters = Mapping[str, int]


class LiveSigners:
    """Numbers each change. Its methods run on the event loop."""

    def __init__(
        self,
        look: Callable[[], list[SignerView]],
        notice: Callable[[], str] = str,
        counters: Callable[[], Counters] = dict,
    ) -> None:
        """`notice` returns what else is to be shown above the signers, `counters` by what other pages know a change."""
        self._look = look
        self._notice = notice
        self._count = counters
        self._watching = 0
        self._changed = asyncio.Event()
        self._stopped = False
        self._number = 0
        self._written = (-1, "")
        self.views: list[SignerView] = []
        self.notice = ""
        self.counters: Counters = {}
        self.look()

    @property
    def watched(self) -> bool:
        """Return whether a page is open that follows the changes."""
        return self._watching > 0

    def look(self) -> None:
        """Look at the signers now."""
        views, notice = self._look(), self._notice()
        counters = self._count()
        if (views, notice, counters) != (self.views, self.notice, self.counters):
            self.views, self.notice, self.counters = views, notice, counters
            self._number += 1
            self.wake()

    async def run(self) -> None:
        """Look at the signers until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def stop(self) -> None:
        """End all streams."""
        self._stopped = True
        self.wake()

    async def events(self, wanted: Callable[[], bool]) -> AsyncIterator[str]:
        """Yield server-sent events, the whole state each, while they are `wanted`; comments keep the line alive."""
        told = -1
        self.look()
        self._watching += 1
        try:
            while not self._stopped and wanted():
                if told != self._number:
                    told = self._number
                    yield self._event()
                    continue
                try:
                    await asyncio.wait_for(self._changed.wait(), PING_SECONDS)
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            self._watching -= 1

    def _event(self) -> str:
        """Return the event of the newest change; written once for all open pages."""
        if self._written[0] != self._number:
            data = json.dumps({**snapshot(self.views, self.notice), "counters": self.counters})
            self._written = (self._number, f"id: {self._number}\nevent: signers\ndata: {data}\n\n")
        return self._written[1]

    def wake(self) -> None:
        """Wake all streams: they may have to end, or to send changes."""
        self._changed.set()
        self._changed = asyncio.Event()


def snapshot(views: list[SignerView], notice: str = "") -> dict[str, object]:
    """Return the state for JSON: the signers and their summary."""
    waiting = sum(view.state == SignerState.WAITING for view in views)
    return {"summary": summary(views, notice), "waiting": waiting, "signers": [asdict(view) for view in views]}


def summary(views: list[SignerView], notice: str = "") -> str:
    """Return a summary of all signers, before it what else is to be known."""
    if notice:
        return f"{notice} {summary(views)}"
    signers = [view for view in views if view.key != PROOFS_KEY]
    if not signers:
        return "No signers"
    ready = sum(view.state in _ABLE for view in signers)
    waiting = sum(view.state == SignerState.WAITING for view in signers)
    parts = [f"{ready} of {len(signers)} ready"]
    if waiting:
        parts.append("1 waits for its password" if waiting == 1 else f"{waiting} wait for their passwords")
    return ", ".join(parts)
