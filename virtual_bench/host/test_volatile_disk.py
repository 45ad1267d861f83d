from __future__ import annotations

from random import Random

import pytest

from virtual_bench.volatile_disk import SECTOR, Loss, VolatileDisk

SECTORS = 64
SEEDS = range(40)


def _disk() -> VolatileDisk:
    return VolatileDisk(bytes(SECTORS * SECTOR))


def _filled(value: int, sectors: int = 1) -> bytes:
    return bytes([value]) * (sectors * SECTOR)


def _left(image: bytes) -> list[int]:
    """Return what each sector holds; it is of one piece."""
    parts = [image[start : start + SECTOR] for start in range(0, len(image), SECTOR)]
    assert all(part == part[:1] * SECTOR for part in parts)
    return [part[0] for part in parts]


@pytest.mark.parametrize("loss", Loss)
def test_what_was_flushed_survives_every_cut(loss: Loss) -> None:
    disk = _disk()
    disk.write(0, _filled(1, 8))
    disk.flush()
    disk.write(8 * SECTOR, _filled(2, 8))
    for seed in SEEDS:
        left = _left(disk.at_cut().after_cut(loss, Random(seed)))
        assert left[:8] == [1] * 8
        assert set(left[8:16]) <= {0, 2}
        assert set(left[16:]) == {0}


def test_what_was_not_flushed_is_read_and_may_be_lost() -> None:
    disk = _disk()
    disk.write(SECTOR, _filled(7))
    assert disk.read(SECTOR, SECTOR) == _filled(7)
    assert disk.at_cut().after_cut(Loss.ALL, Random(1)) == bytes(SECTORS * SECTOR)
    outcomes = {_left(disk.at_cut().after_cut(Loss.ANY, Random(seed)))[1] for seed in SEEDS}
    assert outcomes == {0, 7}


def test_a_later_write_may_survive_an_earlier_one_and_be_torn() -> None:
    disk = _disk()
    disk.write(0, _filled(1, 8))
    disk.write(8 * SECTOR, _filled(2, 8))
    images = [_left(disk.at_cut().after_cut(Loss.ANY, Random(seed))) for seed in range(200)]
    assert any(image[:8] == [0] * 8 and image[8:16] == [2] * 8 for image in images)
    assert any(set(image[:8]) == {0, 1} for image in images)


def test_the_tail_is_lost_in_order() -> None:
    disk = _disk()
    for number in range(1, 9):
        disk.write(number * SECTOR, _filled(number))
    for seed in SEEDS:
        left = [number for number, kept in enumerate(_left(disk.at_cut().after_cut(Loss.TAIL, Random(seed)))) if kept]
        assert left == list(range(1, len(left) + 1))


@pytest.mark.parametrize("loss", Loss)
def test_an_older_version_of_a_sector_may_be_what_survives(loss: Loss) -> None:
    disk = _disk()
    for value in (1, 2, 3):
        disk.write(0, _filled(value))
    outcomes = {_left(disk.at_cut().after_cut(loss, Random(seed)))[0] for seed in range(200)}
    assert outcomes == ({0} if loss is Loss.ALL else {0, 1, 2, 3})


def test_forced_writes_survive_alone() -> None:
    disk = _disk()
    disk.write(0, _filled(1, 2))
    disk.write(0, _filled(2), durable=True)
    assert _left(disk.at_cut().after_cut(Loss.ALL, Random(1)))[:2] == [2, 0]
    assert disk.at_cut().held_writes == 1


def test_a_seed_repeats_its_cut() -> None:
    disk = _disk()
    for number in range(32):
        disk.write(number * SECTOR, _filled(number + 1))
    at_cut = disk.at_cut()
    for loss in Loss:
        assert at_cut.after_cut(loss, Random(5)) == at_cut.after_cut(loss, Random(5))
