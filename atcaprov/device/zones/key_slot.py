"""The private key that a slot holds before a new one is made there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from atcaprov.chip.commands import Status
from atcaprov.errors import DeviceError

_GEN_KEY: Final = "GenKey"
_NO_KEY_THERE: Final = frozenset({Status.EXECUTION_ERROR, Status.ECC_FAULT})


def existing_public_key(get_pubkey: Callable[[], bytes], has_valid_key: Callable[[], bool]) -> bytes | None:
    """Return the public key (64 bytes X||Y) of the key in a slot; None if there is none yet.

    An ECC fault alone does not say that there is no key: a new key would destroy the one that is there, so
    `has_valid_key` decides. Raises what `get_pubkey` raises for any other reason.
    """
    try:
        return get_pubkey()
    except DeviceError as error:
        if error.command != _GEN_KEY or error.status not in _NO_KEY_THERE:
            raise
        if error.status == Status.ECC_FAULT and has_valid_key():
            raise
        return None
