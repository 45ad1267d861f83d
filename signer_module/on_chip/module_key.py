"""The private key of a module in use: its chip asks for the password and keeps the quota."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Final

from atcaprov.certs.keys import verify_digest
from atcaprov.device.device import Act, Device
from atcaprov.device.key_authorization import AuthorizedUse, NotAuthorizedError
from atcaprov.errors import Code, DeviceError, ProtocolError, TransportError, UsageError
from signer_module.on_chip.password_keys import PasswordSecrets
from signer_module.on_chip.public_contents import ModuleContents
from signer_module.on_chip.quota import Quota
from signer_module.on_chip.slot_layout import (
    AUTHORIZATION_SLOT,
    CHIP_SECRET_SLOT,
    KEY_SLOT,
    USE_COUNTER,
    WRONG_PASSWORD_COUNTER,
)

LONGEST_PAUSE: Final = 30.0
Pause = Callable[[float], None]


class ModuleKey:
    """Signs with the key in slot 0. Methods may be called from any thread; one runs at a time.

    `unlock` keeps the secrets made from the password, never the password. They are forgotten by `lock` and as soon as
    the chip does not answer: after it is plugged in again, the password must be given again. The chip never keeps
    what it was told: each use of the key authorizes itself. `pause` is called with seconds before each try that follows
    a wrong password.
    """

    def __init__(self, device: Device, contents: ModuleContents, pause: Pause = time.sleep) -> None:
        self._device = device
        self._contents = contents
        self._used = AuthorizedUse(device, AUTHORIZATION_SLOT, contents.serial)
        self._pause = pause
        self._lock = threading.RLock()
        self._secrets: PasswordSecrets | None = None
        self._wrong_in_a_row = 0
        self._quota = self.read_quota()
        self.password_set = False
        """Whether the module has a password; False also for one whose first password was not set yet."""
        if contents.variant.password:
            self.password_set = not self._accepts(self.secrets_of(None))
        self.ready = not self.password_set
        """Whether it signs."""

    @property
    def quota(self) -> Quota | None:
        """What is left as far as this object knows; None if the module has no quota."""
        return self._quota

    def read_quota(self) -> Quota | None:
        """Ask the chip what is left; None if the module has no quota."""
        with self._answering():
            self._quota = self._counted()
        return self._quota

    def _counted(self) -> Quota | None:
        limit, made_for = self._contents.limit, self._contents.made_for
        return None if limit is None else Quota(limit, self._device.counter(USE_COUNTER), made_for)

    def wrong_passwords(self) -> int:
        """Ask the chip how many wrong passwords were tried with programs that count them."""
        with self._answering():
            return self._device.counter(WRONG_PASSWORD_COUNTER)

    def secrets_of(self, password: bytes | None) -> PasswordSecrets:
        """Return what a password is for this module; None: before one was set. Takes long on purpose."""
        return self._contents.secrets(password, self._ask_chip)

    def unlock(self, password: bytes | None) -> None:
        """Make the key ready; a password that is not needed is ignored.

        Raises UsageError (password-wrong), TransportError when the module is gone.
        """
        if not self.password_set:
            return
        if not password:
            raise UsageError("The module needs its password.", code=Code.PASSWORD_WRONG)
        if self._wrong_in_a_row:
            self._pause(min(2.0 ** (self._wrong_in_a_row - 1), LONGEST_PAUSE))
        secrets = self.secrets_of(password)
        with self._lock:
            if not self._accepts(secrets):
                self._wrong_password()
            self._secrets, self._wrong_in_a_row, self.ready = secrets, 0, True

    def lock(self) -> None:
        """Forget the password's secrets, and send the chip to sleep, so that it forgets too."""
        with self._lock:
            self._forget()
            self._device.rest()

    def rest(self) -> None:
        """Send the chip to sleep."""
        with self._lock:
            self._device.rest()

    def _forget(self) -> None:
        self._secrets = None
        self.ready = not self.password_set

    def sign(self, digest: bytes) -> bytes:
        """Return R||S (64 bytes) over a SHA-256 digest (32 bytes).

        Raises:
            UsageError: the password is missing, or was changed in the meantime (code PASSWORD_WRONG).
            DeviceError: the quota is used up (code QUOTA_USED_UP), or the chip refuses for another reason.
            TransportError: the module is gone.
            ProtocolError: it answers twice in a row what no chip answers, or a signature that does not verify.
        """
        with self._lock:
            self._require_ready()
            with self._answering():
                signature = self._sign_despite_noise(digest)
            if self._quota is not None:
                self._quota = replace(self._quota, counter=self._quota.counter + 1)
            if not verify_digest(self._contents.public_key, digest, signature):
                self.lock()
                raise ProtocolError(
                    "The module's signature does not verify under its public key.",
                    advice="If no other program used it at the same time, take the module out of use.",
                    code=Code.BAD_PACKET,
                )
            return signature

    def prove(self) -> bool:
        """Tell whether the chip's private key belongs to the certificate; costs nothing of the quota."""
        with self._lock:
            self._require_ready()
            with self._answering():
                return self._used.get_pubkey(KEY_SLOT, self._secret()) == self._contents.public_key

    def check_present(self) -> None:
        """Raise TransportError when the module is gone or another chip is in its place."""
        with self._answering():
            if self._device.serial_number() != self._contents.serial:
                raise TransportError("Another chip is connected in place of the module.", code=Code.DEVICE_NOT_FOUND)

    def _require_ready(self) -> None:
        if not self.ready:
            raise UsageError("The module waits for its password.", code=Code.PASSWORD_WRONG)

    def _sign_despite_noise(self, digest: bytes) -> bytes:
        """Sign once more after a damaged answer, as noise on a line makes it; a signature that was lost so counts."""
        secret = self._secret()
        try:
            return self._used.sign(KEY_SLOT, digest, secret, self._require_quota)
        except ProtocolError:
            self._quota = self._counted()
            return self._used.sign(KEY_SLOT, digest, secret, self._require_quota)

    def _require_quota(self, error: DeviceError) -> None:
        self._quota = self._counted()
        if self._quota is not None and not self._quota.remaining:
            raise DeviceError(
                "The module's quota is used up.",
                command=error.command,
                status=error.status,
                advice="Make a new signer module.",
                code=Code.QUOTA_USED_UP,
            ) from error

    def _secret(self) -> bytes | None:
        """Return what authorizes a use of the key; None if it asks for nothing."""
        if not self._contents.variant.password:
            return None
        secrets = self._secrets if self.password_set else self.secrets_of(None)
        assert secrets is not None
        return secrets.authorization

    def _ask_chip(self, challenge: bytes) -> bytes:
        with self._answering():
            return self._device.mac(CHIP_SECRET_SLOT, challenge)

    def _accepts(self, secrets: PasswordSecrets) -> bool:
        with self._answering():
            return self._used.accepts(secrets.authorization)

    def _wrong_password(self) -> None:
        self._wrong_in_a_row += 1
        with suppress(DeviceError), self._answering(), self._device.permit(Act.ADVANCE_COUNTER):
            self._device.increment_counter(WRONG_PASSWORD_COUNTER)
        raise UsageError("The password is wrong.", advice="Try again.", code=Code.PASSWORD_WRONG)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Forget the secrets when the chip does not answer, answers nonsense, or no longer accepts them."""
        with self._lock:
            try:
                yield
            except NotAuthorizedError as error:
                self.lock()
                raise UsageError(
                    "The module no longer accepts its password: it was changed in the meantime.",
                    advice="Give the new password.",
                    code=Code.PASSWORD_WRONG,
                ) from error
            except TransportError:
                self._forget()
                raise
            except ProtocolError:
                self.lock()
                raise
