"""Looks after the signers while the server runs: asks for passwords, starts their threads, lets them go."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime

from atcaprov.errors import AtcaProvError
from provisioning_server.issuing.signing_queue import SigningQueue
from provisioning_server.issuing.signing_thread import SigningThread
from provisioning_server.passwords.automatic_unlock import unlock, unlock_later
from provisioning_server.passwords.console_prompt import PasswordPrompt, PromptLog
from provisioning_server.passwords.postponed import PostponedSigners
from provisioning_server.passwords.try_policy import PasswordTries
from provisioning_server.passwords.unlock_service import PasswordDesk
from provisioning_server.signers.expiry_warnings import forewarnings
from provisioning_server.signers.registry import SignerRoster
from provisioning_server.signers.signer import Signer, label


async def _nobody(_signer: Signer) -> Iterable[Signer]:
    return ()


class SignerAttendant:
    """Everything that happens to signers between start and stop. Its methods run on the event loop."""

    def __init__(
        self,
        roster: SignerRoster,
        queue: SigningQueue,
        log: PromptLog,
        now: Callable[[], datetime],
        tries: PasswordTries,
    ) -> None:
        self.desk = PasswordDesk(roster, log, self._settled)
        self.prompt = PasswordPrompt(roster, log, self.desk)
        self.postponed = PostponedSigners()
        """Those that wait until there is memory enough to try the passwords that were given."""
        self._roster = roster
        self._queue = queue
        self._log = log
        self._now = now
        self._tries = tries
        self._threads: dict[int, SigningThread] = {}  # by id of the signer object
        self._told: set[str] = set()
        self._told_few: set[bytes] = set()  # by serial number
        self._came = asyncio.Event()
        self._unlocking = asyncio.Lock()

    async def start(self) -> None:
        """Announce the signers that were named; raises AtcaProvError when a key or password file can't be used."""
        for signer in self._roster:
            self._introduced(signer, await unlock(signer, self._tries, self._log, self._roster.waiting()))

    async def welcome(self, signer: Signer, beside: Callable[[Signer], Awaitable[Iterable[Signer]]] = _nobody) -> None:
        """Take in a signer that was plugged in; `beside` returns, when its turn has come, others that came at once.

        Raises:
            AtcaProvError: it can't be used, or is gone again; it is not on the roster then.
        """
        self._roster.require_new(signer)
        turn = contextlib.nullcontext() if signer.ready else self._unlocking
        async with turn:  # what one password opened decides where the next one is tried
            others = await beside(signer)
            untried = await unlock(signer, self._tries, self._log, [*self._roster.waiting(), *others])
        self._roster.add(signer)
        self._introduced(signer, untried)

    def worth_trying_again(self, signer: Signer) -> bool:
        """Whether the turn of one that was postponed has come, and nobody else is at it; asked once at each scan."""
        free = not self.desk.busy(signer) and not self.desk.seconds_left(signer)
        return self.postponed.its_turn(signer) and free

    async def try_again(self, signer: Signer, beside: Callable[[Signer], Awaitable[Iterable[Signer]]]) -> None:
        """Try the given passwords of one that was postponed; raises UsageError for a credential."""
        async with self._unlocking:
            others = await beside(signer)
            waiting = [*self._roster.waiting(), *others]
            if await unlock_later(signer, self._tries, self.desk, self._log, waiting):
                self.postponed.add(signer)
            else:
                self.postponed.drop(signer)
                self.desk.postponed_no_more(signer)

    def would_guess(self, signer: Signer) -> bool:
        """Whether a password would be tried on a signer that names none; raises UsageError for a credential."""
        return not signer.ready and self._tries.undecided(signer)

    async def dismiss(self, signer: Signer, words: str) -> None:
        """Let a signer go that was unplugged, and forget its password; its jobs go to others."""
        if self._roster.remove(signer):
            self._log.warning(f"{label(signer.serial, signer.name)} {words}")
        self.postponed.drop(signer)
        self._queue.signers_changed()
        self.prompt.signers_changed()
        await asyncio.to_thread(self._let_go, signer, self._threads.pop(id(signer), None))

    async def ask(self) -> None:
        """Ask for passwords whenever a signer waits for one, without end."""
        while True:
            self._came.clear()
            await self.prompt.run()
            await self._came.wait()

    async def stop(self) -> None:
        """Let slow signers finish what they are at, the queue being stopped, and forget all passwords."""
        for signer in self._roster:
            await asyncio.to_thread(self._let_go, signer, self._threads.pop(id(signer), None))

    def _introduced(self, signer: Signer, untried: AtcaProvError | None) -> None:
        self._forewarn(signer)
        if untried is not None:
            self.desk.postponed(signer, untried)
            self.postponed.add(signer)
        if signer.ready:
            self._begin(signer)
        self._came.set()

    def _forewarn(self, signer: Signer) -> None:
        """Say each warning once, however often a module is unplugged."""
        name = label(signer.serial, signer.name)
        for text in forewarnings(signer, self._now()):
            line = f"{name} {text}"
            if line not in self._told:
                self._told.add(line)
                self._log.warning(line)

    def _settled(self, signer: Signer) -> None:
        """Use a signer whose password came, from the console or elsewhere; the console need not ask any more."""
        self.postponed.drop(signer)
        if self._roster.usable(signer):
            self._begin(signer)
        self._queue.signers_changed()
        self.prompt.signers_changed()

    def _begin(self, signer: Signer) -> None:
        if signer.slow and id(signer) not in self._threads:
            self._say_remaining(signer)
            thread = SigningThread(signer, self._roster, self._queue, self._log, self._now)
            self._threads[id(signer)] = thread
            thread.start()

    def _say_remaining(self, signer: Signer) -> None:
        """Tell what is left of a quota; that it is little is a warning once, however often a module is unplugged."""
        if not signer.remaining:  # none, or used up, which its thread says
            return
        few = signer.quota_low
        warn = few and signer.serial not in self._told_few
        if few:
            self._told_few.add(signer.serial)
        say = self._log.warning if warn else self._log.info
        say(f"{label(signer.serial, signer.name)} can issue {signer.remaining} more.")

    def _let_go(self, signer: Signer, thread: SigningThread | None) -> None:
        if thread is not None:
            thread.join()
        try:
            signer.close()
        except AtcaProvError as error:
            self._log.warning(f"{label(signer.serial, signer.name)} cannot be closed: {error}")
