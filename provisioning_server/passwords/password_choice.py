"""Which given password is tried automatically on which signer.

A wrong try costs something at a module (it counts, and slows the next one down) and more at an HSM (it locks the PIN
after a few). So there a password is tried only where it belongs, and one that was refused never again.
"""

from __future__ import annotations

from collections.abc import Iterable

from provisioning_server.passwords.given_passwords import GivenPasswords
from provisioning_server.signers.signer import Signer


class PasswordChoice:
    """Chooses passwords, and remembers the results while the server runs.

    A password that names a signer is for that one. One that names none is tried on every signer on files; on a module
    or an HSM only if nothing is left to guess: one such password that opened no other signer, one signer that it can
    be for. `places` is how many modules and HSMs were named at the start, whether they are plugged in or not.
    """

    def __init__(self, passwords: GivenPasswords, places: int = 0) -> None:
        self._passwords = passwords
        self._places = places
        self._refused: set[tuple[str, bytes]] = set()  # by what counts the wrong tries
        self._opened: set[tuple[str, bytes]] = set()
        self._owners: dict[bytes, bytes] = {}  # passwords that name no signer: serial number of the one they are for

    def for_signer(self, signer: Signer, beside: Iterable[Signer] = ()) -> tuple[bytes, ...]:
        """Return what may be tried now on a signer; `beside` are the other signers that wait for their passwords.

        Raises UsageError for a credential that cannot be read.
        """
        named = self._passwords.named(signer.serial, signer.name)
        counter = signer.wrong_tries_at
        if counter is None:
            return tuple(dict.fromkeys((*named, *self._passwords.unnamed())))
        tried = named or self._only_one_possible(signer, beside)
        return tuple(password for password in tried if (counter, password) not in self._refused)

    def tried(self, signer: Signer) -> bool:
        """Return whether a password was tried that is not tried again."""
        return any(counter == signer.wrong_tries_at for counter, _ in self._refused)

    def undecided(self, signer: Signer) -> bool:
        """Return whether passwords were given that may or may not be for this signer."""
        known = bool(self._passwords.named(signer.serial, signer.name)) or self.tried(signer)
        return not known and bool(self._passwords.unnamed())

    def for_others(self, signer: Signer) -> bool:
        """Return whether passwords were given that all name another signer."""
        others = self._passwords.named_any() and not self._passwords.unnamed()
        return others and not self._passwords.named(signer.serial, signer.name)

    def begun(self, signer: Signer, password: bytes) -> None:
        """Note a try before it is made: if its result stays unknown, it is not repeated."""
        if signer.wrong_tries_at is not None:
            self._refused.add((signer.wrong_tries_at, password))
            self._owners.setdefault(password, signer.serial)

    def accepted(self, signer: Signer, password: bytes) -> None:
        """Note that it was right: it may be tried again after a reconnection and after a try that broke off."""
        self._opened.add((signer.wrong_tries_at or "", password))
        self.not_refused(signer, password)

    def refused(self, signer: Signer, password: bytes) -> None:
        """Note that it was wrong."""
        self._opened.discard((signer.wrong_tries_at or "", password))

    def broke_off(self, signer: Signer, password: bytes) -> None:
        """Note that the signer was unplugged during the try; a password that opened it before was not wrong."""
        if (signer.wrong_tries_at or "", password) in self._opened:
            self.not_refused(signer, password)

    def not_refused(self, signer: Signer, password: bytes) -> None:
        """Note that it did not cause the failure: it may be tried again after a reconnection."""
        self._refused.discard((signer.wrong_tries_at or "", password))
        self._owners.setdefault(password, signer.serial)

    def _only_one_possible(self, signer: Signer, beside: Iterable[Signer]) -> tuple[bytes, ...]:
        left = [each for each in self._passwords.unnamed() if self._owners.get(each, signer.serial) == signer.serial]
        others = [other for other in beside if other is not signer and self._needs_unnamed(other)]
        return tuple(left) if len(left) == 1 and self._places <= 1 and not others else ()

    def _needs_unnamed(self, signer: Signer) -> bool:
        waits = signer.wrong_tries_at is not None and not signer.ready
        return waits and not self._passwords.named(signer.serial, signer.name)
