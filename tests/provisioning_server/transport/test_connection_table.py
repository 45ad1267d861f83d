"""Which connection gives way when there are many."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning_server.transport.connection_table import ConnectionTable
from provisioning_server.transport.limits import ConnectionLimits

LIMITS = ConnectionLimits(connections=8, of_one_address=4, refused=2)
"""Crowded from the seventh on."""


@dataclass(eq=False)
class Seat:
    host: str
    idle_since: float | None = None
    leaving: bool = False


def _admit(table: ConnectionTable[Seat], seat: Seat) -> Seat | str | None:
    """Return "refused", the one that gave way, or None if nobody had to."""
    stays, gives_way = table.admit(seat)
    if gives_way is not None:
        gives_way.leaving = True
    if not stays:
        seat.leaving = True
        return "refused"
    return gives_way


def _filled(*seats: Seat) -> ConnectionTable[Seat]:
    table: ConnectionTable[Seat] = ConnectionTable(LIMITS)
    for seat in seats:
        assert _admit(table, seat) is None
    return table


def test_below_three_quarters_one_address_may_have_them_all() -> None:
    _filled(*(Seat("192.0.2.1", number) for number in range(6)))


def test_above_an_address_with_its_share_gives_up_its_own_longest_idle() -> None:
    seats = [Seat("192.0.2.1", since) for since in (5.0, 3.0, 4.0, 9.0)]
    table = _filled(Seat("192.0.2.9", 1.0), *seats, Seat("192.0.2.9", None))
    assert _admit(table, Seat("192.0.2.1", 10.0)) is seats[1]
    assert _admit(table, Seat("192.0.2.1", 11.0)) is seats[2]


def test_above_an_address_with_its_share_all_busy_gets_no_more() -> None:
    table = _filled(*(Seat("192.0.2.1", None) for _ in range(4)), Seat("192.0.2.9", 1.0), Seat("192.0.2.9", 1.0))
    assert _admit(table, Seat("192.0.2.1", 2.0)) == "refused"
    assert _admit(table, Seat("192.0.2.7", 2.0)) is None


def test_in_a_full_table_the_largest_holder_gives_way_and_not_who_was_idle_longest_of_all() -> None:
    crowd = [Seat("192.0.2.1", since) for since in (7.0, 6.0, 5.0, 8.0)]
    table = _filled(Seat("192.0.2.2", 1.0), Seat("192.0.2.3", 2.0), *crowd, Seat("192.0.2.4", 3.0), Seat("192.0.2.5"))
    assert _admit(table, Seat("192.0.2.6", 9.0)) is crowd[2]
    assert _admit(table, Seat("192.0.2.7", 9.0)) is crowd[1]


def test_full_table_of_busy_connections_admits_no_more() -> None:
    table = _filled(*(Seat(f"192.0.2.{number}") for number in range(8)))
    assert _admit(table, Seat("192.0.2.9", 1.0)) == "refused"


@pytest.mark.parametrize(
    ("hosts", "same"),
    [
        (("2001:db8::1", "2001:db8::ffff:1"), True),
        (("2001:db8::1", "2001:db8:0:1::1"), False),
        (("::ffff:192.0.2.1", "192.0.2.1"), True),
        (("fe80::1%eth0", "fe80::2%eth0"), True),
        (("192.0.2.1", "192.0.2.2"), False),
        (("", ""), True),
    ],
)
def test_what_counts_as_one_computer(hosts: tuple[str, str], same: bool) -> None:
    first = Seat(hosts[0], 1.0)
    table = _filled(first, *(Seat(hosts[0], 2.0 + number) for number in range(3)), Seat("x", 0.0), Seat("y", 0.0))
    assert (_admit(table, Seat(hosts[1], 9.0)) is first) == same


SEATS = st.tuples(st.sampled_from(["192.0.2.1", "192.0.2.2", "192.0.2.3"]), st.none() | st.floats(0, 9))


@given(st.lists(SEATS, max_size=60))
def test_table_stays_in_its_bounds_and_no_busy_connection_gives_way(
    comers: list[tuple[str, float | None]],
) -> None:
    table: ConnectionTable[Seat] = ConnectionTable(LIMITS)
    seats = [Seat(*comer) for comer in comers]
    for number, seat in enumerate(seats):
        outcome = _admit(table, seat)
        assert not isinstance(outcome, Seat) or outcome.idle_since is not None
        stayed = [each for each in seats[: number + 1] if not each.leaving]
        assert len(stayed) <= LIMITS.connections
        if outcome == "refused":
            others = [each for each in stayed if each.host != seat.host]
            assert all(each.idle_since is None for each in stayed if each.host == seat.host)
            assert len(stayed) - len(others) >= LIMITS.of_one_address or all(each.idle_since is None for each in stayed)
