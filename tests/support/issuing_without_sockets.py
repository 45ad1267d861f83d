"""A server's issuing part without sockets: authority, worker, queue and slow signers, between requests and replies."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from atcaprov.certs.issued_record import IssuedRecord
from atcaprov.wire.messages import CertificatesReply, ErrorReply, SignerRequest
from provisioning_server.issuing.authority import Authority
from provisioning_server.issuing.requests import Reply, Request
from provisioning_server.issuing.signing_queue import Signed, SignerEvent, SigningQueue
from provisioning_server.issuing.signing_thread import SigningThreads
from provisioning_server.issuing.worker import IssuingWorker
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.signers.signer import Signer
from tests.support.in_memory_signer import NOW, MemorySigner
from tests.support.ledgers import ledger_in, records_of
from tests.support.server import PATIENCE
from tests.support.server_parts import RememberingLog, chip_serial, without_challenge


class SlowSigner(MemorySigner):
    """Sign when the test allows it; raise `fault` instead, or sign something else if `wrong`."""

    slow = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.rested = threading.Semaphore(0)
        self.fault: Exception | None = None
        self.wrong = False

    def sign(self, digest: bytes) -> bytes:
        self.begun.release()
        assert self.go_on.acquire(timeout=PATIENCE)
        if self.fault is not None:
            raise self.fault
        if self.remaining is not None:
            self.remaining -= 1
        return super().sign(bytes(32) if self.wrong else digest)

    def rest(self) -> None:
        super().rest()
        self.rested.release()

    def wait_until_it_signs(self) -> None:
        assert self.begun.acquire(timeout=PATIENCE)


class _DirectLoop:
    """Stand for the event loop of a reply: call at once."""

    def call_soon_threadsafe(self, callback: Callable[..., None], *arguments: object) -> None:
        callback(*arguments)


class IssuingLine:
    """Take requests and give replies. A slow signer gets its thread when it is plugged in.

    `signed` is called whenever a slow signer has done a job, before it takes the next one.
    """

    def __init__(
        self,
        data: Path,
        signers: Iterable[Signer],
        signed: Callable[[], None] = lambda: None,
        *,
        rest_after: float = PATIENCE,
        **options: Any,
    ) -> None:
        self._signed = signed
        self.now = max(NOW, datetime.now(UTC))
        self.log = RememberingLog()
        self.registry = SignerRegistry()
        self.ledger = ledger_in(data)
        self.queue = SigningQueue(self.registry, self._tell, rest_after)
        authority = Authority(
            self.registry, self.ledger, self.log, lambda: self.now, slow_signers=self.queue, **options
        )
        self.worker = IssuingWorker(authority, cast(asyncio.AbstractEventLoop, _DirectLoop()))
        self._threads = SigningThreads(self.registry, self.queue, self.log, lambda: self.now)
        self._slow: list[Signer] = []
        for signer in signers:
            self.plug(signer)

    def __enter__(self) -> IssuingLine:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.ledger.close()

    def plug(self, signer: Signer) -> None:
        self.registry.add(signer)
        if signer.slow:
            self._slow.append(signer)
            self._threads.start(signer)

    def unplug(self, signer: Signer) -> None:
        self.registry.remove(signer)
        self.queue.signers_changed()

    def _tell(self, event: SignerEvent) -> None:
        if isinstance(event, Signed):
            self._signed()
        self.worker.tell(event)

    def records(self, number: int) -> list[IssuedRecord]:
        """Return the records of a chip, oldest first."""
        return records_of(self.ledger, chip_serial(number))

    def ask(self, request: Request, client: str = "") -> Future[Reply]:
        """Submit a request; return the future of its reply."""
        future: Future[Reply] = Future()
        self.worker.submit(request, future.set_result, client)
        return future

    def certify(self, request: Request) -> CertificatesReply:
        """Return the certificates, without the challenge, which is another one each time."""
        return certificates(self.ask(request))

    def flush(self) -> None:
        """Return when everything that was asked before is decided."""
        self.ask(SignerRequest(bytes(64))).result(PATIENCE)

    def stop(self) -> None:
        """Stop the slow signers, which must be allowed to go on before, and the worker."""
        self.queue.stop()
        for signer in self._slow:
            self._threads.join(signer)
        asyncio.run(self.worker.stop())


def certificates(future: Future[Reply]) -> CertificatesReply:
    reply = future.result(PATIENCE)
    assert isinstance(reply, CertificatesReply), reply
    return without_challenge(reply)


def refused(future: Future[Reply]) -> ErrorReply:
    reply = future.result(PATIENCE)
    assert isinstance(reply, ErrorReply), reply
    return reply
