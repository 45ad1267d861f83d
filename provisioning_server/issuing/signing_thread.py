"""One thread for each slow signer: it takes jobs, signs, checks what came out, and hands it on.

Here a signer that fails is noticed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Final

from atcaprov.errors import AtcaProvError, CertificateError, Code, TransportError
from atcaprov.log import Log, LogEvent, log_event
from provisioning_server import rejections
from provisioning_server.issuing.signing_queue import Job, SigningJob, SigningQueue, signed_result
from provisioning_server.log_names import by_text, label
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.signers.signer import Signer

FEW_LEFT: Final = (100, 10, 1)
"""Signatures left of a quota at which a warning is logged, besides the number from which on it is low."""


class SigningThread:
    """Keeps one signer busy until it is removed, excluded or the queue is stopped."""

    def __init__(
        self, signer: Signer, registry: SignerRegistry, queue: SigningQueue, log: Log, now: Callable[[], datetime]
    ) -> None:
        self._signer = signer
        self._registry = registry
        self._queue = queue
        self._log = log
        self._now = now
        self._name = label(signer.serial, signer.name)
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)

    def start(self) -> None:
        """Start with a signer that is ready. One without quota is excluded at once, before a board is touched."""
        if self._signer.remaining == 0:
            self._used_up()
        self._queue.ready(self._signer)
        self._thread.start()

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join()

    def _run(self) -> None:
        try:
            while (job := self._queue.take(self._signer)) is not None:
                self._do(job)
        except Exception as error:  # without its thread a signer would only seem to be ready
            self._at_fault(error)

    def _do(self, job: Job) -> None:
        try:
            prepared = job.prepare(self._signer, self._now())
        except Exception as error:  # this is not the signer's error: another signer could not do the job either
            self._log.error(_failed(job, _text(error)))
            self._queue.refuse(job, rejections.INTERNAL)
            return
        if not self._queue.may_sign(job, prepared, self._signer):
            return
        was_low, before = self._signer.quota_low, self._signer.counter
        try:
            result = signed_result(prepared, self._signer)
        except Exception as error:  # a signer may raise anything; the others of its group go on
            self._at_fault(error)
            self._queue.failed(job, _text(error), _was_signed(error, counted=before is not None))
            return
        if self._signer.remaining == 0:
            self._used_up()
        elif self._signer.remaining in FEW_LEFT or self._signer.quota_low > was_low:
            self._log.warning(f"{self._name} can issue {self._signer.remaining} more.")
        self._queue.signed(job, result, self._signer, before)

    def _at_fault(self, error: Exception) -> None:
        if isinstance(error, TransportError):
            if self._registry.remove(self._signer):
                self._log.warning(f"{self._name} no longer answers: {error}")
        elif isinstance(error, AtcaProvError) and error.code == Code.QUOTA_USED_UP:
            self._used_up()
        elif isinstance(error, AtcaProvError) and error.code == Code.PASSWORD_WRONG:
            self._registry.remove(self._signer)
            self._log.warning(f"{self._name} asks for its password again: {error}")
        else:
            self._registry.exclude(self._signer, rejections.SIGNER_QUARANTINED, _text(error))
            self._log.error(f"{self._name} gave a wrong answer and is out of use until it is reconnected: "
                            f"{_text(error)}")  # fmt: skip
        self._queue.signers_changed()

    def _used_up(self) -> None:
        self._registry.exclude(self._signer, rejections.QUOTA_USED_UP)
        self._log.warning(f"{self._name} quota used up.")
        self._queue.signers_changed()


class SigningThreads:
    """The threads of all slow signers that are in use."""

    def __init__(self, registry: SignerRegistry, queue: SigningQueue, log: Log, now: Callable[[], datetime]) -> None:
        self._registry = registry
        self._queue = queue
        self._log = log
        self._now = now
        self._threads: dict[int, SigningThread] = {}  # by id of the signer object

    def __contains__(self, signer: object) -> bool:
        return id(signer) in self._threads

    def start(self, signer: Signer) -> None:
        """Start the thread of a slow signer that is ready."""
        thread = self._threads[id(signer)] = SigningThread(signer, self._registry, self._queue, self._log, self._now)
        thread.start()

    def join(self, signer: Signer) -> None:
        """Wait until the thread of a removed signer has ended, if it has one."""
        thread = self._threads.pop(id(signer), None)
        if thread is not None:
            thread.join()

    def signers_changed(self) -> None:
        """Look again which signer may do which job."""
        self._queue.signers_changed()


def _was_signed(error: Exception, *, counted: bool) -> bool | None:
    """Return whether a signer that failed has used its counter; None if that is not known, or its counter will tell."""
    if isinstance(error, CertificateError):  # it has answered, wrongly
        return None if counted else True
    refused = isinstance(error, AtcaProvError) and error.code in (Code.QUOTA_USED_UP, Code.PASSWORD_WRONG)
    return False if refused else None


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, AtcaProvError) else repr(error)


def _failed(job: Job, why: str) -> LogEvent:
    """Return the line of the log for a job that could not be prepared."""
    if not isinstance(job, SigningJob):
        return log_event("failed", f"A request failed: {why}")
    run = job.request.request_id
    return log_event("failed", f"A request failed{by_text('', run)}: {why}", request_id=run.hex(), chip=job.chip_serial)
