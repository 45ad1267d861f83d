from __future__ import annotations

import math

import pytest

from atcaprov.web.logins import CODE_SECONDS, CODES_MAX, SESSION_TIMES, SESSIONS_MAX, Logins, LoginSession
from atcaprov.web.roles import Role


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def logins(clock: Clock) -> Logins:
    return Logins(clock)


def logged_in(logins: Logins, role: Role = Role.UNLOCK, peer: str = "") -> LoginSession:
    session = logins.log_in(logins.new_code(role), peer)
    assert session is not None
    return session


def test_code_is_valid_for_one_login(logins: Logins) -> None:
    code = logins.new_code(Role.UNLOCK, math.inf)
    assert len(code) >= 22
    assert logins.valid(code)
    assert logins.log_in(code) is not None
    assert not logins.valid(code)
    assert logins.log_in(code) is None
    assert logins.new_code(Role.UNLOCK) != code


@pytest.mark.parametrize("code", ["", "x", "ü", "\udcff"])
def test_wrong_code_does_not_log_in_and_keeps_the_right_one_valid(logins: Logins, code: str) -> None:
    good = logins.new_code(Role.UNLOCK)
    assert logins.log_in(code) is None
    assert logins.log_in(good[:-1]) is None
    assert logins.log_in(f" {good}\n") is not None


def test_code_that_was_asked_for_ends_by_itself(logins: Logins, clock: Clock) -> None:
    asked_for, standing = logins.new_code(Role.ADMINISTER), logins.new_code(Role.UNLOCK, math.inf)
    clock.now = CODE_SECONDS
    assert logins.log_in(asked_for) is None
    assert logins.log_in(standing) is not None


def test_many_codes_do_not_end_the_standing_one(logins: Logins) -> None:
    standing = logins.new_code(Role.UNLOCK, math.inf)
    first, *_, last = [logins.new_code(Role.LOOK) for _ in range(CODES_MAX)]
    assert not logins.valid(first)
    assert logins.valid(last)
    assert logins.valid(standing)


@pytest.mark.parametrize("role", Role)
def test_the_code_decides_the_role(logins: Logins, role: Role) -> None:
    assert logged_in(logins, role).role == role


def test_roles_include_those_below_them() -> None:
    included = {role: [other for other in Role if role.includes(other)] for role in Role}
    assert included == {
        Role.LOOK: [Role.LOOK],
        Role.UNLOCK: [Role.LOOK, Role.UNLOCK],
        Role.ADMINISTER: [Role.LOOK, Role.UNLOCK, Role.ADMINISTER],
    }


def test_a_session_is_found_by_its_cookie_only(logins: Logins) -> None:
    first, second = logged_in(logins), logged_in(logins)
    assert logins.session(first.cookie) == first
    assert logins.session(second.cookie) == second
    assert logins.session(first.form_secret) is None
    assert logins.session(first.name) is None
    assert logins.session("") is None
    assert first.owns(first.form_secret)
    assert not first.owns(second.form_secret)
    assert not first.owns("")


def test_stolen_cookie_is_worth_nothing_at_another_address(logins: Logins) -> None:
    session = logged_in(logins, peer="192.0.2.1")
    assert logins.session(session.cookie, "192.0.2.2") is None
    assert logins.session(session.cookie, "192.0.2.1") == session


@pytest.mark.parametrize("role", Role)
def test_a_session_ends_by_itself(logins: Logins, clock: Clock, role: Role) -> None:
    session, times = logged_in(logins, role), SESSION_TIMES[role]
    while clock.now + times.idle - 1 < times.longest:
        clock.now += times.idle - 1
        assert logins.session(session.cookie) == session
    clock.now = times.longest - 1
    assert logins.session(session.cookie) == session
    clock.now = times.longest
    assert logins.session(session.cookie) is None
    assert not logins.open(session)


@pytest.mark.parametrize("role", [Role.UNLOCK, Role.ADMINISTER])
def test_an_idle_session_ends_though_its_page_goes_on_asking(logins: Logins, clock: Clock, role: Role) -> None:
    session, idle = logged_in(logins, role), SESSION_TIMES[role].idle
    clock.now = idle - 1
    assert logins.session(session.cookie, by_user=False) == session
    clock.now = idle
    assert logins.session(session.cookie) is None


def test_logging_out_ends_it(logins: Logins) -> None:
    session, other = logged_in(logins), logged_in(logins)
    logins.log_out(session)
    logins.log_out(session)
    assert logins.session(session.cookie) is None
    assert logins.session(other.cookie) == other


def test_one_login_too_many_ends_the_oldest_of_its_role(logins: Logins) -> None:
    wall = logged_in(logins, Role.LOOK)
    sessions = [logged_in(logins) for _ in range(SESSIONS_MAX + 1)]
    assert [logins.session(each.cookie) for each in sessions] == [None, *sessions[1:]]
    assert logins.session(wall.cookie) == wall


def test_no_secret_is_in_a_repr(logins: Logins) -> None:
    session = logged_in(logins)
    assert session.cookie not in repr(session)
    assert session.form_secret not in repr(session)
    assert session.name not in session.cookie
