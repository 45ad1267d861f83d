"""Which connection gives way when there are many."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning_server import rejections
from provisioning_server.transport.connection_table import ConnectionTable
from provisioning_server.transport.limits import ConnectionLimits

LIMITS = ConnectionLimits(
    connections=8, of_one_address=4, of_one_station=3, refused=2, handshakes=4, handshakes_of_one_address=2
)
"""Crowded from the seventh on."""


@dataclass(eq=False)
class Fake:
    host: str
    idle_since: float | None = None
    leaving: bool = False
    station: str = ""
    in_handshake: bool = False


def _admit(table: ConnectionTable[Fake], connection: Fake) -> Fake | str | None:
    """Return "refused", the one that was closed, or None."""
    stays, gives_way = table.admit(connection)
    if gives_way is not None:
        gives_way.leaving = True
    if not stays:
        connection.leaving = True
        return "refused"
    return gives_way


def _filled(*connections: Fake) -> ConnectionTable[Fake]:
    table: ConnectionTable[Fake] = ConnectionTable(LIMITS)
    for connection in connections:
        assert _admit(table, connection) is None
    return table


def test_below_three_quarters_one_address_may_have_them_all() -> None:
    _filled(*(Fake("192.0.2.1", number) for number in range(6)))


def test_station_may_begin_a_whole_panel_at_once() -> None:
    """All boards of a panel connect at the same moment: none of their handshakes gives way to another."""
    limits = ConnectionLimits()
    table: ConnectionTable[Fake] = ConnectionTable(limits)
    for number in range(limits.of_one_station):
        assert _admit(table, Fake("192.0.2.1", number, in_handshake=True)) is None


def test_client_whose_connection_gave_way_is_told_when_to_ask_again() -> None:
    assert rejections.GAVE_WAY.retryable
    assert rejections.GAVE_WAY.retry_after > 0


def test_above_an_address_with_its_share_gives_up_its_own_longest_idle() -> None:
    connections = [Fake("192.0.2.1", since) for since in (5.0, 3.0, 4.0, 9.0)]
    table = _filled(Fake("192.0.2.9", 1.0), *connections, Fake("192.0.2.9", None))
    assert _admit(table, Fake("192.0.2.1", 10.0)) is connections[1]
    assert _admit(table, Fake("192.0.2.1", 11.0)) is connections[2]


def test_above_an_address_with_its_share_all_busy_gets_no_more() -> None:
    table = _filled(
        *(Fake("192.0.2.1", None) for _ in range(4)),
        Fake("192.0.2.9", 1.0),
        Fake("192.0.2.9", 1.0),
    )
    assert _admit(table, Fake("192.0.2.1", 2.0)) == "refused"
    assert _admit(table, Fake("192.0.2.7", 2.0)) is None


def test_full_table_closes_a_connection_of_the_largest_holder() -> None:
    crowd = [Fake("192.0.2.1", since) for since in (7.0, 6.0, 5.0, 8.0)]
    table = _filled(
        Fake("192.0.2.2", 1.0),
        Fake("192.0.2.3", 2.0),
        *crowd,
        Fake("192.0.2.4", 3.0),
        Fake("192.0.2.5"),
    )
    assert _admit(table, Fake("192.0.2.6", 9.0)) is crowd[2]
    assert _admit(table, Fake("192.0.2.7", 9.0)) is crowd[1]


def test_full_table_of_busy_connections_admits_no_more() -> None:
    table = _filled(*(Fake(f"192.0.2.{number}") for number in range(8)))
    assert _admit(table, Fake("192.0.2.9", 1.0)) == "refused"


def _handshake(host: str, since: float) -> Fake:
    return Fake(host, since, in_handshake=True)


def _identify(table: ConnectionTable[Fake], connection: Fake, station: str) -> Fake | str | None:
    connection.station, connection.in_handshake = station, False
    stays, gives_way = table.identify(connection)
    if gives_way is not None:
        gives_way.leaving = True
    return gives_way if stays else "refused"


def test_address_with_its_share_of_handshakes_gives_up_its_oldest() -> None:
    crowd = [_handshake("192.0.2.1", since) for since in (3.0, 2.0)]
    table = _filled(Fake("192.0.2.1", 1.0), _handshake("192.0.2.9", 1.0), *crowd)
    assert _admit(table, _handshake("192.0.2.1", 4.0)) is crowd[1]
    assert _admit(table, _handshake("192.0.2.1", 5.0)) is crowd[0]
    assert _admit(table, _handshake("192.0.2.9", 6.0)) is None


def test_too_many_handshakes_close_the_oldest_of_the_computer_with_the_most() -> None:
    crowd = [_handshake("192.0.2.1", since) for since in (5.0, 4.0)]
    table = _filled(Fake("192.0.2.1", 0.0), _handshake("192.0.2.2", 1.0), *crowd, _handshake("192.0.2.3", 2.0))
    assert _admit(table, _handshake("192.0.2.4", 6.0)) is crowd[1]


def test_connection_whose_handshake_is_done_makes_room_for_another_handshake() -> None:
    done = _handshake("192.0.2.1", 2.0)
    table = _filled(done, _handshake("192.0.2.1", 3.0))
    assert _identify(table, done, "line-1") is None
    assert _admit(table, _handshake("192.0.2.1", 4.0)) is None


def test_full_table_closes_a_handshake_before_an_idle_connection_of_a_station() -> None:
    stations = [_handshake(f"192.0.2.{number}", 1.0) for number in range(7)]
    table: ConnectionTable[Fake] = ConnectionTable(LIMITS)
    for number, station in enumerate(stations):
        assert _admit(table, station) is None
        assert _identify(table, station, f"line-{number}") is None
    unknown = _handshake("192.0.2.8", 5.0)
    assert _admit(table, unknown) is None
    assert _admit(table, _handshake("192.0.2.9", 6.0)) is unknown
    newcomer = _handshake("192.0.2.10", 7.0)
    assert isinstance(_admit(table, newcomer), Fake)
    assert not any(station.leaving for station in stations)


def test_station_gets_a_connection_beyond_its_share_only_in_place_of_its_own() -> None:
    table: ConnectionTable[Fake] = ConnectionTable(LIMITS)
    first, *others = [Fake(f"192.0.2.{number}", float(number)) for number in range(4)]
    for each in (first, *others[:2]):
        assert _admit(table, each) is None
        assert _identify(table, each, "line-1") is None
    assert _admit(table, others[2]) is None
    assert _identify(table, others[2], "line-1") is first
    others[0].idle_since = others[1].idle_since = others[2].idle_since = None
    late = Fake("192.0.2.9", 9.0)
    assert _admit(table, late) is None
    assert _identify(table, late, "line-1") == "refused"
    other = Fake("192.0.2.9", 9.0)
    assert _admit(table, other) is None
    assert _identify(table, other, "line-2") is None


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
    first = Fake(hosts[0], 1.0)
    table = _filled(
        first,
        *(Fake(hosts[0], 2.0 + number) for number in range(3)),
        Fake("x", 0.0),
        Fake("y", 0.0),
    )
    assert (_admit(table, Fake(hosts[1], 9.0)) is first) == same


SEATS = st.tuples(st.sampled_from(["192.0.2.1", "192.0.2.2", "192.0.2.3"]), st.none() | st.floats(0, 9))


@given(st.lists(SEATS, max_size=60))
def test_table_stays_in_its_bounds_and_no_busy_connection_gives_way(
    comers: list[tuple[str, float | None]],
) -> None:
    table: ConnectionTable[Fake] = ConnectionTable(LIMITS)
    connections = [Fake(*comer) for comer in comers]
    for number, connection in enumerate(connections):
        outcome = _admit(table, connection)
        assert not isinstance(outcome, Fake) or outcome.idle_since is not None
        stayed = [each for each in connections[: number + 1] if not each.leaving]
        assert len(stayed) <= LIMITS.connections
        if outcome == "refused":
            others = [each for each in stayed if each.host != connection.host]
            assert all(each.idle_since is None for each in stayed if each.host == connection.host)
            assert len(stayed) - len(others) >= LIMITS.of_one_address or all(each.idle_since is None for each in stayed)
