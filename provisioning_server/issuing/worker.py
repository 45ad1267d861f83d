"""The thread that issues. It takes all waiting requests at once, so one sync of the disk serves them all."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from atcaprov.errors import AtcaProvError, Code
from provisioning_server.issuing.requests import (
    Administration,
    AdministrationOutcome,
    ClientRequest,
    CrlOrder,
    CrlOutcome,
    Deliver,
    Delivery,
    Item,
    Request,
)
from provisioning_server.issuing.signing_queue import SignerEvent, SigningBegins
from provisioning_server.ledger.administer import Decide

BATCH_MAX: Final = 256
"""Most requests that are answered with one sync."""


def _ignore(_: BaseException) -> None:
    pass


class Answerer(Protocol):
    """What the worker runs: an authority."""

    @property
    def waits(self) -> float | None:
        """Return in how many seconds the next step is due though nothing comes in; None if none is."""

    def step(self, items: Sequence[Item], deliver: Callable[[list[Delivery]], None]) -> None:
        """Take a batch, and deliver what is due."""


class IssuingWorker:
    """Runs an authority in a thread; replies are delivered on the event loop.

    `died` is called on the loop if the thread ends by an exception; after that no request is answered.
    """

    def __init__(
        self,
        authority: Answerer,
        loop: asyncio.AbstractEventLoop,
        died: Callable[[BaseException], None] = _ignore,
    ) -> None:
        self._authority = authority
        self._died = died
        self._loop = loop
        self._waiting: queue.SimpleQueue[Item | asyncio.Event | None] = queue.SimpleQueue()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="issuing", daemon=True)
        self._thread.start()

    def submit(self, request: Request, deliver: Deliver, client: str = "", station: str = "") -> None:
        """Queue a request of a client, named by its address and station; `deliver` gets the reply on the loop."""
        self._waiting.put(ClientRequest(request, client, deliver, station))

    def administer(self, decide: Decide, deliver: Callable[[AdministrationOutcome], None]) -> None:
        """Queue what a person decides; `deliver` gets the outcome on the loop. From any thread."""
        self._waiting.put(Administration(decide, deliver))
        if self._ended:
            self._refuse_waiting()

    def order_crl(self, order: CrlOrder) -> None:
        """Queue an order for a list of revoked certificates; its outcome is delivered on the loop. From any thread."""
        self._waiting.put(order)
        if self._ended:
            self._refuse_waiting()

    def tell(self, event: SignerEvent) -> None:
        """Queue what happened to a job of a slow signer; from any thread."""
        self._waiting.put(event)
        if self._ended:
            self._refuse_waiting()

    async def answers(self) -> None:
        """Wait until the thread has taken all that was queued before: never, while it hangs."""
        reached = asyncio.Event()
        self._waiting.put(reached)
        await reached.wait()

    async def stop(self) -> None:
        """Answer what was submitted before, then end the thread."""
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self._loop.call_soon_threadsafe(self._died, error)
        finally:
            self._ended = True
            self._refuse_waiting()

    def _work(self) -> None:
        more = True
        while more or self._authority.waits is not None:
            batch, more = self._take(more)
            self._authority.step(batch, self._deliver)

    def _deliver(self, deliveries: list[Delivery]) -> None:
        if deliveries:
            self._loop.call_soon_threadsafe(_deliver_all, deliveries)

    def _take(self, more: bool) -> tuple[list[Item], bool]:
        """Take what waits; wait for it if nothing else is due. The flag is False after the end was seen."""
        batch: list[Item] = []
        try:
            item = self._waiting.get(timeout=self._authority.waits)
            while item is not None:
                if isinstance(item, asyncio.Event):
                    self._loop.call_soon_threadsafe(item.set)
                else:
                    batch.append(item)
                if len(batch) == BATCH_MAX:
                    return batch, more
                item = self._waiting.get_nowait()
        except queue.Empty:
            return batch, more
        return batch, False

    def _refuse_waiting(self) -> None:
        """Let the threads of slow signers end, and persons know: no one else tells them that nothing is done."""
        try:
            while True:
                item = self._waiting.get_nowait()
                if isinstance(item, SigningBegins):
                    item.permit.refuse()
                elif isinstance(item, Administration):
                    self._loop.call_soon_threadsafe(item.deliver, AdministrationOutcome(error=_stopping()))
                elif isinstance(item, CrlOrder):
                    self._loop.call_soon_threadsafe(item.deliver, CrlOutcome(error=_stopping()))
        except queue.Empty:
            return


def _stopping() -> AtcaProvError:
    return AtcaProvError("The server is stopping.", code=Code.SERVER_STOPPING)


def _deliver_all(deliveries: list[Delivery]) -> None:
    for deliver, reply in deliveries:
        deliver(reply)
