"""The life of a signer at the server: it is unlocked, gets work, and is removed when it is unplugged."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Protocol

from atcaprov.errors import AtcaProvError
from provisioning_server.log_names import label
from provisioning_server.passwords.automatic_unlock import unlock, unlock_later
from provisioning_server.passwords.console_prompt import PasswordPrompt, PromptLog
from provisioning_server.passwords.password_choice import PasswordChoice
from provisioning_server.passwords.postponed_unlocks import PostponedSigners
from provisioning_server.passwords.unlock_service import UnlockService
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.signers.signer import Signer
from provisioning_server.signers.signer_warnings import signer_warnings


class SigningService(Protocol):
    """What gives slow signers their work: the signing threads."""

    def __contains__(self, signer: object) -> bool:
        """Return whether a signer has been started."""

    def start(self, signer: Signer) -> None:
        """Give work to a slow signer that is ready."""

    def join(self, signer: Signer) -> None:
        """Wait until a removed signer has finished its job."""

    def signers_changed(self) -> None:
        """Look again which signer may do which job."""


async def _no_others(_signer: Signer) -> Iterable[Signer]:
    return ()


class SignerLifecycle:
    """Unlocks, starts, warns about and removes signers. Its methods run on the event loop."""

    def __init__(
        self,
        registry: SignerRegistry,
        signing: SigningService,
        log: PromptLog,
        now: Callable[[], datetime],
        choice: PasswordChoice,
    ) -> None:
        self.unlock_service = UnlockService(registry, log, self._settled)
        self.prompt = PasswordPrompt(registry, log, self.unlock_service)
        self.postponed = PostponedSigners()
        """Signers that wait until there is enough memory to try the given passwords."""
        self._registry = registry
        self._signing = signing
        self._log = log
        self._now = now
        self._choice = choice
        self._logged: set[str] = set()
        self._warned_few: set[bytes] = set()  # by serial number
        self._came = asyncio.Event()
        self._unlocking = asyncio.Lock()

    async def start(self) -> None:
        """Unlock the signers of the start; raises AtcaProvError when a key or password file cannot be used."""
        for signer in self._registry:
            self._introduced(signer, await unlock(signer, self._choice, self._log, self._registry.waiting()))

    async def plug_in(
        self, signer: Signer, beside: Callable[[Signer], Awaitable[Iterable[Signer]]] = _no_others
    ) -> None:
        """Add a signer that was plugged in; `beside` returns, when its turn has come, others that arrived with it.

        Raises:
            AtcaProvError: it cannot be used, or is gone again; it is not in the registry then.
        """
        self._registry.require_new(signer)
        turn = contextlib.nullcontext() if signer.ready else self._unlocking
        async with turn:  # what one password opened decides where the next one is tried
            others = await beside(signer)
            untried = await unlock(signer, self._choice, self._log, [*self._registry.waiting(), *others])
        self._registry.add(signer)
        self._introduced(signer, untried)

    def worth_trying_again(self, signer: Signer) -> bool:
        """Return whether a postponed signer is due and no one else is trying; call it once at each scan."""
        free = not self.unlock_service.busy(signer) and not self.unlock_service.seconds_left(signer)
        return self.postponed.its_turn(signer) and free

    async def try_again(self, signer: Signer, beside: Callable[[Signer], Awaitable[Iterable[Signer]]]) -> None:
        """Try the given passwords of a postponed signer again; raises UsageError for a credential."""
        async with self._unlocking:
            others = await beside(signer)
            waiting = [*self._registry.waiting(), *others]
            if await unlock_later(signer, self._choice, self.unlock_service, self._log, waiting):
                self.postponed.add(signer)
            else:
                self.postponed.drop(signer)
                self.unlock_service.postponed_no_more(signer)

    def would_guess(self, signer: Signer) -> bool:
        """Return whether an unnamed password would be tried on a signer; raises UsageError for a credential."""
        return not signer.ready and self._choice.undecided(signer)

    async def unplug(self, signer: Signer, words: str) -> None:
        """Remove a signer that was unplugged, and forget its password; others get its jobs."""
        if self._registry.remove(signer):
            self._log.warning(f"{label(signer.serial, signer.name)} {words}")
        self.postponed.drop(signer)
        self._signing.signers_changed()
        self.prompt.signers_changed()
        await asyncio.to_thread(self._let_go, signer)

    async def ask(self) -> None:
        """Ask for passwords whenever a signer waits for one, until cancelled."""
        while True:
            self._came.clear()
            await self.prompt.run()
            await self._came.wait()

    async def stop(self) -> None:
        """Let slow signers finish their jobs (the queue is stopped before), and forget all passwords."""
        for signer in self._registry:
            await asyncio.to_thread(self._let_go, signer)

    def _introduced(self, signer: Signer, untried: AtcaProvError | None) -> None:
        self._warn_of_expiry(signer)
        if untried is not None:
            self.unlock_service.postponed(signer, untried)
            self.postponed.add(signer)
        if signer.ready:
            self._begin(signer)
        self._came.set()

    def _warn_of_expiry(self, signer: Signer) -> None:
        """Log each warning once, however often the module is reconnected."""
        name = label(signer.serial, signer.name)
        for text in signer_warnings(signer, self._now()):
            line = f"{name} {text}"
            if line not in self._logged:
                self._logged.add(line)
                self._log.warning(line)

    def _settled(self, signer: Signer) -> None:
        """Use a signer that was unlocked, from the console or elsewhere, and stop asking for its password."""
        self.postponed.drop(signer)
        if self._registry.usable(signer):
            self._begin(signer)
        self._signing.signers_changed()
        self.prompt.signers_changed()

    def _begin(self, signer: Signer) -> None:
        if signer.slow and signer not in self._signing:
            self._say_remaining(signer)
            self._signing.start(signer)

    def _say_remaining(self, signer: Signer) -> None:
        """Log what is left of a quota; a low quota is a warning once, however often the module is reconnected."""
        if not signer.remaining:  # none, or used up, which its thread says
            return
        few = signer.quota_low
        warn = few and signer.serial not in self._warned_few
        if few:
            self._warned_few.add(signer.serial)
        say = self._log.warning if warn else self._log.info
        say(f"{label(signer.serial, signer.name)} can issue {signer.remaining} more.")

    def _let_go(self, signer: Signer) -> None:
        self._signing.join(signer)
        try:
            signer.close()
        except AtcaProvError as error:
            self._log.warning(f"{label(signer.serial, signer.name)} cannot be closed: {error}")
