"""In which order the jobs for slow signers are taken."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from provisioning_server.issuing.signing_queue import JobRefused, SignerEvent, SigningJob, SigningQueue
from provisioning_server.signers.registry import SignerRegistry
from tests.support.in_memory_signer import MemorySigner
from tests.support.server_parts import chip_serial, request

SIGNER = MemorySigner()
OTHER = MemorySigner()


def _queue(told: list[SignerEvent]) -> SigningQueue:
    return SigningQueue(SignerRegistry([SIGNER, OTHER]), told.append)


def _job(asker: str, number: int, signer: MemorySigner = SIGNER) -> SigningJob:
    return SigningJob(request(signer, number), chip_serial(number), None, asker)


def _taken(queue: SigningQueue, signer: MemorySigner = SIGNER) -> tuple[str, bytes]:
    job = queue.take(signer)
    assert isinstance(job, SigningJob)
    return job.asker, job.chip_serial


def test_stations_take_turns_and_each_ones_jobs_keep_their_order() -> None:
    queue = _queue([])
    jobs = [_job("a", 1), _job("a", 2), _job("a", 3), _job("b", 4), _job("b", 5), _job("c", 6)]
    for job in jobs:
        queue.put(job)
    assert [_taken(queue)[0] for _ in jobs] == ["a", "b", "c", "a", "b", "a"]


def test_station_that_comes_late_waits_for_one_job_of_each_other_at_most() -> None:
    queue = _queue([])
    for number in range(1, 201):
        queue.put(_job("flood", number))
    for _ in range(50):
        assert _taken(queue)[0] == "flood"
    queue.put(_job("late", 300))
    assert "late" in [_taken(queue)[0] for _ in range(2)]


def test_station_gains_no_turns_by_having_waited_without_a_job() -> None:
    queue = _queue([])
    for number in range(1, 11):
        queue.put(_job("a", number))
    for _ in range(10):
        _taken(queue)
    for number in range(11, 14):
        queue.put(_job("a", number))
        queue.put(_job("b", number + 100))
    assert [_taken(queue)[0] for _ in range(6)] == ["a", "b"] * 3


def test_job_that_was_given_back_is_the_next_one() -> None:
    queue = _queue([])
    queue.put(_job("a", 1))
    queue.put(_job("b", 2))
    failed = queue.take(SIGNER)
    assert failed is not None
    queue.put(_job("b", 3))
    queue.give_back(failed)
    assert queue.take(SIGNER) is failed
    assert [_taken(queue)[0] for _ in range(2)] == ["b", "b"]


def test_signer_passes_over_jobs_of_another_one() -> None:
    queue = _queue([])
    for number, signer in enumerate([OTHER, OTHER, SIGNER, OTHER, SIGNER], start=1):
        queue.put(_job("a", number, signer))
    assert [_taken(queue, SIGNER) for _ in range(2)] == [("a", chip_serial(3)), ("a", chip_serial(5))]
    queue.put(_job("b", 6, OTHER))
    assert [_taken(queue, OTHER)[0] for _ in range(4)] == ["a", "a", "a", "b"]


def test_all_that_wait_are_refused_when_it_stops() -> None:
    told: list[SignerEvent] = []
    queue = _queue(told)
    jobs = [_job("a", 1), _job("b", 2)]
    for job in jobs:
        queue.put(job)
    queue.stop()
    assert [event.job for event in told if isinstance(event, JobRefused)] == jobs
    assert queue.take(SIGNER) is None


@given(st.lists(st.none() | st.sampled_from("abcd"), max_size=80))
def test_every_job_is_taken_once_and_no_station_is_passed_by_twice(events: list[str | None]) -> None:
    queue = _queue([])
    waiting: list[tuple[str, int]] = []
    passed: dict[str, dict[str, int]] = {}
    for number, event in enumerate([*events, *[None] * len(events)], start=1):
        if event is not None:
            queue.put(_job(event, number))
            waiting.append((event, number))
        elif waiting:
            asker, taken = _taken(queue)
            oldest = next(each for each in waiting if each[0] == asker)
            assert taken == chip_serial(oldest[1])
            waiting.remove(oldest)
            for other in {each for each, _ in waiting} - {asker}:
                counts = passed.setdefault(other, {})
                counts[asker] = counts.get(asker, 0) + 1
                assert counts[asker] <= 2
            passed.pop(asker, None)
    assert not waiting
