"""Set or change the password of a module; the chip takes the new one only from who proves the old one.

Two slots change, one after the other: first the write key (3), then the authorization key (1). Until the second write
the old password is valid, so an interrupted change is finished by giving the same two passwords again.
"""

from __future__ import annotations

import os
from typing import Final

from atcaprov.device.device import NUM_IN_SIZE, Act
from atcaprov.device.key_authorization import AuthorizedUse, NotAuthorizedError
from atcaprov.errors import Code, ProvisioningError, UsageError
from signer_module.on_chip.module import RootModule, SignerModule
from signer_module.on_chip.password_keys import PasswordSecrets
from signer_module.on_chip.slot_layout import AUTHORIZATION_SLOT, WRITE_KEY_SLOT
from signer_module.password_rules import require_strong

AnyModule = SignerModule | RootModule
_NOT_FIRST: Final = "The module already has a password."
_NONE_YET: Final = "The module has no password yet."


def set_password(module: AnyModule, password: bytes) -> None:
    """Give a module its first password. Raises UsageError when it has one, or was made without; else as `sign`."""
    _require_possible(module)
    require_strong(password)
    if module.needs_password:
        raise UsageError(_NOT_FIRST, advice="Change it with 'signer-module password change'.")
    _change(module, module.secrets_of(None), module.secrets_of(password))


def change_password(module: AnyModule, old: bytes, new: bytes) -> bool:
    """Replace the password; the same call finishes an interrupted change.

    False: an earlier change to `new` came to its end, only its reply was lost. Raises UsageError: password-wrong when
    `old` is wrong, or when an earlier change to another password was interrupted; password-weak for `new`.
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
    if not module.contents.variant.password:
        raise UsageError(
            "The module was created without a password, which is permanent.",
            advice="Create a new module if you need a password.",
        )


def _change(module: AnyModule, old: PasswordSecrets, new: PasswordSecrets) -> None:
    module.lock()
    with module.device.undisturbed():
        # False: an earlier change was interrupted after this write.
        _write(module, WRITE_KEY_SLOT, new.write_key, old, old.write_key)
        if not _write(module, AUTHORIZATION_SLOT, new.authorization, old, new.write_key):
            raise UsageError(
                "An earlier change of the password, to another new one, was interrupted.",
                advice="Give the new password of that change; then change it again.",
                code=Code.PASSWORD_WRONG,
            )
        if not _authorizes(module, new):
            raise ProvisioningError(
                "The module does not accept its new password after the change.",
                advice="Run the same command again; if it happens twice, make a new module.",
                code=Code.WRITE_NOT_VERIFIED,
            )


def _write(module: AnyModule, slot: int, secret: bytes, owner: PasswordSecrets, write_key: bytes) -> bool:
    """Write a secret as who has the password of `owner`; False if the chip has another write key."""
    try:
        with module.device.permit(Act.WRITE_SECRET):
            return _use_of(module).write_secret(
                slot,
                secret,
                owner.authorization,
                write_key=write_key,
                write_key_slot=WRITE_KEY_SLOT,
                num_in=os.urandom(NUM_IN_SIZE),
            )
    except NotAuthorizedError as error:
        raise UsageError("The password is wrong.", advice="Try again.", code=Code.PASSWORD_WRONG) from error


def _authorizes(module: AnyModule, secrets: PasswordSecrets) -> bool:
    return _use_of(module).accepts(secrets.authorization)


def _use_of(module: AnyModule) -> AuthorizedUse:
    return AuthorizedUse(module.device, AUTHORIZATION_SLOT, module.serial)
