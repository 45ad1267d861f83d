"""The queue of jobs for slow signers: one for all.

Stations take turns, and the jobs of one are done in the order in which they came: a station with many connections waits
behind itself, not the others behind it. A signer takes the first job that it may do: one that names it, or one of its
group. A job that a signer could not do goes back to the head of the queue.
"""

from __future__ import annotations

import bisect
import operator
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from atcaprov.certs.issued_record import IssuedRecord
from atcaprov.wire.messages import CertificatesRequest, ErrorReply
from provisioning_server import rejections
from provisioning_server.issuing.issuance import Prepared, finish, prepare
from provisioning_server.revocation.crl import PendingCrl
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.signers.signer import SignatureCounter, Signer

REST_AFTER_SECONDS: Final = 1.0
"""After this time without a job a signer rests: a chip sleeps then."""


@dataclass(frozen=True, slots=True, eq=False)
class SigningJob:
    """A certificate to sign for a chip; `group` (32 bytes) if another signer than the named one may do it.

    `asker` names the station that waits for it; see `orders/askers`.
    """

    request: CertificatesRequest
    chip_serial: bytes
    group: bytes | None
    asker: str = ""

    @property
    def signer_public_key(self) -> bytes:
        """Return the key (X||Y) of the signer that is named."""
        return self.request.signer_public_key

    def prepare(self, signer: Signer, now: datetime) -> Prepared:
        """Build what a signer is to sign; raises CertificateError."""
        return prepare(signer, self.request.public_key, self.chip_serial, now, self.request.unit)


@dataclass(frozen=True, slots=True, eq=False)
class CrlJob:
    """A list of revoked certificates to sign. `build` makes it when its signer, which alone can do it, begins."""

    signer_public_key: bytes
    build: Callable[[Signer, datetime], PendingCrl]
    group: bytes | None = None
    asker: str = "the server"

    def prepare(self, signer: Signer, now: datetime) -> PendingCrl:
        """Build what the signer is to sign."""
        return self.build(signer, now)


Job = SigningJob | CrlJob
Unsigned = Prepared | PendingCrl
Result = IssuedRecord | bytes
"""The record of a certificate, or a CRL (DER)."""


def signed_result(unsigned: Unsigned, signer: Signer) -> Result:
    """Let a signer sign what was built for it; raises CertificateError, or what the signer raises."""
    if isinstance(unsigned, PendingCrl):
        return unsigned.finish(signer.sign(unsigned.digest))
    return finish(unsigned, signer)


class Permit:
    """A signer's thread waits here until the intent of its job is on the disk, or refused."""

    def __init__(self) -> None:
        self._decided = threading.Event()
        self._granted = False

    def grant(self) -> None:
        """Let it sign."""
        self._granted = True
        self._decided.set()

    def refuse(self) -> None:
        """Let it take another job."""
        self._decided.set()

    def wait(self) -> bool:
        """Return whether it may sign."""
        self._decided.wait()
        return self._granted


@dataclass(frozen=True, slots=True)
class SignerReady:
    """A slow signer is ready; it is compared with the ledger before it signs."""

    signer: Signer


@dataclass(frozen=True, slots=True)
class SigningBegins:
    """A signer has taken a job: its intent is to be written before it signs."""

    job: Job
    prepared: Unsigned
    signer: Signer
    permit: Permit


@dataclass(frozen=True, slots=True)
class Signed:
    """A job is done: a result that is not written yet. `before` is where the signer's counter stood before that."""

    job: Job
    result: Result
    signer: Signer
    before: SignatureCounter | None = None


@dataclass(frozen=True, slots=True)
class SigningFailed:
    """A signer failed while it signed. `signed`: whether its counter was used, None if it cannot tell."""

    job: Job
    reason: str
    signed: bool | None


@dataclass(frozen=True, slots=True)
class JobRefused:
    """No signer can do a job, or none could; nothing was signed."""

    job: Job
    refusal: ErrorReply


