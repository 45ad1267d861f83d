"""Public keys that stand in slots."""

from __future__ import annotations

from atcaprov.chip.memory_map import KEY_TYPE_P256
from atcaprov.emulator import ecc
from atcaprov.emulator.core import Core
from atcaprov.emulator.key_rules import obeys_key_config, require_key_type, require_open_use, require_usable
from atcaprov.emulator.refusal import denied
from atcaprov.emulator.slot import MemorySlot


def require_public_key_slot(core: Core, slot: MemorySlot) -> None:
    """Refuse a slot that is not for a P-256 public key: private, of another KeyType, or too small."""
    if slot.private:
        raise denied("the slot holds a private key", slot=slot.number, bit="KeyConfig.Private")
    require_key_type(core, slot, KEY_TYPE_P256)
    if not slot.holds_public_key:
        raise denied("the slot is too small for a public key", slot=slot.number)


def usable_public_key(core: Core, slot: MemorySlot) -> bytes:
    """Return X and Y of a stored public key that may verify now."""
    require_usable(core, slot)
    require_open_use(core, slot)
    require_public_key_slot(core, slot)
    if slot.needs_validation and not slot.validated and obeys_key_config(core):
        raise denied("the public key is not validated", slot=slot.number, bit="KeyConfig.PubInfo")
    public_key = slot.public_key()
    if not ecc.on_curve(public_key):
        raise denied("the stored public key is not a point on the curve", slot=slot.number)
    return public_key
