"""What happened in each hour: certificates by signer, runs by the fate of their board, errors by their code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from atcaprov.errors import Board

HOURS_KEPT: Final = 31 * 24
CODES_MAX: Final = 200
"""Different codes in an hour; a station may report any text as one."""
OTHER_CODE: Final = "other"
FAILED: Final = (Board.RETRY, Board.SET_ASIDE, Board.SCRAP)
_LAST: Final = (Board.SET_ASIDE, Board.SCRAP)


@dataclass(slots=True)
class HourCount:
    """One hour, or several together."""

    issued: Counter[bytes] = field(default_factory=Counter)
    """By the serial number of the signer."""
    fates: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)

    @property
    def certificates(self) -> int:
        """Return how many certificates were issued."""
        return self.issued.total()

    @property
    def good(self) -> int:
        """Return how many runs ended with a good board."""
        return self.fates[Board.GOOD]

    @property
    def failed(self) -> int:
        """Return how many runs did not."""
        return sum(self.fates[fate] for fate in FAILED)

    @property
    def final(self) -> int:
        """Return how many runs decided on a board: it is good, set aside or scrap. One that is tried again is not."""
        return self.good + sum(self.fates[fate] for fate in _LAST)

    @property
    def yield_percent(self) -> float | None:
        """Return how many percent of the boards that were decided on are good; None if there were none."""
        return 100.0 * self.good / self.final if self.final else None

    def add(self, other: HourCount) -> None:
        """Add another one."""
        self.issued += other.issued
        self.fates += other.fates
        for code, number in other.codes.items():
            self.count_code(code, number)

    def count_code(self, code: str, number: int = 1) -> None:
        """Count an error; those beyond the bound are counted together."""
        known = code in self.codes or len(self.codes) < CODES_MAX
        self.codes[code if known else OTHER_CODE] += number


class HourCounts:
    """The last 31 days, hour by hour. Hours are counted from 1970 (UTC)."""

    def __init__(self) -> None:
        self._hours: dict[int, HourCount] = {}

    def of(self, hour: int) -> HourCount:
        """Return the count of an hour, to be added to."""
        return self._hours.setdefault(hour, HourCount())

    def forget_before(self, hour: int) -> None:
        """Drop hours that are too old to be shown."""
        for old in [each for each in self._hours if each < hour]:
            del self._hours[old]

    def together(self, hours: Iterable[int]) -> HourCount:
        """Return the sum of some hours."""
        found = HourCount()
        for hour in hours:
            if hour in self._hours:
                found.add(self._hours[hour])
        return found

    def each(self, hours: Iterable[int]) -> Iterator[tuple[int, HourCount]]:
        """Yield each of some hours with its count."""
        nothing = HourCount()
        for hour in hours:
            yield hour, self._hours.get(hour, nothing)

    def copy(self) -> HourCounts:
        """Return a copy that does not change when this one does."""
        found = HourCounts()
        for hour, count in self._hours.items():
            found.of(hour).add(count)
        return found


def hour_of(moment: datetime) -> int:
    """Return the hour of a time in UTC."""
    return int(moment.timestamp()) // 3600


def begin_of(hour: int) -> datetime:
    """Return when an hour begins (UTC)."""
    return datetime.fromtimestamp(hour * 3600, UTC)


def most_frequent(counts: Mapping[str, int], number: int) -> list[tuple[str, int]]:
    """Return the most frequent ones, by their names where they are equal."""
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:number]
