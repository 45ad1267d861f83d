"""Logins: codes that are valid for one login each, and the sessions that began with one. All in memory."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from atcaprov.web.roles import Role

CODE_SECONDS: Final = 600.0
"""How long a code is valid that was asked for; the standing one of the console has no end."""
CODES_MAX: Final = 16
SESSIONS_MAX: Final = 16
"""Of each role, so that no other login ends that of a wall screen."""
_CODE_BYTES: Final = 16
_SECRET_BYTES: Final = 32
_HOUR: Final = 3600.0


class SessionTimes(NamedTuple):
    """Seconds after which a session ends: at the latest, and without a request of its user."""

    longest: float
    idle: float


SESSION_TIMES: Final = {
    Role.LOOK: SessionTimes(30 * 24 * _HOUR, 30 * 24 * _HOUR),  # a screen on the wall: no one touches it
    Role.UNLOCK: SessionTimes(12 * _HOUR, 2 * _HOUR),  # a shift
    Role.ADMINISTER: SessionTimes(4 * _HOUR, _HOUR / 4),
}


@dataclass(frozen=True, slots=True)
class LoginSession:
    """A browser that is logged in. `cookie` is what it shows, `form_secret` what its forms bring back (CSRF).

    `peer` is the address that logged in, the only one from which the cookie is valid. `name` tells sessions apart in
    records; the cookie cannot be found by it.
    """

    cookie: str = field(repr=False)
    form_secret: str = field(repr=False)
    role: Role
    peer: str
    ends_at: float

    @property
    def name(self) -> str:
        """Return eight hex digits."""
        return _digest(self.cookie)[:8]

    def owns(self, form_secret: str) -> bool:
        """Return whether a form is one of this session's."""
        return _same(self.form_secret, form_secret)


class _Code(NamedTuple):
    text: str
    role: Role
    ends_at: float


class Logins:
    """Gives codes and keeps sessions; `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._codes: list[_Code] = []
        self._sessions: dict[str, LoginSession] = {}
        self._used_at: dict[str, float] = {}

    def new_code(self, role: Role, seconds: float = CODE_SECONDS) -> str:
        """Return a code for one login with a role, valid for some seconds.

        With more than `CODES_MAX` the one that ends first is dropped.
        """
        now = self._clock()
        code = _Code(secrets.token_urlsafe(_CODE_BYTES), role, now + seconds)
        valid = [each for each in self._codes if now < each.ends_at]
        self._codes = sorted((*valid, code), key=lambda each: each.ends_at)[-CODES_MAX:]
        return code.text

    def valid(self, text: str) -> bool:
        """Return whether a code can be used now."""
        return any(_same(code.text, text) and self._clock() < code.ends_at for code in self._codes)

    def log_in(self, text: str, peer: str = "") -> LoginSession | None:
        """Exchange a code for a session; return None if it is wrong, was used already or is too old."""
        given = text.strip()
        found = [code for code in self._codes if _same(code.text, given) and self._clock() < code.ends_at]
        if not found:
            return None
        self._codes.remove(found[0])
        return self._begin(found[0].role, peer)

    def session(self, cookie: str, peer: str = "", *, by_user: bool = True) -> LoginSession | None:
        """Return the session of a cookie, if it has not ended and the cookie comes from where it was given.

        A request `by_user` keeps it from ending as idle; one by the page's own script does not.
        """
        session = self._sessions.get(_digest(cookie))
        if session is None or session.peer != peer or not self.open(session):
            return None
        if by_user:
            self._used_at[_digest(cookie)] = self._clock()
        return session

    def open(self, session: LoginSession) -> bool:
        """Return whether a session has not ended."""
        name, now = _digest(session.cookie), self._clock()
        if name not in self._sessions:
            return False
        return now < session.ends_at and now < self._used_at[name] + SESSION_TIMES[session.role].idle

    def log_out(self, session: LoginSession) -> None:
        """End a session."""
        self._forget(_digest(session.cookie))

    def _begin(self, role: Role, peer: str) -> LoginSession:
        self._drop_old(role)
        cookie, form_secret = secrets.token_urlsafe(_SECRET_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
        now = self._clock()
        session = LoginSession(cookie, form_secret, role, peer, now + SESSION_TIMES[role].longest)
        self._sessions[_digest(cookie)] = session
        self._used_at[_digest(cookie)] = now
        return session

    def _drop_old(self, role: Role) -> None:
        """Remove sessions that have ended, and the oldest of a role if there are too many."""
        for name in [name for name, session in self._sessions.items() if not self.open(session)]:
            self._forget(name)
        of_role = [name for name, session in self._sessions.items() if session.role == role]
        for name in of_role[: max(0, len(of_role) - SESSIONS_MAX + 1)]:
            self._forget(name)

    def _forget(self, name: str) -> None:
        self._sessions.pop(name, None)
        self._used_at.pop(name, None)


def _same(secret: str, given: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(secret.encode(), given.encode(errors="surrogatepass"))


def _digest(cookie: str) -> str:
    """Return what a session is found by, so that the time of the search tells nothing about valid cookies."""
    return hashlib.sha256(cookie.encode(errors="surrogatepass")).hexdigest()
