"""The queue of jobs for slow signers: one for all, in the order in which the requests came.

A connection has one request open at a time, so first come, first served is fair to each station. A signer
takes the first job that it may do: one that names it, or one of its group. A job that a signer could not do goes back
to the head of the queue.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from atcaprov.certs.issued_record import IssuedRecord
from atcaprov.wire.messages import CertificatesRequest, ErrorReply
from provisioning_server import rejections
from provisioning_server.records.signer_documents import SignerDocuments
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.signers.signer import Signer

REST_AFTER_SECONDS: Final = 1.0
"""After this time without a job a signer rests: a chip sleeps then."""


@dataclass(frozen=True, slots=True, eq=False)
class SigningJob:
    """A certificate to sign for a chip; `group` (32 bytes) if another signer than the named one may do it."""

    request: CertificatesRequest
    chip_serial: bytes
    group: bytes | None


@dataclass(frozen=True, slots=True)
class Signed:
    """The outcome of a job: a record that is not written yet and the documents it names, or a rejection."""

    job: SigningJob
    outcome: IssuedRecord | ErrorReply
    documents: SignerDocuments | None = None


class SigningQueue:
    """The queue. `done` is called with each job that has ended, from any thread, and must return at once."""

    def __init__(
        self, registry: SignerRegistry, done: Callable[[Signed], None], rest_after: float = REST_AFTER_SECONDS
    ) -> None:
        self._rest_after = rest_after
        self._registry = registry
        self._done = done
        self._jobs: list[SigningJob] = []
        self._changed = threading.Condition()
        self._stopped = False

    def put(self, job: SigningJob) -> None:
        """Put a job into the queue."""
        with self._changed:
            self._jobs += self._possible([job])
            self._changed.notify_all()

    def give_back(self, job: SigningJob) -> None:
        """Put a job first in the queue: a signer took it and could not do it."""
        with self._changed:
            self._jobs[:0] = self._possible([job])
            self._changed.notify_all()

    def take(self, signer: Signer) -> SigningJob | None:
        """Wait for a job that a signer may do, and let it rest while it waits; None when it is removed or excluded."""
        job = self._wait(signer, time.monotonic() + self._rest_after)
        if job is None and not self._stopped and self._registry.usable(signer):
            signer.rest()
            job = self._wait(signer, None)
        return job

    def _wait(self, signer: Signer, until: float | None) -> SigningJob | None:
        """Return a job that a signer may do; None at `until` (monotonic seconds), or when it is removed or excluded."""
        with self._changed:
            while not self._stopped and self._registry.usable(signer):
                for number, job in enumerate(self._jobs):
                    if _may(signer, job):
                        return self._jobs.pop(number)
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    break
                self._changed.wait(left)
        return None

    def finished(self, job: SigningJob, outcome: IssuedRecord | ErrorReply, signer: Signer) -> None:
        """Hand on the outcome of a job."""
        self._done(Signed(job, outcome, signer.documents))

    def signers_changed(self) -> None:
        """Look again which signer may do which job: a signer was added, removed or excluded."""
        with self._changed:
            self._jobs = self._possible(self._jobs)
            self._changed.notify_all()

    def stop(self) -> None:
        """Refuse all waiting jobs; every `take` ends."""
        with self._changed:
            self._stopped = True
            self._jobs = self._possible(self._jobs)
            self._changed.notify_all()

    def _possible(self, jobs: list[SigningJob]) -> list[SigningJob]:
        """Return the jobs that a signer can still do; the others are refused."""
        kept = []
        for job in jobs:
            signers = self._registry.choose(job.request.signer_public_key, job.group)
            if self._stopped:
                self._done(Signed(job, rejections.STOPPING))
            elif isinstance(signers, ErrorReply):
                self._done(Signed(job, signers))
            else:
                kept.append(job)
        return kept


def _may(signer: Signer, job: SigningJob) -> bool:
    documents = signer.documents
    return documents.signer_public_key == job.request.signer_public_key or documents.group == job.group
