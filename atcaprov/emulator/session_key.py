"""TempKey as the key of encrypted reads and writes: made by GenDig from the slot that the policy names."""

from __future__ import annotations

from atcaprov.emulator.core import Core
from atcaprov.emulator.refusal import denied
from atcaprov.emulator.volatile import TempKey


def require_read_key(core: Core, slot: int, key_slot: int) -> bytes:
    """Return the 32 bytes of TempKey and use it up, or refuse and use it up too.

    It must be valid, made by GenDig from `key_slot` on a random nonce, and not be marked NoMacFlag.
    """
    temp_key = core.temp_key
    fit = _fits(temp_key, key_slot) and not temp_key.from_input
    return _take(temp_key, fit, f"TempKey does not come from GenDig on slot {key_slot}", slot, "SlotConfig.ReadKey")


def require_write_key(core: Core, slot: int | None, key_slot: int | None) -> bytes:
    """Return the 32 bytes of TempKey and use it up, or refuse and use it up too.

    It must be valid, made by GenDig from `key_slot`, and not be marked NoMacFlag. Before the data lock any TempKey will
    do, whatever made it (DS20005927A, 9.14 and 9.21.1); the OTP zone names no slot at all.
    """
    temp_key = core.temp_key
    fit = key_slot is not None and _fits(temp_key, key_slot)
    if not fit and temp_key.valid and not temp_key.no_mac and not core.memory.data_locked:
        fit = key_slot is None or core.rules.data_open_write_key == "any"
    reason = "TempKey is not valid" if key_slot is None else f"TempKey does not come from GenDig on slot {key_slot}"
    return _take(temp_key, fit, reason, slot, "SlotConfig.WriteKey")


def release_write_key(core: Core) -> None:
    """Let TempKey live on after a granted write, if the chip is set so."""
    if not core.rules.encrypted_write_consumes:
        core.temp_key.valid = True


def _fits(temp_key: TempKey, key_slot: int) -> bool:
    return temp_key.valid and temp_key.gen_dig and not temp_key.no_mac and temp_key.key_id == key_slot


def _take(temp_key: TempKey, fit: bool, reason: str, slot: int | None, bit: str) -> bytes:
    temp_key.use_up()
    if not fit:
        raise denied(reason, slot=slot, bit=bit)
    return temp_key.key
