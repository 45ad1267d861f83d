"""Slots that take a result inside the chip: of DeriveKey, ECDH and KDF."""

from __future__ import annotations

from atcaprov.emulator.core import Core
from atcaprov.emulator.refusal import denied
from atcaprov.emulator.slot import MemorySlot


def require_result_slot(core: Core, slot: MemorySlot) -> None:
    """Refuse a slot that is locked or private, and every slot while the data zone is open."""
    if not core.memory.data_locked and not core.rules.data_open_result_in_slot:
        raise denied("no result goes into a slot before the data lock", slot=slot.number, bit="LockValue")
    if not slot.unlocked:
        raise denied("the slot is locked", slot=slot.number, bit="SlotLocked")
    if slot.private:
        raise denied("the slot is for ECC private keys", slot=slot.number, bit="KeyConfig.Private")
