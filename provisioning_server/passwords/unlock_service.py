"""Tries passwords on signers, for the console and for the web page.

One try at a time for each signer, and after a wrong one a pause that doubles, so that no one can try thousands of
passwords by giving them in two places at once, or by unplugging a module in between.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from atcaprov.errors import AtcaProvError, Code, ProtocolError, TransportError, UsageError
from atcaprov.log import Log
from provisioning_server import rejections
from provisioning_server.internal_error import internal_error
from provisioning_server.log_names import label
from provisioning_server.passwords.wrong_password_pause import WrongPasswordPause
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.signers.signer import Signer

_TRIED_AGAIN: Final = "The given password is tried again automatically."


class Outcome(enum.Enum):
    """The result of a try."""

    ACCEPTED = "accepted"
    WRONG = "wrong"
    UNUSABLE = "unusable"
    """The signer failed, and is removed or excluded."""
    UNTRIED = "untried"
    """This computer lacks the memory to try a password; the signer still waits."""
    NOT_WAITING = "not waiting"
    """Nothing was tried: the signer is gone, or is unlocked already."""


@dataclass(frozen=True, slots=True)
class UnlockAttempt:
    """A try that was made; `error` says why it failed."""

    outcome: Outcome
    error: AtcaProvError | None = None


@dataclass(slots=True)
class _Tries:
    """What is remembered of a signer; `untried` says why a try was not made."""

    pause: WrongPasswordPause
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    untried: str = ""


def _ignore(_: Signer) -> None:
    pass


class UnlockService:
    """Tries passwords. `settled` is called with each signer that is ready or unusable now.

    A module or an HSM that is gone is let go, and tried again when it is found again. One whose password this computer
    has too little memory for still waits. A signer that fails for any other reason is excluded.
    """

    def __init__(
        self,
        signers: SignerRegistry,
        log: Log,
        settled: Callable[[Signer], None] = _ignore,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._signers = signers
        self._log = log
        self._settled = settled
        self._pause = pause
        self._clock = clock
        self._tries: dict[bytes, _Tries] = {}  # by public key

    def wrong(self, signer: Signer) -> int:
        """Return the number of wrong passwords in a row."""
        return self._of(signer).pause.wrong

    def untried(self, signer: Signer) -> str:
        """Return why the last password could not be tried; empty if it was."""
        return self._of(signer).untried

    def busy(self, signer: Signer) -> bool:
        """Return whether a password is being tried."""
        return self._of(signer).turn.locked()

    def seconds_left(self, signer: Signer) -> float:
        """Return the seconds until the next password may be tried."""
        return self._of(signer).pause.seconds_left()

    async def rested(self, signer: Signer) -> None:
        """Wait until the next password may be tried."""
        seconds = self.seconds_left(signer)
        if seconds:
            await self._pause(seconds)

    def postponed(self, signer: Signer, error: AtcaProvError) -> None:
        """Note and log that a given password could not be tried and is tried again automatically."""
        self._of(signer).untried = f"{error} {_TRIED_AGAIN}"
        self._say_untried(signer)

    def postponed_no_more(self, signer: Signer) -> None:
        """Clear the note that a given password is tried again."""
        self._of(signer).untried = ""

    async def attempt(self, signer: Signer, password: bytes, *, again: bool = False) -> UnlockAttempt:
        """Try a password, after earlier tries and after the pause.

        `again`: it was `postponed`; that it has to wait on is not said once more.
        """
        async with self._of(signer).turn:
            await self.rested(signer)
            if signer not in self._signers.waiting():
                return UnlockAttempt(Outcome.NOT_WAITING)
            try:
                # In a thread: turning a password into a key is slow on purpose.
                await asyncio.to_thread(signer.unlock, password)
            except AtcaProvError as error:
                if error.code == Code.PASSWORD_MEMORY:  # nothing came to the signer: letting it go would not help
                    return self._untried(signer, error, again)
                return self._failed(signer, error)
            except Exception as error:  # of any kind: the others are still asked for their passwords
                return self._failed(signer, internal_error(error))
            self._of(signer).pause.end()
            self._of(signer).untried = ""
            self._log.info(f"{label(signer.serial, signer.name)} password accepted, ready.")
        self._settled(signer)
        return UnlockAttempt(Outcome.ACCEPTED)

    def _untried(self, signer: Signer, error: AtcaProvError, again: bool) -> UnlockAttempt:
        if not again:
            self._of(signer).untried = str(error)
            self._say_untried(signer)
        return UnlockAttempt(Outcome.UNTRIED, error)

    def _say_untried(self, signer: Signer) -> None:
        name = label(signer.serial, signer.name)
        self._log.warning(f"{name} still waits for its password: {self._of(signer).untried}")

    def _failed(self, signer: Signer, error: AtcaProvError) -> UnlockAttempt:
        name = label(signer.serial, signer.name)
        self._of(signer).untried = ""
        if error.code == Code.PASSWORD_WRONG:
            self._of(signer).pause.lengthen()
            self._log.warning(f"{name} password wrong.")
            return UnlockAttempt(Outcome.WRONG, error)
        if isinstance(error, TransportError | ProtocolError | UsageError) and signer.slow:
            self._signers.remove(signer)
        else:
            self._signers.exclude(signer, rejections.SIGNER_QUARANTINED, str(error))
        self._log.warning(f"{name} cannot be used: {error}")
        self._settled(signer)
        return UnlockAttempt(Outcome.UNUSABLE, error)

    def _of(self, signer: Signer) -> _Tries:
        return self._tries.setdefault(signer.documents.signer_public_key, _Tries(WrongPasswordPause(self._clock)))
