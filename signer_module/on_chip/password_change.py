"""Set or change the password of a module; the chip takes the new one only from who proves the old one.

Two slots change, one after the other: first the write key (3), then the authorization key (1). Until the second write
the old password is the one that counts, so a change that was cut is finished by giving the same two passwords again.
"""

from __future__ import annotations

import os
from typing import Final

from atcaprov.chip.commands import Status
from atcaprov.device.authorization import authorize
from atcaprov.device.device import NUM_IN_SIZE, Act
from atcaprov.errors import Code, DeviceError, UsageError
from signer_module.on_chip.layout import AUTHORIZATION_SLOT, WRITE_KEY_SLOT
from signer_module.on_chip.module import ModuleRoot, ModuleSigner
from signer_module.on_chip.password_keys import PasswordSecrets
from signer_module.on_chip.password_strength import require_strong

AnyModule = ModuleSigner | ModuleRoot
_NOT_FIRST: Final = "The module has a password already."
_NONE_YET: Final = "The module has no password yet."


def set_password(module: AnyModule, password: bytes) -> None:
    """Give a module its first password. Raises UsageError when it has one, or was made without; else as `sign`."""
    _require_possible(module)
    require_strong(password)
    if module.needs_password:
        raise UsageError(_NOT_FIRST, advice="Change it with 'signer-module password change'.")
    _change(module, module.secrets_of(None), module.secrets_of(password))


def change_password(module: AnyModule, old: bytes, new: bytes) -> bool:
    """Replace the password; a change that was cut is finished by the same call.

    False: an earlier change to `new` came to its end, only its reply was lost. Raises UsageError: password-wrong when
    `old` is wrong, or when an earlier change to another password was cut; password-weak for `new`.
    """
    _require_possible(module)
    require_strong(new)
    if not module.needs_password:
        raise UsageError(_NONE_YET, advice="Set one with 'signer-module password set'.")
    try:
        module.unlock(old)
    except UsageError as error:
        if error.code != Code.PASSWORD_WRONG or not _authorizes(module, module.secrets_of(new)):
            raise
        module.lock()
        return False
    _change(module, module.secrets_of(old), module.secrets_of(new))
    return True


def _require_possible(module: AnyModule) -> None:
    if not module.facts.variant.password:
        raise UsageError(
            "The module was made without password, which its chip can't change any more.",
            advice="Make a new module if it is to have one.",
        )


def _change(module: AnyModule, old: PasswordSecrets, new: PasswordSecrets) -> None:
    module.lock()
    with module.device.undisturbed():
        _require_authorized(module, old)
        if not _write(module, WRITE_KEY_SLOT, new.write_key, old.write_key):
            # An earlier change was cut after this write. Nobody says whether a refused write ends an authorization.
            _require_authorized(module, old)
        if not _write(module, AUTHORIZATION_SLOT, new.authorization, new.write_key):
            raise UsageError(
                "An earlier change of the password was cut, and it was to another new password.",
                advice="Give the new password of that change; then change it again.",
                code=Code.PASSWORD_WRONG,
            )
        _require_authorized(module, new)


def _write(module: AnyModule, slot: int, secret: bytes, write_key: bytes) -> bool:
    """Write a secret; False if the chip refuses the write key."""
    try:
        with module.device.permit(Act.WRITE_SECRET):
            module.device.write_secret(
                slot, secret, write_key=write_key, write_key_slot=WRITE_KEY_SLOT, num_in=os.urandom(NUM_IN_SIZE)
            )
    except DeviceError as error:
        if error.status != Status.EXECUTION_ERROR:
            raise
        return False
    return True


def _authorizes(module: AnyModule, secrets: PasswordSecrets) -> bool:
    secret = secrets.authorization
    return authorize(module.device, AUTHORIZATION_SLOT, secret, serial_number=module.serial)


def _require_authorized(module: AnyModule, secrets: PasswordSecrets) -> None:
    if not _authorizes(module, secrets):
        raise UsageError("The password is wrong.", advice="Try again.", code=Code.PASSWORD_WRONG)
