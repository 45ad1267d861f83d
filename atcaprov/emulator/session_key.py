"""TempKey as the key of encrypted reads and writes: made by GenDig from the slot that the policy names."""

from __future__ import annotations

from atcaprov.emulator.core import Core
from atcaprov.emulator.refusal import denied


def require_session_key(core: Core, slot: int, key_slot: int, bit: str, *, must_be_random: bool = False) -> bytes:
    """Return the 32 bytes of TempKey and use it up, or refuse and use it up too.

    It must be valid, made by GenDig from `key_slot`, and not be marked NoMacFlag; `must_be_random` asks for a random
    nonce below it.
    """
    temp_key = core.temp_key
    fit = temp_key.valid and temp_key.gen_dig and not temp_key.no_mac and temp_key.key_id == key_slot
    temp_key.use_up()
    if not fit or (must_be_random and temp_key.from_input):
        raise denied(f"TempKey does not come from GenDig on slot {key_slot}", slot=slot, bit=bit)
    return temp_key.key


def release_session_key(core: Core) -> None:
    """Let TempKey live on after a granted write, if the chip is set so."""
    if not core.switches.encrypted_write_consumes:
        core.temp_key.valid = True
