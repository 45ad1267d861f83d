"""DeriveKey (1C): a new key from a parent key and TempKey, into a slot."""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest
from typing import Final

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.command import SUCCESS, CommandSpec, command_header, require_length, require_slot_number
from atcaprov.emulator.core import Core
from atcaprov.emulator.key_rules import (
    count_use,
    require_result_slot,
    require_symmetric,
    require_usable,
)
from atcaprov.emulator.refusal import denied
from atcaprov.emulator.slot import MemorySlot
from atcaprov.emulator.temp_key_rules import require_random_temp_key, require_temp_key_source

_MAC_SIZE: Final = 32
_DERIVE: Final = 0b0010
_FROM_PARENT: Final = 0b0001
_NEEDS_MAC: Final = 0b1000


def _check(_p1: int, p2: int, length: int) -> None:
    require_length(length, 0, _MAC_SIZE)
    require_slot_number(p2)


def _execute(core: Core, p1: int, p2: int, mac: bytes) -> bytes:
    core.require_config_locked()
    target = core.slot(p2)
    require_result_slot(core, target)
    if not target.write_config & _DERIVE:
        raise denied("no key may be derived into the slot", slot=target.number, bit="SlotConfig.WriteConfig bit 13")
    parent = core.slot(target.write_key) if target.write_config & _FROM_PARENT else target
    _require_keys(core, target, parent)
    require_temp_key_source(core, p1, slot=target.number)
    require_random_temp_key(core, parent)  # only the source asks for it (DS20005927A section 9.4)
    header = command_header(core, Opcode.DERIVE_KEY, p1, p2)
    _check_mac(core, target, header, mac)
    message = parent.secret() + header + bytes(25) + core.temp_key.key
    if parent is not target or core.rules.derive_key_roll_counts:
        count_use(core, parent, Opcode.DERIVE_KEY)
    target.write(0, sha256(message).digest())
    return SUCCESS


def _require_keys(core: Core, target: MemorySlot, parent: MemorySlot) -> None:
    """Refuse keys that may not be used now: the parent and, where a MAC is needed, the key of WriteKey.

    One authorization serves both, as they are used by one command.
    """
    keys = {parent.number: parent}
    if target.write_config & _NEEDS_MAC:
        keys.setdefault(target.write_key, core.slot(target.write_key))
    require_usable(core, *keys.values())
    for key in keys.values():
        require_symmetric(key)


def _check_mac(core: Core, target: MemorySlot, header: bytes, mac: bytes) -> None:
    """Refuse a missing or wrong MAC under the key of WriteKey, also when the target is rolled (section 9.4)."""
    if not target.write_config & _NEEDS_MAC:
        return
    key = core.slot(target.write_key).secret()
    if not compare_digest(sha256(key + header).digest(), mac):
        raise denied("the authorizing MAC is missing or wrong", slot=target.number, bit="SlotConfig.WriteConfig bit 15")


COMMAND: Final = CommandSpec(Opcode.DERIVE_KEY, 0x04, _check, _execute)
