"""Asks for the passwords of signers on the console."""

from __future__ import annotations

import asyncio
from typing import Protocol

from atcaprov.errors import AtcaProvError, CertificateError, UsageError
from atcaprov.log import Log
from atcaprov.terminal.keys import Key, KeyPress
from atcaprov.terminal.line import Line
from provisioning_server.log_names import label
from provisioning_server.passwords.unlock_service import Outcome, UnlockService
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.signers.signer import Signer


class PromptLog(Log, Protocol):
    """A log that shows prompts, too."""

    def ask(self, prompt: str) -> None:
        """Show a prompt."""

    def answered(self) -> None:
        """End its line."""


class PasswordPrompt:
    """Asks for the passwords of signers on the console, one after the other. The caller handles ESC.

    A damaged key file ends `run`; every other signer that fails is left to the unlock service. What was typed before a
    prompt does not answer it: all keys up to ENTER are dropped then. A signer whose password could not be tried is
    asked for again after all others that wait.
    """

    def __init__(self, signers: SignerRegistry, log: PromptLog, unlock_service: UnlockService) -> None:
        self._signers = signers
        self._log = log
        self._unlock_service = unlock_service
        self._answers: asyncio.Queue[str | None] = asyncio.Queue()
        self._line: Line | None = None
        self._asked: Signer | None = None
        self._untried: list[Signer] = []
        """Signers whose passwords could not be tried, the latest last."""
        self._typed = False
        """Whether keys came since the last ENTER."""
        self._stale = False
        """Whether those up to the next ENTER were begun for another prompt, or for none."""

    def press(self, press: KeyPress) -> None:
        """Take a key. What is typed while no prompt is open is dropped."""
        if press.key is Key.TEXT:
            self._typed = True
        elif press.key in (Key.ENTER, Key.CLEAR):
            self._typed = False
        if self._line is None:
            return
        text = self._line.press(press)
        if text is not None:
            self._close_line("" if self._stale else text)

    def signers_changed(self) -> None:
        """Close the prompt if its signer does not wait any more."""
        if self._line is not None and self._asked not in self._signers.waiting():
            self._close_line(None)

    async def run(self) -> None:
        """Ask until every signer is ready."""
        while waiting := self._signers.waiting():
            self._untried = [signer for signer in self._untried if signer in waiting]
            fresh = [signer for signer in waiting if signer not in self._untried]
            await self._ask((fresh or self._untried)[0])

    async def _ask(self, signer: Signer) -> None:
        self._asked = signer
        await self._unlock_service.rested(signer)
        while signer in self._signers.waiting():
            self._open_line(signer)
            password = await self._answers.get()
            if not password:  # ENTER alone is not a try
                continue
            attempt = await self._unlock_service.attempt(signer, password.encode(errors="surrogateescape"))
            if attempt.outcome is Outcome.UNUSABLE and not signer.slow:
                _end_for_damaged_file(attempt.error)
            if attempt.outcome is Outcome.UNTRIED:
                self._untried = [*(each for each in self._untried if each is not signer), signer]
                return
            await self._unlock_service.rested(signer)

    def _open_line(self, signer: Signer) -> None:
        self._line, self._stale = Line(), self._typed
        if self._stale:
            self._log.warning("What was typed before the prompt is ignored. Press ENTER, then type the password again.")
        self._log.ask(f"{label(signer.serial, signer.name)} password: ")

    def _close_line(self, text: str | None) -> None:
        self._line = None
        self._log.answered()
        self._answers.put_nowait(text)


def _end_for_damaged_file(error: AtcaProvError | None) -> None:
    """End the prompt for a damaged key file: asking again does not repair it."""
    if isinstance(error, UsageError | CertificateError):
        raise error
