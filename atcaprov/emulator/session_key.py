"""TempKey as the key of encrypted reads and writes: made by GenDig from the slot that the policy names.

A granted one uses it up; what a refused one does to it is what any error does.
"""

from __future__ import annotations

from atcaprov.emulator.core import Core
from atcaprov.emulator.refusal import denied
from atcaprov.emulator.volatile import TempKey


def require_read_key(core: Core, slot: int, key_slot: int) -> bytes:
    """Return the 32 bytes of TempKey and use it up, or refuse.

    It must be valid, made by GenDig from `key_slot` on a random nonce, and not be marked NoMacFlag.
    """
    temp_key = core.temp_key
    if not _fits(temp_key, key_slot) or temp_key.from_input:
        raise denied(f"TempKey does not come from GenDig on slot {key_slot}", slot=slot, bit="SlotConfig.ReadKey")
    temp_key.use_up()
    return temp_key.key


def require_write_key(core: Core, slot: int | None, key_slot: int | None) -> bytes:
    """Return the 32 bytes of TempKey, or refuse; `use_write_key_up` ends them when the write is granted.

    It must be valid, made by GenDig from `key_slot`, and not be marked NoMacFlag. Before the data lock any TempKey will
    do, whatever made it (DS20005927A, 9.14 and 9.21.1); the OTP zone names no slot at all.
    """
    temp_key = core.temp_key
    fit = key_slot is not None and _fits(temp_key, key_slot)
    if not fit and temp_key.valid and not temp_key.no_mac and not core.memory.data_locked:
        fit = key_slot is None or core.rules.data_open_write_key == "any"
    if not fit:
        reason = "TempKey is not valid" if key_slot is None else f"TempKey does not come from GenDig on slot {key_slot}"
        raise denied(reason, slot=slot, bit="SlotConfig.WriteKey")
    return temp_key.key


def use_write_key_up(core: Core) -> None:
    """End TempKey after a granted write, unless the chip is set so that it lives on."""
    if core.rules.encrypted_write_consumes:
        core.temp_key.use_up()


def _fits(temp_key: TempKey, key_slot: int) -> bool:
    return temp_key.valid and temp_key.gen_dig and not temp_key.no_mac and temp_key.key_id == key_slot
