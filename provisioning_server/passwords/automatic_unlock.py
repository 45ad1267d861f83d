"""Unlocks signers with the given passwords.

One for which this computer has too little memory is tried again later: it never came to the signer and is not wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterable

from atcaprov.errors import CertificateError, Code, TransportError, UsageError
from atcaprov.log import Log
from provisioning_server.log_names import label
from provisioning_server.passwords.password_choice import PasswordChoice
from provisioning_server.passwords.unlock_service import Outcome, UnlockAttempt, UnlockService
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.signers.signer import Signer


async def unlock(signer: Signer, choice: PasswordChoice, log: Log, beside: Iterable[Signer] = ()) -> UsageError | None:
    """Announce a signer and make it ready if it needs no password or takes one of those given.

    `beside` are the other signers that wait. Returns why a password has to be tried again, for want of memory. Raises
    UsageError for a file of passwords or a key file, TransportError when the signer is gone meanwhile.
    """
    name = label(signer.serial, signer.name)
    if signer.ready:
        log.info(f"{name} ready.")
        return None
    log.info(f"{name} requires password.")
    passwords = choice.for_signer(signer, beside)
    for password in passwords:
        try:
            fits = await _opens(signer, password, choice)
        except UsageError as error:
            if error.code != Code.PASSWORD_MEMORY:
                raise
            return error
        if fits:
            log.info(f"{name} password accepted, ready.")
            return None
    _say_why_it_waits(signer, choice, log, refused=bool(passwords))
    return None


async def unlock_later(
    signer: Signer, choice: PasswordChoice, unlock_service: UnlockService, log: Log, beside: Iterable[Signer] = ()
) -> bool:
    """Try again what `unlock` could not try on a waiting signer; return whether that has to be repeated.

    Raises UsageError for a credential that cannot be read; the unlock service logs everything else.
    """
    passwords = choice.for_signer(signer, beside)
    for password in passwords:
        choice.begun(signer, password)
        attempt = await unlock_service.attempt(signer, password, again=True)
        _take_note(attempt, signer, password, choice)
        if attempt.outcome is not Outcome.WRONG:
            return attempt.outcome is Outcome.UNTRIED
    _say_why_it_waits(signer, choice, log, refused=bool(passwords))
    return False


def _take_note(attempt: UnlockAttempt, signer: Signer, password: bytes, choice: PasswordChoice) -> None:
    if attempt.outcome is Outcome.ACCEPTED:
        choice.accepted(signer, password)
    elif attempt.outcome is Outcome.WRONG:
        choice.refused(signer, password)
    elif isinstance(attempt.error, TransportError):
        choice.broke_off(signer, password)
    else:
        choice.not_refused(signer, password)


async def _opens(signer: Signer, password: bytes, choice: PasswordChoice) -> bool:
    """Try a given password, and note its result."""
    choice.begun(signer, password)
    try:
        fits = await _fits(signer, password)
    except (UsageError, CertificateError):
        choice.not_refused(signer, password)
        raise
    except TransportError:
        choice.broke_off(signer, password)
        raise
    if fits:
        choice.accepted(signer, password)
    else:
        choice.refused(signer, password)
    return fits


async def _fits(signer: Signer, password: bytes) -> bool:
    """Try a password in a thread: turning it into a key is slow on purpose."""
    try:
        await asyncio.to_thread(signer.unlock, password)
    except UsageError as error:
        if error.code != Code.PASSWORD_WRONG:
            raise
        return False
    return True


def _say_why_it_waits(signer: Signer, choice: PasswordChoice, log: Log, *, refused: bool) -> None:
    name = label(signer.serial, signer.name)
    if refused:
        log.warning(f"{name} refused the given password. It is not tried again.")
    elif choice.tried(signer):
        log.warning(
            f"{name} does not get the given password again: it was refused, or the signer was unplugged before "
            "it was accepted. Enter it by hand."
        )
    elif choice.undecided(signer):
        log.warning(
            f"{name} has no given password of its own, and wrong tries count, so no password "
            "was tried. Give one as SN=password."
        )
    elif choice.for_others(signer):
        log.info(f"{name} has no given password: all of them name other signers.")


def require_all_ready(signers: SignerRegistry, later: Container[Signer] = ()) -> None:
    """Refuse to continue without a console if a signer still waits, unless its password is tried again `later`.

    Raises UsageError PASSWORD_WRONG.
    """
    waiting = [signer for signer in signers.waiting() if signer not in later]
    if waiting:
        raise UsageError(
            f"{label(waiting[0].serial, waiting[0].name)} waits for its password, but there is no console to ask on.",
            advice="Give the right password with --password-file or --password-fd; of several, name each: SN=password.",
            code=Code.PASSWORD_WRONG,
        )