JobEvent = SigningBegins | Signed | SigningFailed | JobRefused
SignerEvent = JobEvent | SignerReady


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A job, and in which round it is due: a station has one job in each round."""

    job: Job
    round: int


_FIRST: Final = 0
_ROUND: Final = operator.attrgetter("round")


class SlowSigners(Protocol):
    """Takes jobs for slow signers."""

    def put(self, job: Job) -> None:
        """Queue a job; what happens to it comes back as `SignerEvent`."""

    def give_back(self, job: Job) -> None:
        """Put a job first in the queue: a signer took it and could not do it."""

    def signers_changed(self) -> None:
        """Look again which signer may do which job: one was taken out of use."""


class SigningQueue:
    """The queue. `tell` is called with what happens to each job, from any thread, and must return at once."""

    def __init__(
        self, registry: SignerRegistry, tell: Callable[[SignerEvent], None], rest_after: float = REST_AFTER_SECONDS
    ) -> None:
        self._rest_after = rest_after
        self._registry = registry
        self._tell = tell
        self._waiting: list[_Waiting] = []
        """In the order in which they are due."""
        self._round = _FIRST
        """That of the job that was taken last."""
        self._last_rounds: dict[str, int] = {}
        """Of stations, those of the jobs that they put last."""
        self._changed = threading.Condition()
        self._stopped = False

    @property
    def length(self) -> int:
        """Return how many jobs wait for a signer."""
        return len(self._waiting)

    def put(self, job: Job) -> None:
        """Put a job into the queue: into the first round in which its station has none."""
        with self._changed:
            if self._is_possible(job):
                due = max(self._round, self._last_rounds.get(job.asker, _FIRST)) + 1
                self._last_rounds[job.asker] = due
                bisect.insort(self._waiting, _Waiting(job, due), key=_ROUND)
                self._changed.notify_all()

    def give_back(self, job: Job) -> None:
        """Put a job first in the queue: a signer took it and could not do it."""
        with self._changed:
            if self._is_possible(job):
                self._waiting.insert(0, _Waiting(job, _FIRST))
                self._changed.notify_all()

    def take(self, signer: Signer) -> Job | None:
        """Wait for a job that a signer may do, and let it rest while it waits; None when it is removed or excluded."""
        job = self._wait(signer, time.monotonic() + self._rest_after)
        if job is None and not self._stopped and self._registry.usable(signer):
            signer.rest()
            job = self._wait(signer, None)
        return job

    def _wait(self, signer: Signer, until: float | None) -> Job | None:
        """Return a job that a signer may do; None at `until` (monotonic seconds), or when it is removed or excluded."""
        with self._changed:
            while not self._stopped and self._registry.usable(signer):
                for number, waiting in enumerate(self._waiting):
                    if _may(signer, waiting.job):
                        return self._take_out(number)
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    break
                self._changed.wait(left)
        return None

    def _take_out(self, number: int) -> Job:
        taken = self._waiting.pop(number)
        self._round = max(self._round, taken.round)
        self._last_rounds = {asker: last for asker, last in self._last_rounds.items() if last > self._round}
        return taken.job

    def may_sign(self, job: Job, prepared: Unsigned, signer: Signer) -> bool:
        """Wait until the intent of a job that a signer has taken is on the disk; False if the job is over."""
        permit = Permit()
        self._tell(SigningBegins(job, prepared, signer, permit))
        return permit.wait()

    def ready(self, signer: Signer) -> None:
        """Tell that a signer is ready, before it takes a job."""
        self._tell(SignerReady(signer))

    def signed(self, job: Job, result: Result, signer: Signer, before: SignatureCounter | None) -> None:
        """Hand on the result of a job, and where the signer's counter stood before it."""
        self._tell(Signed(job, result, signer, before))

    def failed(self, job: Job, reason: str, signed: bool | None) -> None:
        """Tell that a signer failed while it signed; the job is given back when that is recorded."""
        self._tell(SigningFailed(job, reason, signed))

    def refuse(self, job: Job, refusal: ErrorReply) -> None:
        """End a job that no signer can do."""
        self._tell(JobRefused(job, refusal))

    def signers_changed(self) -> None:
        """Look again which signer may do which job: a signer was added, removed or excluded."""
        with self._changed:
            self._waiting = [waiting for waiting in self._waiting if self._is_possible(waiting.job)]
            self._changed.notify_all()

    def stop(self) -> None:
        """Refuse all waiting jobs; every `take` ends."""
        with self._changed:
            self._stopped = True
            self._waiting = [waiting for waiting in self._waiting if self._is_possible(waiting.job)]
            self._changed.notify_all()

    def _is_possible(self, job: Job) -> bool:
        """Return whether a signer can still do a job; refuse it otherwise."""
        signers = self._registry.choose(job.signer_public_key, job.group)
        if self._stopped:
            self._tell(JobRefused(job, rejections.STOPPING))
        elif isinstance(signers, ErrorReply):
            self._tell(JobRefused(job, signers))
        else:
            return True
        return False


def _may(signer: Signer, job: Job) -> bool:
    documents = signer.documents
    return documents.signer_public_key == job.signer_public_key or documents.group == job.group
