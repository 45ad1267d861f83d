from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

from provisioning_server.issuing.issuance import prepare
from provisioning_server.issuing.requests import ClientRequest, Delivery, Item, Reply, Request
from provisioning_server.issuing.signing_queue import Permit, SigningBegins, SigningJob
from provisioning_server.issuing.worker import BATCH_MAX, IssuingWorker
from tests.support.in_memory_signer import NOW, MemorySigner
from tests.support.server import PATIENCE
from tests.support.server_parts import CHIP_KEY, chip_serial
from tests.support.wire_examples import REPLY, REQUEST, SIGNER_REPLY, SIGNER_REQUEST


class SlowAuthority:
    """Answers when the test lets it; remembers the size of each batch."""

    waits = None

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def step(self, items: Sequence[Item], deliver: Callable[[list[Delivery]], None]) -> None:
        self.batches.append(len(items))
        self.begun.set()
        assert self.go_on.wait(PATIENCE)
        asked = [item for item in items if isinstance(item, ClientRequest)]
        deliver([(each.deliver, REPLY if each.request == REQUEST else SIGNER_REPLY) for each in asked])


def test_waiting_requests_are_answered_in_one_batch_in_order() -> None:
    async def run() -> tuple[SlowAuthority, list[tuple[int, Reply]]]:
        authority, delivered = SlowAuthority(), []
        worker = IssuingWorker(authority, asyncio.get_running_loop())

        def submit(number: int, request: Request) -> None:
            worker.submit(request, lambda reply: delivered.append((number, reply)))

        submit(0, REQUEST)
        assert await asyncio.to_thread(authority.begun.wait, PATIENCE)
        for number in range(1, BATCH_MAX + 11):
            submit(number, SIGNER_REQUEST if number % 2 else REQUEST)
        assert delivered == []
        authority.go_on.set()
        await worker.stop()
        await asyncio.sleep(0)
        return authority, delivered

    authority, delivered = asyncio.run(run())
    assert authority.batches == [1, BATCH_MAX, 10]
    assert delivered == [(number, SIGNER_REPLY if number % 2 else REPLY) for number in range(BATCH_MAX + 11)]


class TwoStepAuthority:
    """Replies in the step after the one in which it was asked, as one that writes its results in the next one."""

    def __init__(self) -> None:
        self.open: list[ClientRequest] = []
        self.batches: list[int] = []

    @property
    def waits(self) -> float | None:
        return 0.0 if self.open else None

    def step(self, items: Sequence[Item], deliver: Callable[[list[Delivery]], None]) -> None:
        self.batches.append(len(items))
        deliver([(each.deliver, REPLY) for each in self.open])
        self.open = [item for item in items if isinstance(item, ClientRequest)]


def test_a_step_that_is_due_comes_though_nothing_is_asked() -> None:
    async def run() -> list[int]:
        authority = TwoStepAuthority()
        replies: asyncio.Queue[Reply] = asyncio.Queue()
        worker = IssuingWorker(authority, asyncio.get_running_loop())
        worker.submit(REQUEST, replies.put_nowait)
        assert await asyncio.wait_for(replies.get(), PATIENCE) == REPLY
        worker.submit(REQUEST, replies.put_nowait)
        await worker.stop()
        assert await asyncio.wait_for(replies.get(), PATIENCE) == REPLY, "what was asked before the end is answered"
        return authority.batches

    assert asyncio.run(run()) == [1, 0, 1, 0]


class OddAuthority:
    """Fails in a way that no one has thought of."""

    waits = None

    def step(self, items: Sequence[Item], deliver: Callable[[list[Delivery]], None]) -> None:
        raise KeyError("bug")


def test_thread_that_ends_by_an_exception_is_reported_and_lets_no_signer_wait() -> None:
    async def run() -> tuple[BaseException, bool]:
        loop = asyncio.get_running_loop()
        died: asyncio.Future[BaseException] = loop.create_future()
        worker = IssuingWorker(OddAuthority(), loop, died.set_result)
        worker.submit(REQUEST, lambda _: None)
        error = await asyncio.wait_for(died, PATIENCE)
        signer, permit = MemorySigner(), Permit()
        prepared = prepare(signer, CHIP_KEY, chip_serial(1), NOW)
        await worker.stop()
        worker.tell(SigningBegins(SigningJob(REQUEST, chip_serial(1), None), prepared, signer, permit))
        return error, await asyncio.wait_for(asyncio.to_thread(permit.wait), PATIENCE)

    error, may_sign = asyncio.run(run())
    assert isinstance(error, KeyError)
    assert not may_sign
