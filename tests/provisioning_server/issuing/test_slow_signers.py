"""Slow signers: their queue, groups that share the work, and what happens when a signer fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from atcaprov import AtcaProvError, Code, DeviceError, ProtocolError, TransportError
from atcaprov.wire.messages import ErrorReply, SignerReply, SignerRequest
from provisioning_server import rejections
from provisioning_server.issuing.rollback_guard import Unguarded
from provisioning_server.ledger.changes import Event, Intent
from provisioning_server.log_names import label
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.signers.signer import SignatureCounter, Signer
from tests.support.in_memory_signer import MemorySigner, SigningKey
from tests.support.issuing_without_sockets import IssuingLine, SlowSigner, certificates, refused
from tests.support.server import PATIENCE
from tests.support.server_parts import CHIP_KEY, OTHER_KEY, request

GONE = TransportError("The module was unplugged.")
SPENT = DeviceError("Quota used up.", command="Sign", status=0x0F, code=Code.QUOTA_USED_UP)
Make = Callable[..., IssuingLine]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    with ExitStack() as stack:

        def line(*signers: MemorySigner) -> IssuingLine:
            return stack.enter_context(IssuingLine(tmp_path, signers))

        yield line


@pytest.fixture
def group() -> tuple[SlowSigner, SlowSigner]:
    """Two signers for one product."""
    root = SigningKey()
    return SlowSigner(root=root), SlowSigner(root=root, signer_id=b"\x00\x35")


def test_slow_signer_does_not_delay_others(make: Make) -> None:
    slow, quick = SlowSigner(), MemorySigner()
    line = make(slow, quick)
    waiting = line.ask(request(slow))
    slow.wait_until_it_signs()
    line.certify(request(quick, 2))
    assert not waiting.done()
    slow.go_on.release()
    assert certificates(waiting).signer_certificate == slow.documents.signer_certificate
    assert line.records(1)


def test_the_record_names_the_client_that_asked_first(make: Make) -> None:
    slow = SlowSigner()
    line = make(slow)
    replies = [line.ask(request(slow), client) for client in ("192.0.2.7:40001", "192.0.2.8:40002")]
    line.flush()
    slow.go_on.release()
    assert certificates(replies[0]) == certificates(replies[1])
    assert [record.client for record in line.records(1)] == ["192.0.2.7:40001"]


def test_two_requests_for_one_chip_at_once_are_signed_once(make: Make) -> None:
    slow = SlowSigner()
    line = make(slow)
    asked = [line.ask(request(slow)) for _ in range(3)] + [line.ask(request(slow, existing_only=True))]
    line.flush()
    slow.go_on.release()
    replies = [certificates(each) for each in asked]
    assert replies == [replies[0]] * 4
    assert slow.signatures == 1
    assert line.certify(request(slow)) == replies[0]
    assert len(line.records(1)) == 1


def test_a_key_that_is_being_certified_for_a_chip_is_refused_for_another(make: Make) -> None:
    slow = SlowSigner()
    line = make(slow)
    first, second = line.ask(request(slow)), line.ask(request(slow, 2, key=CHIP_KEY))
    assert refused(second).code == Code.KEY_HAS_OTHER_CHIP
    slow.go_on.release()
    certificates(first)


def test_another_key_of_a_chip_waits_and_is_refused(make: Make) -> None:
    slow = SlowSigner()
    line = make(slow)
    first, second = line.ask(request(slow)), line.ask(request(slow, key=OTHER_KEY))
    line.flush()
    assert not second.done()
    slow.go_on.release()
    certificates(first)
    assert refused(second).code == Code.CHIP_HAS_OTHER_KEY
    assert [record.public_key for record in line.records(1)] == [CHIP_KEY]


def test_request_behind_a_failed_job_is_decided_again(make: Make) -> None:
    slow, quick = SlowSigner(), MemorySigner()
    line = make(slow, quick)
    first, second = line.ask(request(slow)), line.ask(request(quick, key=OTHER_KEY))
    third = line.ask(request(slow, key=OTHER_KEY))
    slow.wait_until_it_signs()
    line.flush()
    slow.fault = GONE
    slow.go_on.release()
    assert refused(first) == rejections.SIGNER_UNPLUGGED
    assert certificates(second).signer_certificate == quick.documents.signer_certificate
    assert refused(third).code == Code.CHIP_HAS_OTHER_SIGNER


def test_a_group_shares_the_work_in_the_order_of_the_requests(make: Make, group: tuple[SlowSigner, SlowSigner]) -> None:
    first, second = group
    line = make(first, second)
    asked = [line.ask(request(first, number, any_of_group=True)) for number in range(1, 5)]
    first.wait_until_it_signs()
    second.wait_until_it_signs()
    line.flush()
    first.go_on.release(4)
    certificates(asked[2])
    certificates(asked[3])
    assert (first.signatures, second.signatures) == (3, 0)
    second.go_on.release(4)
    ids = {line.records(number)[0].signer_id for number in (1, 2) if certificates(asked[number - 1])}
    assert ids == {first.signer_id, second.signer_id}


def test_only_the_named_signer_signs_unless_any_of_group(make: Make, group: tuple[SlowSigner, SlowSigner]) -> None:
    first, second = group
    line = make(first, second)
    asked = [line.ask(request(first, number)) for number in (1, 2)]
    line.flush()
    first.go_on.release(2)
    replies = [certificates(each) for each in asked]
    assert {reply.signer_certificate for reply in replies} == {first.documents.signer_certificate}
    assert second.signatures == 0


def test_signers_of_other_products_are_no_group(make: Make) -> None:
    one, other = SlowSigner(), SlowSigner()
    assert one.documents.group != other.documents.group
    line = make(one, other)
    one.fault = GONE
    asked = line.ask(request(one, any_of_group=True))
    one.wait_until_it_signs()
    one.go_on.release()
    assert refused(asked) == rejections.SIGNER_UNPLUGGED


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (GONE, "warning: {name} no longer answers: The module was unplugged."),
        (SPENT, "warning: {name} quota used up."),
        (
            ProtocolError("Garbage."),
            "error: {name} gave a wrong answer and is out of use until it is reconnected",
        ),
        (None, "error: {name} gave a wrong answer and is out of use until it is reconnected"),
        (RuntimeError("bug"), "error: {name} gave a wrong answer and is out of use until it is reconnected"),
    ],
    ids=["unplugged", "spent", "garbage", "wrong signature", "anything"],
)
def test_group_takes_over_jobs_of_a_failing_signer(
    make: Make, group: tuple[SlowSigner, SlowSigner], fault: Exception | None, says: str
) -> None:
    failing, good = group
    line = make(failing, good)
    asked = [line.ask(request(failing, number, any_of_group=True)) for number in (1, 2, 3)]
    failing.wait_until_it_signs()
    failing.fault, failing.wrong = fault, True
    failing.go_on.release()
    good.go_on.release(3)
    replies = [certificates(each) for each in asked]
    assert {reply.signer_certificate for reply in replies} == {good.documents.signer_certificate}
    assert not line.registry.usable(failing)
    expected = says.format(name=label(failing.serial, failing.name))
    assert any(entry.startswith(expected) for entry in line.log.lines), line.log.lines
    again = line.certify(request(failing, 2, any_of_group=True))
    assert again == replies[1]


@pytest.mark.parametrize("named", [0, 1], ids=["the one that is unplugged", "the one that is used up"])
def test_a_request_whose_signer_is_unplugged_may_come_again_though_the_others_are_used_up(
    make: Make, group: tuple[SlowSigner, SlowSigner], named: int
) -> None:
    unplugged, spent = group
    line = make(unplugged, spent)
    line.registry.exclude(spent, rejections.QUOTA_USED_UP)
    asked = line.ask(request(group[named], any_of_group=True))
    unplugged.wait_until_it_signs()
    unplugged.fault = GONE
    unplugged.go_on.release()
    assert refused(asked) == rejections.SIGNER_UNPLUGGED
    line.registry.add(unplugged)
    line.registry.exclude(unplugged, rejections.QUOTA_USED_UP)
    line.registry.remove(unplugged)
    assert refused(line.ask(request(group[named], any_of_group=True))) == rejections.QUOTA_USED_UP


def test_no_permanent_refusal_while_more_signers_are_expected(make: Make, group: tuple[SlowSigner, SlowSigner]) -> None:
    spent, _ = group
    line = make(spent)
    line.registry.exclude(spent, rejections.QUOTA_USED_UP)
    line.registry.expect_more()
    assert refused(line.ask(request(spent, any_of_group=True))) == rejections.SIGNERS_EXPECTED
    line.registry.expect_no_more()
    assert refused(line.ask(request(spent, any_of_group=True))) == rejections.QUOTA_USED_UP


@pytest.mark.parametrize(
    ("fault", "reply"),
    [
        (GONE, rejections.SIGNER_UNPLUGGED),
        (SPENT, rejections.QUOTA_USED_UP),
        (ProtocolError("Garbage."), rejections.SIGNER_QUARANTINED),
    ],
    ids=["unplugged", "spent", "quarantined"],
)
def test_without_another_signer_every_request_is_refused_and_nothing_is_recorded(
    make: Make, fault: Exception, reply: object
) -> None:
    slow = SlowSigner()
    line = make(slow)
    asked = [line.ask(request(slow, number)) for number in (1, 2, 3)]
    slow.wait_until_it_signs()
    slow.fault = fault
    slow.go_on.release()
    assert [refused(each) for each in asked] == [reply] * 3
    assert refused(line.ask(request(slow, 4))) == reply
    assert refused(line.ask(SignerRequest(slow.documents.signer_public_key))) == reply
    assert not any(line.records(number) for number in (1, 2, 3, 4))
    line.unplug(slow)
    slow.fault = None
    line.plug(slow)
    slow.go_on.release()
    line.certify(request(slow, 1))


def test_unplugged_while_jobs_wait_and_plugged_in_again(make: Make, group: tuple[SlowSigner, SlowSigner]) -> None:
    first, second = group
    line = make(first)
    waiting = [line.ask(request(first, number, any_of_group=True)) for number in (1, 2)]
    first.wait_until_it_signs()
    line.flush()
    line.unplug(first)
    assert refused(waiting[1]) == rejections.SIGNER_UNPLUGGED
    first.go_on.release()
    certificates(waiting[0])
    line.plug(second)
    second.go_on.release()
    reply = line.certify(request(first, 2, any_of_group=True))
    assert reply.signer_certificate == second.documents.signer_certificate


def test_a_signer_request_is_offered_another_of_the_group(make: Make, group: tuple[SlowSigner, SlowSigner]) -> None:
    first, second = group
    line = make(first, second)
    key = first.documents.signer_public_key
    for any_of_group in (False, True):
        offer = line.ask(SignerRequest(key, any_of_group)).result(PATIENCE)
        assert isinstance(offer, SignerReply)
        assert offer.signer_certificate == first.documents.signer_certificate
    line.unplug(first)
    assert refused(line.ask(SignerRequest(key))) == rejections.SIGNER_UNPLUGGED
    offer = line.ask(SignerRequest(key, True)).result(PATIENCE)
    assert isinstance(offer, SignerReply)
    assert offer.signer_certificate == second.documents.signer_certificate


def test_a_group_is_known_from_the_records_after_a_restart(
    tmp_path: Path, group: tuple[SlowSigner, SlowSigner]
) -> None:
    first, second = group
    first.go_on.release()
    second.go_on.release()
    with IssuingLine(tmp_path / "a", [first]) as line:
        reply = line.certify(request(first))
    with IssuingLine(tmp_path / "a", [second]) as line:
        assert line.certify(request(second, any_of_group=True)) == reply
        assert refused(line.ask(request(second))).code == Code.CHIP_HAS_OTHER_SIGNER
        other = line.certify(request(first, 2, any_of_group=True))
        assert other.signer_certificate == second.documents.signer_certificate


def restarted(data: Path, *signers: MemorySigner) -> IssuingLine:
    """A line over the ledger of an earlier one."""
    return IssuingLine(data, signers)


def test_what_another_module_of_the_group_signed_is_given_again_after_restarts(
    tmp_path: Path, group: tuple[SlowSigner, SlowSigner]
) -> None:
    named, other = group
    other.go_on.release(2)
    with IssuingLine(tmp_path, [named, other]) as line:
        busy = line.ask(request(named, 9))
        named.wait_until_it_signs()
        reply = line.certify(request(named, any_of_group=True))
        assert reply.signer_certificate == other.documents.signer_certificate
        named.fault = GONE
        named.go_on.release()
        assert refused(busy) == rejections.SIGNER_UNPLUGGED
    for here in ((other,), (named,), ()):
        with restarted(tmp_path, *here) as line:
            for existing_only in (True, False):
                again = request(named, any_of_group=True, existing_only=existing_only)
                assert line.certify(again) == reply, here
            offer = line.ask(SignerRequest(named.documents.signer_public_key, True)).result(PATIENCE)
            assert isinstance(offer, SignerReply) if here else offer == rejections.SIGNER_UNPLUGGED
    assert other.signatures == 1
    assert named.signatures == 0


def test_a_signer_of_the_records_is_unplugged_and_not_unknown_after_a_restart(tmp_path: Path) -> None:
    signer = MemorySigner()
    with IssuingLine(tmp_path, [signer]) as line:
        line.certify(request(signer))
    with restarted(tmp_path) as line:
        assert refused(line.ask(SignerRequest(signer.documents.signer_public_key))) == rejections.SIGNER_UNPLUGGED
        assert refused(line.ask(request(signer, 2))) == rejections.SIGNER_UNPLUGGED
        assert refused(line.ask(request(MemorySigner(), 2))) == rejections.SIGNER_UNKNOWN


def test_low_quota_is_logged_early(make: Make) -> None:
    slow = SlowSigner()
    slow.remaining = 12
    slow.go_on.release(12)
    line = make(slow)
    for number in range(1, 13):
        line.certify(request(slow, number))
    name = label(slow.serial, slow.name)
    left = [entry for entry in line.log.lines if "can issue" in entry]
    assert left == [f"warning: {name} can issue {count} more." for count in (10, 1)]
    assert line.log.lines.count(f"warning: {name} quota used up.") == 1


def test_a_used_up_signer_is_refused_before_a_board_is_touched(
    make: Make, group: tuple[SlowSigner, SlowSigner]
) -> None:
    first, second = group
    first.remaining, second.remaining = 1, 0
    first.go_on.release()
    line = make(first)
    question = SignerRequest(first.documents.signer_public_key, True)
    waiting = [line.ask(request(first, number)) for number in (1, 2)]
    certificates(waiting[0])
    assert refused(waiting[1]) == refused(line.ask(question)) == rejections.QUOTA_USED_UP
    line.plug(second)
    assert refused(line.ask(question)) == rejections.QUOTA_USED_UP
    assert f"warning: {label(second.serial, second.name)} quota used up." in line.log.lines
    assert first.signatures == 1


def test_stop_refuses_waiting_requests_and_records_those_being_signed(tmp_path: Path) -> None:
    slow = SlowSigner()
    line = IssuingLine(tmp_path, [slow])
    asked = [line.ask(request(slow, number)) for number in (1, 2)]
    slow.wait_until_it_signs()
    line.flush()
    line.queue.stop()
    assert refused(asked[1]) == rejections.STOPPING
    slow.go_on.release()
    line.stop()
    certificates(asked[0])
    assert line.records(1)
    line.ledger.close()


def test_a_signer_without_work_rests_once_and_works_on(tmp_path: Path) -> None:
    slow = SlowSigner()
    with IssuingLine(tmp_path, [slow], rest_after=0) as line:
        for number in (1, 2):
            slow.rested.acquire(timeout=PATIENCE)
            slow.go_on.release()
            line.certify(request(slow, number))
    assert slow.rests >= 2


class SuspiciousGuard(Unguarded):
    """Finds after a signature that the ledger lacks others of the signer, and takes it out of use."""

    def __init__(self) -> None:
        self.registry = SignerRegistry()
        self._found = False

    def admit(self, signer: Signer) -> ErrorReply | None:
        return rejections.SIGNER_AHEAD if self._found else None

    def signed(self, signer: Signer, intent: Intent, before: SignatureCounter | None) -> list[Event]:
        self._found = True
        self.registry.exclude(signer, rejections.SIGNER_AHEAD)
        raise AtcaProvError(rejections.SIGNER_AHEAD.message, code=Code.LEDGER_BEHIND)


def test_jobs_of_a_signer_that_the_guard_excludes_are_refused_and_do_not_wait(tmp_path: Path) -> None:
    guard, slow = SuspiciousGuard(), SlowSigner()
    with IssuingLine(tmp_path, [slow], guard=guard) as line:
        guard.registry = line.registry
        asked = [line.ask(request(slow, chip)) for chip in range(1, 5)]
        line.flush()
        slow.wait_until_it_signs()
        slow.go_on.release()
        assert [refused(each) for each in asked] == [rejections.SIGNER_AHEAD] * 4, "all may try again later"
        assert line.records(1) == []
        assert not line.ledger.open_intents()
