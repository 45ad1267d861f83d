"""The thread that issues. It takes all waiting requests at once, so one sync of the disk serves them all."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from atcaprov.log import Log
from provisioning_server import rejections
from provisioning_server.issuing.requests import ClientRequest, Item, PendingReply, Reply, Request
from provisioning_server.issuing.signing_queue import Signed

BATCH_MAX: Final = 256
"""Most requests that are answered with one sync."""

Deliver = Callable[[Reply], None]
_Entry = tuple[Item, Deliver | None]


def _ignore(_: BaseException) -> None:
    pass


class Answerer(Protocol):
    """What the worker runs: an authority."""

    def answer(self, items: Sequence[Item]) -> Sequence[Reply | PendingReply | None]:
        """Answer a batch."""


class IssuingWorker:
    """Runs an authority in a thread; replies are delivered on the event loop.

    `died` is called on the loop if the thread ends by an exception; after that no request is answered.
    """

    def __init__(
        self,
        authority: Answerer,
        loop: asyncio.AbstractEventLoop,
        log: Log,
        died: Callable[[BaseException], None] = _ignore,
    ) -> None:
        self._authority = authority
        self._died = died
        self._log = log
        self._loop = loop
        self._waiting: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._pending: list[tuple[Deliver, PendingReply]] = []
        self._thread = threading.Thread(target=self._run, name="issuing", daemon=True)
        self._thread.start()

    def submit(self, request: Request, deliver: Deliver, client: str = "") -> None:
        """Queue a request of a client, named by its address; `deliver` is called with the reply on the loop."""
        self._waiting.put((ClientRequest(request, client), deliver))

    def signed(self, signed: Signed) -> None:
        """Queue the outcome of a slow signer's job; from any thread."""
        self._waiting.put((signed, None))

    async def stop(self) -> None:
        """Answer what was submitted before, then end the thread."""
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self._loop.call_soon_threadsafe(self._died, error)

    def _work(self) -> None:
        more = True
        while more:
            batch, more = self._take()
            if batch:
                replies = self._answer([item for item, _ in batch])
                deliveries = self._deliveries([deliver for _, deliver in batch], replies)
                self._loop.call_soon_threadsafe(_deliver_all, deliveries)

    def _answer(self, items: list[Item]) -> Sequence[Reply | PendingReply | None]:
        try:
            return self._authority.answer(items)
        except Exception as error:  # a bug must not end the thread that all clients wait for
            self._log.error(f"Internal error: {error!r}")
            for _, pending in self._pending:
                pending.reply = pending.reply or rejections.INTERNAL
            return [rejections.INTERNAL] * len(items)

    def _deliveries(
        self, delivers: Sequence[Deliver | None], replies: Sequence[Reply | PendingReply | None]
    ) -> list[tuple[Deliver, Reply]]:
        """Pair replies with their receivers: keep pending ones, and add those that are ready now."""
        now: list[tuple[Deliver, Reply]] = []
        for deliver, reply in zip(delivers, replies, strict=True):
            if deliver is None or reply is None:
                continue
            if isinstance(reply, PendingReply):
                self._pending.append((deliver, reply))
            else:
                now.append((deliver, reply))
        waiting, self._pending = self._pending, []
        for deliver, pending in waiting:
            if pending.reply is None:
                self._pending.append((deliver, pending))
            else:
                now.append((deliver, pending.reply))
        return now

    def _take(self) -> tuple[list[_Entry], bool]:
        """Wait for a request and take all others that wait; the flag is False at the end."""
        batch: list[_Entry] = []
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
