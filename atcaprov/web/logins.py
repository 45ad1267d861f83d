"""Logins: a code that is valid for one login, and the sessions that began with one. All in memory."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

SESSION_SECONDS: Final = 12 * 3600.0
"""A shift; then a new login is needed."""
SESSIONS_MAX: Final = 16
_CODE_BYTES: Final = 16
_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class LoginSession:
    """A browser that is logged in. `cookie` is what it shows, `form_secret` what its forms bring back (CSRF)."""

    cookie: str = field(repr=False)
    form_secret: str = field(repr=False)
    ends_at: float

    def owns(self, form_secret: str) -> bool:
        """Return whether a form is one of this session's."""
        return _same(self.form_secret, form_secret)


class Logins:
    """Gives codes and keeps sessions; `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sessions: dict[str, LoginSession] = {}
        self.code = _new_code()
        """The code of the next login."""

    def log_in(self, code: str) -> LoginSession | None:
        """Exchange the code for a session and make a new code; return None if it is wrong."""
        if not _same(self.code, code.strip()):
            return None
        self.code = _new_code()
        self._drop_old()
        ends_at = self._clock() + SESSION_SECONDS
        session = LoginSession(secrets.token_urlsafe(_SECRET_BYTES), secrets.token_urlsafe(_SECRET_BYTES), ends_at)
        self._sessions[_name(session.cookie)] = session
        return session

    def session(self, cookie: str) -> LoginSession | None:
        """Return the session of a cookie, if it has not ended."""
        session = self._sessions.get(_name(cookie))
        return session if session is not None and self.open(session) else None

    def open(self, session: LoginSession) -> bool:
        """Return whether a session has not ended."""
        return _name(session.cookie) in self._sessions and self._clock() < session.ends_at

    def log_out(self, session: LoginSession) -> None:
        """End a session."""
        self._sessions.pop(_name(session.cookie), None)

    def _drop_old(self) -> None:
        """Remove sessions that have ended, and the oldest if there are too many."""
        self._sessions = {name: session for name, session in self._sessions.items() if self.open(session)}
        while len(self._sessions) >= SESSIONS_MAX:
            self._sessions.pop(next(iter(self._sessions)))


def _new_code() -> str:
    return secrets.token_urlsafe(_CODE_BYTES)


def _same(secret: str, given: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(secret.encode(), given.encode(errors="surrogatepass"))


def _name(cookie: str) -> str:
    """Return a digest to find a session by, so that the time of the search tells nothing about valid cookies."""
    return hashlib.sha256(cookie.encode(errors="surrogatepass")).hexdigest()
