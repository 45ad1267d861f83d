from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

from provisioning_server import rejections
from provisioning_server.issuing.requests import ClientRequest, Item, PendingReply, Reply, Request
from provisioning_server.issuing.worker import BATCH_MAX, IssuingWorker
from tests.support.server import PATIENCE
from tests.support.server_parts import RememberingLog
from tests.support.wire_examples import ERROR, REPLY, REQUEST, SIGNER_REPLY, SIGNER_REQUEST


class SlowAuthority:
    """Answers when the test lets it; remembers the size of each batch."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def answer(self, items: Sequence[Item]) -> list[Reply]:
        self.batches.append(len(items))
        self.begun.set()
        assert self.go_on.wait(PATIENCE)
        return [REPLY if item == ClientRequest(REQUEST) else SIGNER_REPLY for item in items]


def test_waiting_requests_are_answered_in_one_batch_in_order() -> None:
    async def run() -> tuple[SlowAuthority, list[tuple[int, Reply]]]:
        authority, delivered = SlowAuthority(), []
        worker = IssuingWorker(authority, asyncio.get_running_loop(), RememberingLog())

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


def test_internal_error_is_answered_and_logged_and_work_goes_on() -> None:
    class FaultyAuthority:
        calls = 0

        def answer(self, items: Sequence[Item]) -> list[Reply]:
            self.calls += 1
            if self.calls == 1:
                raise KeyError("bug")
            return [ERROR] * len(items)

    async def run() -> list[Reply]:
        replies: asyncio.Queue[Reply] = asyncio.Queue()
        worker = IssuingWorker(FaultyAuthority(), asyncio.get_running_loop(), log)
        found = []
        for _ in range(2):
            worker.submit(REQUEST, replies.put_nowait)
            found.append(await replies.get())
        await worker.stop()
        return found

    log = RememberingLog()
    assert asyncio.run(run()) == [rejections.INTERNAL, ERROR]
    assert log.lines == ["error: Internal error: KeyError('bug')"]


def test_internal_error_leaves_no_one_waiting_for_a_slow_signer() -> None:
    class FaultyAuthority:
        def answer(self, items: Sequence[Item]) -> list[Reply | PendingReply]:
            if items == [ClientRequest(REQUEST)]:
                return [PendingReply(ClientRequest(REQUEST), REQUEST)]
            raise KeyError("bug")

    async def run() -> list[Reply]:
        replies: asyncio.Queue[Reply] = asyncio.Queue()
        worker = IssuingWorker(FaultyAuthority(), asyncio.get_running_loop(), RememberingLog())
        worker.submit(REQUEST, replies.put_nowait)
        await asyncio.sleep(0)
        worker.submit(SIGNER_REQUEST, replies.put_nowait)
        found = [await replies.get()]
        worker.submit(SIGNER_REQUEST, replies.put_nowait)
        found += [await replies.get(), await replies.get()]
        await worker.stop()
        return found

    assert asyncio.run(run()) == [rejections.INTERNAL] * 3


def test_thread_that_ends_by_an_exception_is_reported() -> None:
    class OddAuthority:
        def answer(self, items: Sequence[Item]) -> list[Reply]:
            return []  # a reply for each item was promised

    async def run() -> BaseException:
        loop = asyncio.get_running_loop()
        died: asyncio.Future[BaseException] = loop.create_future()
        worker = IssuingWorker(OddAuthority(), loop, RememberingLog(), died.set_result)
        worker.submit(REQUEST, lambda _: None)
        return await asyncio.wait_for(died, PATIENCE)

    assert isinstance(asyncio.run(run()), ValueError)
