from __future__ import annotations

import pytest

from atcaprov.web.logins import SESSION_SECONDS, SESSIONS_MAX, Logins, LoginSession


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


def logged_in(logins: Logins) -> LoginSession:
    session = logins.log_in(logins.code)
    assert session is not None
    return session


def test_code_is_valid_for_one_login(logins: Logins) -> None:
    code = logins.code
    assert len(code) >= 22
    assert logins.log_in(code) is not None
    assert logins.log_in(code) is None
    assert logins.code != code


@pytest.mark.parametrize("code", ["", "x", "ü", "\udcff"])
def test_wrong_code_does_not_log_in_and_keeps_the_right_one_valid(logins: Logins, code: str) -> None:
    good = logins.code
    assert logins.log_in(code) is None
    assert logins.log_in(good[:-1]) is None
    assert logins.log_in(f" {good}\n") is not None


def test_a_session_is_found_by_its_cookie_only(logins: Logins) -> None:
    first, second = logged_in(logins), logged_in(logins)
    assert logins.session(first.cookie) == first
    assert logins.session(second.cookie) == second
    assert logins.session(first.form_secret) is None
    assert logins.session("") is None
    assert first.owns(first.form_secret)
    assert not first.owns(second.form_secret)
    assert not first.owns("")


def test_a_session_ends_by_itself(logins: Logins, clock: Clock) -> None:
    session = logged_in(logins)
    clock.now = SESSION_SECONDS - 1
    assert logins.session(session.cookie) == session
    clock.now = SESSION_SECONDS
    assert logins.session(session.cookie) is None
    assert not logins.open(session)


def test_logging_out_ends_it(logins: Logins) -> None:
    session, other = logged_in(logins), logged_in(logins)
    logins.log_out(session)
    logins.log_out(session)
    assert logins.session(session.cookie) is None
    assert logins.session(other.cookie) == other


def test_one_login_too_many_ends_the_oldest(logins: Logins) -> None:
    sessions = [logged_in(logins) for _ in range(SESSIONS_MAX + 1)]
    assert [logins.session(each.cookie) for each in sessions] == [None, *sessions[1:]]


def test_no_secret_is_in_a_repr(logins: Logins) -> None:
    session = logged_in(logins)
    assert session.cookie not in repr(session)
    assert session.form_secret not in repr(session)
