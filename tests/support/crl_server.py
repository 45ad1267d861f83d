"""One server of a ledger that signs revocation lists, step by step as a test says, with a counting module if wanted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509

from provisioning_server.issuing.authority import Authority
from provisioning_server.issuing.requests import ClientRequest, CrlOrder, CrlOutcome, Item, Reply
from provisioning_server.issuing.rollback_guard import RollbackGuard
from provisioning_server.issuing.signing_queue import Job, Permit, Signed, SigningBegins, SigningFailed, signed_result
from provisioning_server.ledger.administer import administer
from provisioning_server.ledger.administration import CrlIssued, Revoked
from provisioning_server.ledger.changes import Event
from provisioning_server.ledger.entry_bodies import decode
from provisioning_server.ledger.rollback_notes import RollbackFile
from provisioning_server.ledger.store import StoredCertificate
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.signers.signer import SignatureCounter, Signer
from tests.support.guarded_ledger import verified
from tests.support.in_memory_signer import NOW, MemorySigner
from tests.support.ledgers import ledger_in
from tests.support.server_parts import RememberingLog, chip_serial, request, step


class CountingModule(MemorySigner):
    """A module with a quota: each signature advances its counter, also one whose answer never comes."""

    slow = True

    def __init__(self) -> None:
        super().__init__()
        self.counter = SignatureCounter(28, 28)
        self.remaining = 1000


class _TakenJobs:
    """Stands for the queue: keeps the jobs for the test."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def put(self, job: Job) -> None:
        self.jobs.append(job)

    def give_back(self, job: Job) -> None:
        self.jobs.insert(0, job)

    def signers_changed(self) -> None:
        pass


class CrlServer:
    """A server that is cut by being dropped: the next one opens the ledger of its data folder."""

    def __init__(self, data: Path, *signers: Signer, name: str = "a", now: datetime = NOW) -> None:
        self.ledger = ledger_in(data)
        self.log = RememberingLog()
        self.outcomes: list[CrlOutcome] = []
        self.replies: list[Reply] = []
        self.now = now
        self.queue = _TakenJobs()
        self.guard = RollbackGuard(self.ledger, RollbackFile(data), verified, self.log, lambda: self.now)
        self.registry = SignerRegistry(signers)
        self.authority = Authority(
            self.registry,
            self.ledger,
            self.log,
            lambda: self.now,
            server=name,
            slow_signers=self.queue,
            guard=self.guard,
        )

    def step(self, *items: Item) -> None:
        """Take one step."""
        step(self.authority, items)

    def finish(self) -> None:
        """Take steps until nothing is due."""
        while self.authority.waits is not None:
            self.step()

    def order(self, signer: Signer) -> CrlOrder:
        """Return an order whose outcome is kept."""
        return CrlOrder(signer.serial, self.outcomes.append)

    def publish(self, signer: Signer) -> CrlIssued:
        """Order a list and return it."""
        self.step(self.order(signer))
        if signer.slow:
            self.sign_job(signer)
        self.finish()
        outcome = self.outcomes.pop()
        assert outcome.issued is not None, outcome.error
        return outcome.issued

    def certify(self, signer: Signer, number: int) -> StoredCertificate:
        """Certify a chip, and return its certificate."""
        self.step(ClientRequest(request(signer, number), deliver=self.replies.append))
        if signer.slow:
            self.sign_job(signer)
        self.finish()
        return self.ledger.known([chip_serial(number)], []).of_chip(chip_serial(number))[-1]

    def begin_job(self, signer: Signer) -> SigningBegins:
        """Let a slow signer take the next job, until it may sign."""
        job = self.queue.jobs.pop(0)
        begins = SigningBegins(job, job.prepare(signer, self.now), signer, Permit())
        self.step(begins)
        return begins

    def sign_job(self, signer: Signer, *, twice: bool = False) -> None:
        """Let a slow signer do the next job; it signs `twice` when noise has damaged its first answer."""
        begins = self.begin_job(signer)
        assert begins.permit.wait()
        before = signer.counter
        if twice:
            signer.sign(bytes(32))
        self.step(Signed(begins.job, signed_result(begins.prepared, signer), signer, before))

    def fail_job(self, signer: Signer, *, signed: bool | None) -> None:
        """Let a slow signer fail at the next job."""
        begins = self.begin_job(signer)
        assert begins.permit.wait()
        self.step(SigningFailed(begins.job, "it is gone", signed))

    def revoke(self, *certificates: StoredCertificate, at: datetime | None = None, reason: str = "unspecified") -> None:
        """Revoke certificates in place, as another server of the ledger might."""
        events = [revoked(each, at or self.now, reason) for each in certificates]
        administer(self.ledger, lambda _: events)

    def events(self) -> Sequence[Event]:
        """Return all events of the ledger."""
        return [decode(entry.body.decode()) for entry in self.ledger.entries(0, 10_000)]

    def check_tally(self, signer: Signer) -> None:
        """Check that the ledger has exactly the signatures that the signer's counter has."""
        tally, counter = self.ledger.tally(signer.serial), signer.counter
        assert counter is not None
        assert counter.first is not None
        assert tally is not None
        assert (tally.unsure, tally.signatures) == (0, counter.value - counter.first)


def revoked(stored: StoredCertificate, at: datetime, reason: str = "unspecified") -> Revoked:
    record = stored.record
    return Revoked(
        at.replace(microsecond=0),
        stored.index,
        record.chip_serial,
        record.signer_serial,
        record.certificate_serial,
        reason,
    )


def serials_in(crl: bytes) -> set[int]:
    return {each.serial_number for each in x509.load_der_x509_crl(crl)}


def number_of(stored: StoredCertificate) -> int:
    return int.from_bytes(stored.record.certificate_serial, "big")
