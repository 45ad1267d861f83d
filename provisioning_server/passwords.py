"""Getting signers ready: with passwords that were given at the start, else by asking on the console."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from atcaprov.errors import AtcaProvError, CertificateError, Code, TransportError, UsageError
from atcaprov.terminal import Key, KeyPress, Line
from provisioning_server.given_passwords import PASSWORDS_MAX, GivenPassword, password_lines
from provisioning_server.password_desk import Outcome, PasswordDesk
from provisioning_server.password_tries import PasswordTries
from provisioning_server.signers.roster import SignerRoster
from provisioning_server.signers.signer import Signer, label


class PromptLog(Protocol):
    """Where prompts and their outcomes are shown."""

    def info(self, text: str) -> None:
        """Write a line."""

    def warning(self, text: str) -> None:
        """Write a line."""

    def ask(self, prompt: str) -> None:
        """Show a prompt."""

    def answered(self) -> None:
        """End its line."""


def read_passwords(source: Path | int) -> tuple[GivenPassword, ...]:
    """Read lines of passwords from a file or an open file descriptor.

    Raises:
        UsageError: FILE_UNREADABLE, or FILE_INVALID for more than 64 KiB.
    """
    try:
        with open(source, "rb") as file:  # noqa: PTH123 - a descriptor has no Path
            data = file.read(PASSWORDS_MAX + 1)
    except OSError as error:
        raise UsageError(
            f"The passwords can't be read from {_name(source)}: {error.strerror}.",
            advice="Check --password-file or --password-fd.",
            code=Code.FILE_UNREADABLE,
        ) from error
    return password_lines(data, _name(source))


def _name(source: Path | int) -> str:
    return f"file descriptor {source}" if isinstance(source, int) else os.fspath(source)


async def unlock(signer: Signer, tries: PasswordTries, log: PromptLog, beside: Iterable[Signer] = ()) -> None:
    """Announce a signer and make it ready if it needs no password or takes one of those given.

    `beside` are the other signers that wait. Raises UsageError for a file of passwords or a key file, TransportError
    when the signer is gone meanwhile.
    """
    name = label(signer.serial, signer.name)
    if signer.ready:
        log.info(f"{name} ready.")
        return
    log.info(f"{name} requires password.")
    passwords = tries.for_signer(signer, beside)
    for password in passwords:
        if await _opens(signer, password, tries):
            log.info(f"{name} password accepted, ready.")
            return
    _say_why_it_waits(signer, tries, log, refused=bool(passwords))


async def _opens(signer: Signer, password: bytes, tries: PasswordTries) -> bool:
    """Try a given password, and take note of what came of it."""
    tries.begun(signer, password)
    try:
        fits = await _fits(signer, password)
    except (UsageError, CertificateError):
        tries.not_refused(signer, password)
        raise
    except TransportError:
        tries.broke_off(signer, password)
        raise
    if fits:
        tries.accepted(signer, password)
    else:
        tries.refused(signer, password)
    return fits


def _say_why_it_waits(signer: Signer, tries: PasswordTries, log: PromptLog, *, refused: bool) -> None:
    name = label(signer.serial, signer.name)
    if refused:
        log.warning(f"{name} does not take the password that was given. It is not tried again.")
    elif tries.tried(signer):
        log.warning(
            f"{name} is not given its password again: it was refused, or the signer went away at it. Give it by hand."
        )
    elif tries.undecided(signer):
        log.warning(
            f"{name} has no password of its own among those given, and a wrong try counts. Name it: SN=password."
        )
    elif tries.for_others(signer):
        log.info(f"{name} is named by no password that was given.")


def require_all_ready(signers: SignerRoster) -> None:
    """Refuse to go on without a console if a signer still waits; raises UsageError PASSWORD_WRONG."""
    waiting = signers.waiting()
    if waiting:
        raise UsageError(
            f"{label(waiting[0].serial, waiting[0].name)} waits for its password and there is no console to ask on.",
            advice="Give the right password with --password-file or --password-fd; of several, name each: SN=password.",
            code=Code.PASSWORD_WRONG,
        )


class PasswordPrompt:
    """Asks for the passwords of signers on the console, one after the other. ESC is left to whoever feeds the keys.

    A key file that turns out to be damaged ends `run`; every other signer that fails is left to the desk. What was
    begun before a prompt is no answer to it: all keys up to ENTER are dropped then.
    """

    def __init__(self, signers: SignerRoster, log: PromptLog, desk: PasswordDesk) -> None:
        self._signers = signers
        self._log = log
        self._desk = desk
        self._answers: asyncio.Queue[str | None] = asyncio.Queue()
        self._line: Line | None = None
        self._asked: Signer | None = None
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
        """Look again whether the signer that is asked for still waits."""
        if self._line is not None and self._asked not in self._signers.waiting():
            self._close_line(None)

    async def run(self) -> None:
        """Ask until every signer is ready."""
        while waiting := self._signers.waiting():
            await self._ask(waiting[0])

    async def _ask(self, signer: Signer) -> None:
        self._asked = signer
        await self._desk.rested(signer)
        while signer in self._signers.waiting():
            self._open_line(signer)
            password = await self._answers.get()
            if not password:  # nobody's password: ENTER for its own sake is no try
                continue
            attempt = await self._desk.attempt(signer, password.encode(errors="surrogateescape"))
            if attempt.outcome is Outcome.UNUSABLE and not signer.slow:
                _end_for_damaged_file(attempt.error)
            await self._desk.rested(signer)

    def _open_line(self, signer: Signer) -> None:
        self._line, self._stale = Line(), self._typed
        if self._stale:
            self._log.warning("What was typed before is not used as a password. Press ENTER, then type it anew.")
        self._log.ask(f"{label(signer.serial, signer.name)} password: ")

    def _close_line(self, text: str | None) -> None:
        self._line = None
        self._log.answered()
        self._answers.put_nowait(text)


def _end_for_damaged_file(error: AtcaProvError | None) -> None:
    """The files of a signer stay as they are until somebody repairs them and starts the server again."""
    if isinstance(error, UsageError | CertificateError):
        raise error


async def _fits(signer: Signer, password: bytes) -> bool:
    """Try a password in a thread: turning it into a key takes long on purpose."""
    try:
        await asyncio.to_thread(signer.unlock, password)
    except UsageError as error:
        if error.code != Code.PASSWORD_WRONG:
            raise
        return False
    return True
