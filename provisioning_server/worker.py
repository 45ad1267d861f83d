"""The one thread that issues. It takes all requests that wait, so one sync of the disk serves them all."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from provisioning_server import refusals
from provisioning_server.authority import ProgramLog, Reply, Request

BATCH_MAX: Final = 256
"""Most requests that are answered with one sync."""

Deliver = Callable[[Reply], None]


class Answerer(Protocol):
    """What the worker runs: the authority."""

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer a batch."""


class IssuingWorker:
    """Runs an authority in a thread; replies are delivered on the event loop."""

    def __init__(self, authority: Answerer, loop: asyncio.AbstractEventLoop, log: ProgramLog) -> None:
        self._authority = authority
        self._log = log
        self._loop = loop
        self._waiting: queue.SimpleQueue[tuple[Request, Deliver] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="issuing", daemon=True)
        self._thread.start()

    def submit(self, request: Request, deliver: Deliver) -> None:
        """Have a request answered; `deliver` is called on the loop with the reply."""
        self._waiting.put((request, deliver))

    async def stop(self) -> None:
        """Answer what was submitted before, then end the thread."""
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        more = True
        while more:
            batch, more = self._take()
            if batch:
                replies = self._answer([request for request, _ in batch])
                deliveries = [(deliver, reply) for (_, deliver), reply in zip(batch, replies, strict=True)]
                self._loop.call_soon_threadsafe(_deliver_all, deliveries)

    def _answer(self, requests: list[Request]) -> list[Reply]:
        try:
            return self._authority.answer(requests)
        except Exception as error:  # a fault of the program must not end the thread that all clients wait for
            self._log.error(f"A fault of the program: {error!r}")
            return [refusals.INTERNAL] * len(requests)

    def _take(self) -> tuple[list[tuple[Request, Deliver]], bool]:
        """Wait for a request and take all others that wait; the flag is False when the end came."""
        batch: list[tuple[Request, Deliver]] = []
        item = self._waiting.get()
        while item is not None:
            batch.append(item)
            if len(batch) == BATCH_MAX or self._waiting.empty():
                return batch, True
            item = self._waiting.get()
        return batch, False


def _deliver_all(deliveries: list[tuple[Deliver, Reply]]) -> None:
    for deliver, reply in deliveries:
        deliver(reply)
