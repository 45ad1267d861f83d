"""Intent, signature, result, reply: cut at every step, over several servers of one ledger, with slow signers."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from atcaprov import Code
from atcaprov.wire.messages import CertificatesReply, CertificatesRequest, ErrorReply
from provisioning_server import rejections
from provisioning_server.issuing.authority import Authority
from provisioning_server.issuing.certification import OTHER_SERVER_TRIES
from provisioning_server.issuing.requests import ClientRequest, Delivery, Reply
from provisioning_server.ledger.changes import Changes, Event, Issued, Lost
from provisioning_server.ledger.entry_bodies import decode
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.ledger.store import Committed, Ledger
from provisioning_server.signers.registry import SignerRegistry
from tests.support.in_memory_signer import NOW, MemorySigner, SigningKey
from tests.support.issuing_without_sockets import IssuingLine, SlowSigner, certificates
from tests.support.ledgers import ledger_in
from tests.support.server_parts import RememberingLog, answer, asked, chip_serial, request, step


def events_of(ledger: Ledger) -> list[Event]:
    return [decode(entry.body.decode()) for entry in ledger.entries(0, 10_000)]


def issued_of(ledger: Ledger) -> list[bytes]:
    """Return the certificates in the ledger, in their order."""
    return [event.record.certificate for event in events_of(ledger) if isinstance(event, Issued)]


class Server:
    """One server of a ledger, which takes its steps when the test says so."""

    def __init__(
        self,
        data: Path,
        signer: MemorySigner,
        name: str = "a",
        ledger: SqlLedger | None = None,
        *,
        alone: bool = False,
    ) -> None:
        self.ledger = ledger or ledger_in(data)
        self.log = RememberingLog()
        self.replies: list[tuple[CertificatesRequest, Reply]] = []
        registry = SignerRegistry([signer])
        self.authority = Authority(registry, self.ledger, self.log, lambda: NOW, server=name, alone=alone)

    def step(self, *requests: CertificatesRequest) -> None:
        """Take one step."""
        step(self.authority, [ClientRequest(each, deliver=self._taker(each)) for each in requests])

    def finish(self) -> None:
        """Take steps until nothing is due any more."""
        while self.authority.waits is not None:
            self.step()

    def _taker(self, request: CertificatesRequest) -> Callable[[Reply], None]:
        return lambda reply: self.replies.append((request, reply))

    @property
    def given(self) -> list[bytes]:
        return [reply.device_certificate for _, reply in self.replies if isinstance(reply, CertificatesReply)]


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    with contextlib.ExitStack() as stack:

        def make(signer: MemorySigner, name: str = "a") -> Server:
            server = Server(tmp_path, signer, name)
            stack.callback(server.ledger.close)
            return server

        yield make


def test_a_digest_is_signed_after_its_intent_and_sent_after_its_record(servers: Callable[..., Server]) -> None:
    class Watching(MemorySigner):
        def sign(self, digest: bytes) -> bytes:
            (intent,) = server.ledger.open_intents("a")
            assert intent.chip_serial == chip_serial(1)
            assert issued_of(server.ledger) == []
            return super().sign(digest)

    signer = Watching()
    server = servers(signer)
    server.step(request(signer))
    assert signer.signatures == 1
    assert server.replies == []
    server.step()
    assert server.given == issued_of(server.ledger)
    assert len(server.given) == 1
    assert not server.ledger.open_intents()


def test_results_and_the_next_intents_are_one_step_of_the_ledger(
    servers: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[tuple[int, int]] = []
    commit = SqlLedger.commit

    def counted(ledger: SqlLedger, changes: Changes) -> Committed:
        commits.append((len(changes.events), len(changes.intents)))
        return commit(ledger, changes)

    monkeypatch.setattr(SqlLedger, "commit", counted)
    signer = MemorySigner()
    server = servers(signer)
    for batch in range(3):
        server.step(*(request(signer, 10 * batch + number) for number in range(1, 5)))
    server.finish()
    assert commits == [(0, 4), (4, 4), (4, 4), (4, 0)]
    assert len(server.given) == 12


def test_each_reply_has_a_challenge_of_its_own_that_the_ledger_knows(servers: Callable[..., Server]) -> None:
    signer = MemorySigner()
    server = servers(signer)
    for _ in range(3):
        server.step(request(signer))
        server.finish()
    challenges = [reply.challenge for _, reply in server.replies if isinstance(reply, CertificatesReply)]
    assert len(set(challenges)) == 3
    assert {len(challenge) for challenge in challenges} == {32}
    for challenge in challenges:
        stored = server.ledger.challenged(chip_serial(1), challenge)
        assert stored is not None
        assert stored.index == 0
    assert signer.signatures == 1


class Cut(BaseException):
    """The power fails here."""


class Cutter:
    """Cuts at the n-th point that the pipeline passes: before and after each commit, signature and delivery."""

    def __init__(self, at: int) -> None:
        self.left = at

    def point(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Cut

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def cut(*arguments: Any) -> Any:
            self.point()
            result = call(*arguments)
            self.point()
            return result

        return cut


@pytest.mark.slow
def test_power_cut_at_any_point_loses_and_doubles_nothing(tmp_path: Path) -> None:
    at, cut = 0, True
    while cut:
        at += 1
        data, signer, cutter = tmp_path / str(at), MemorySigner(), Cutter(at)
        with contextlib.closing(ledger_in(data)) as ledger:
            given, cut = run_until_cut(ledger, signer, cutter)
        with contextlib.closing(ledger_in(data)) as ledger:
            require_nothing_lost_or_doubled(data, ledger, signer, given)
    assert at > 25


def run_until_cut(ledger: SqlLedger, signer: MemorySigner, cutter: Cutter) -> tuple[dict[bytes, bytes], bool]:
    """Certify six chips in three batches; return what was delivered to each, and whether the power failed."""
    given: dict[bytes, bytes] = {}
    commit, sign = ledger.commit, signer.sign
    ledger.commit = cutter.around(commit)  # type: ignore[method-assign]
    signer.sign = cutter.around(sign)  # type: ignore[method-assign]

    def deliver(deliveries: list[Delivery]) -> None:
        cutter.point()
        for take, reply in deliveries:
            take(reply)
        cutter.point()

    authority = Authority(SignerRegistry([signer]), ledger, RememberingLog(), lambda: NOW, server="a")

    def take(chip: bytes) -> Callable[[Reply], None]:
        def taken(reply: Reply) -> None:
            assert isinstance(reply, CertificatesReply)
            given[chip] = reply.device_certificate

        return taken

    try:
        for batch in ((1, 2), (3, 3), (4, 5), ()):
            authority.step(
                [ClientRequest(request(signer, each), deliver=take(chip_serial(each))) for each in batch], deliver
            )
        while authority.waits is not None:
            authority.step([], deliver)
    except Cut:
        return given, True
    return given, False


def require_nothing_lost_or_doubled(
    data: Path, ledger: SqlLedger, signer: MemorySigner, given: dict[bytes, bytes]
) -> None:
    open_before = ledger.open_intents("a")
    server = Server(data, signer, ledger=ledger)
    said = [line for line in server.log.lines if "when the server ended" in line]
    assert len(said) == len(open_before)
    server.finish()
    assert not ledger.open_intents()
    lost = [event for event in events_of(ledger) if isinstance(event, Lost)]
    assert [event.intent for event in lost] == list(open_before)
    for number in range(1, 6):
        (reply,) = answer(server.authority, asked(request(signer, number)))
        assert isinstance(reply, CertificatesReply)
        assert given.get(chip_serial(number), reply.device_certificate) == reply.device_certificate
    assert len(issued_of(ledger)) == len(set(issued_of(ledger))) == 5


def test_open_intents_are_listed_and_closed_at_the_start(servers: Callable[..., Server]) -> None:
    signer = MemorySigner()
    for name in ("a", "b"):
        servers(signer, name).step(request(signer, ord(name)))  # and it ends here, before its result
    again = servers(signer, "a")
    (line,) = again.log.lines
    assert line == (
        "warning: Device (0123000000000061EE) was being certified on 2026-11-21 10:30 UTC when the server ended, and"
        " got nothing. If it asks again, it gets a certificate."
    )
    again.step()
    (lost,) = events_of(again.ledger)
    assert isinstance(lost, Lost)
    assert (lost.intent.chip_serial, lost.signed) == (chip_serial(ord("a")), None)
    assert [intent.server for intent in again.ledger.open_intents()] == ["b"]
    again.step(request(signer, ord("a")))
    again.finish()
    assert len(again.given) == 1


def test_two_servers_that_race_for_a_chip_make_one_certificate(servers: Callable[..., Server]) -> None:
    signer = MemorySigner()
    first, second = servers(signer, "a"), servers(signer, "b")
    first.step(request(signer))
    second.step(request(signer))
    second.step()
    assert second.replies == [], "it waits for the intent of the other one"
    first.step()
    second.finish()
    assert first.given == second.given == issued_of(first.ledger)
    assert len(first.given) == 1
    assert signer.signatures == 1


def test_server_alone_on_its_ledger_closes_intents_of_its_earlier_name(tmp_path: Path) -> None:
    """The file with its name was lost, as its message allows, while a certificate was on its way."""
    signer = MemorySigner()
    for name in ("a", "b"):
        with contextlib.closing(ledger_in(tmp_path)) as ledger:
            server = Server(tmp_path, signer, name, ledger, alone=True)
            server.step(request(signer))
            if name == "a":
                continue  # killed between the intent and the result
            server.finish()
            assert [type(event) for event in events_of(ledger)] == [Lost, Issued]
            assert len(server.given) == 1
            assert not ledger.open_intents()


def test_server_does_not_say_that_nothing_was_issued_while_another_one_issues(servers: Callable[..., Server]) -> None:
    """A station asks it after the other one went away with the request; a new key would take the place of this one."""
    signer = MemorySigner()
    first, second = servers(signer, "a"), servers(signer, "b")
    first.step(request(signer))
    second.step(request(signer, existing_only=True), request(signer, 2, existing_only=True))
    second.step()
    assert [reply for _, reply in second.replies] == [rejections.NOT_ISSUED], "of the other chip"
    first.step()
    second.finish()
    assert second.given == first.given
    assert len(first.given) == 1


def test_an_intent_of_another_server_that_does_not_end_is_told_and_may_be_tried_again(
    servers: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning_server.issuing.authority.ELSEWHERE_SECONDS", 0.0)
    signer = MemorySigner()
    dead, other = servers(signer, "a"), servers(signer, "b")
    dead.step(request(signer))
    other.step(request(signer), request(signer, 2))
    for _ in range(OTHER_SERVER_TRIES + 2):
        other.step()
    assert [reply for _, reply in other.replies if isinstance(reply, ErrorReply)] == [rejections.OTHER_SERVER]
    assert len(other.given) == 1
    dead.step()
    other.step(request(signer))
    other.finish()
    assert other.given[-1] == dead.given[0]


@pytest.mark.parametrize("seed", range(10))
def test_any_order_of_steps_of_two_servers_gives_each_chip_one_certificate(
    servers: Callable[..., Server], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning_server.issuing.authority.ELSEWHERE_SECONDS", 0.0)
    chance = random.Random(seed)
    signer = MemorySigner()
    both = [servers(signer, "a"), servers(signer, "b")]
    for _ in range(12):
        chance.choice(both).step(*(request(signer, chance.randint(1, 4)) for _ in range(chance.randint(0, 3))))
    while any(server.authority.waits is not None for server in both):
        chance.choice(both).step()
    certificates_of: dict[bytes, set[bytes]] = {}
    for request_, reply in [*both[0].replies, *both[1].replies]:
        assert isinstance(reply, CertificatesReply)
        certificates_of.setdefault(request_.config_zone, set()).add(reply.device_certificate)
    assert all(len(found) == 1 for found in certificates_of.values())
    assert len(issued_of(both[0].ledger)) == len(certificates_of) == signer.signatures


def test_an_error_of_the_program_is_answered_to_all_and_ends_it(
    servers: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    signer = MemorySigner()
    server = servers(signer)
    server.step(request(signer))

    def fail(*_: object) -> None:
        raise KeyError("bug")

    monkeypatch.setattr("provisioning_server.issuing.certification.Certification.go_on", fail)
    with pytest.raises(KeyError):
        server.step(request(signer), request(signer, 2))
    assert [reply for _, reply in server.replies] == [rejections.INTERNAL] * 3
    assert issued_of(server.ledger) == []
    monkeypatch.undo()
    again = servers(signer)
    again.step(request(signer))
    again.finish()
    assert again.given == issued_of(again.ledger)


def test_a_module_has_at_most_one_open_intent(tmp_path: Path) -> None:
    slow = SlowSigner()
    with IssuingLine(tmp_path, [slow]) as line:
        waiting = [line.ask(request(slow, number)) for number in range(1, 5)]
        line.flush()
        for _ in range(4):
            slow.wait_until_it_signs()
            assert len(line.ledger.open_intents()) == 1
            slow.go_on.release()
        assert len({certificates(each).device_certificate for each in waiting}) == 4
        assert not line.ledger.open_intents()


def test_what_a_failed_module_was_signing_is_recorded_as_lost_before_another_one_signs_it(tmp_path: Path) -> None:
    root = SigningKey()
    failing, other = SlowSigner(root=root), SlowSigner(root=root, signer_id=b"\x00\x35")
    failing.fault = RuntimeError("it answers nonsense")
    with IssuingLine(tmp_path, [failing]) as line:
        first = line.ask(request(failing, any_of_group=True))
        failing.wait_until_it_signs()
        line.plug(other)
        other.go_on.release()
        failing.go_on.release()
        certificate = certificates(first).device_certificate
        lost, issued = events_of(line.ledger)
    assert isinstance(lost, Lost)
    assert isinstance(issued, Issued)
    assert (lost.intent.signer_serial, lost.signed) == (failing.serial, None)
    assert "it answers nonsense" in lost.reason
    assert (issued.record.signer_serial, issued.record.certificate) == (other.serial, certificate)


def test_nothing_is_sent_of_what_a_module_signs_while_the_ledger_fails(tmp_path: Path) -> None:
    slow = SlowSigner()
    with IssuingLine(tmp_path, [slow]) as line:
        waiting = [line.ask(request(slow, number)) for number in (1, 2)]
        slow.wait_until_it_signs()
        line.ledger.failed = True
        line.flush()
        slow.go_on.release(2)
        codes = [reply.code for reply in _errors([each.result(30) for each in waiting])]
    assert codes == [Code.RECORDS_FAILED, Code.RECORDS_FAILED]
    assert slow.signatures == 1


def _errors(replies: Sequence[Reply]) -> list[ErrorReply]:
    assert all(isinstance(reply, ErrorReply) for reply in replies)
    return [reply for reply in replies if isinstance(reply, ErrorReply)]
