"""Rules for TempKey: what commands ask of it, and what becomes of it, and of a running SHA, when a command ends.

Commands load TempKey, and report when they use it up. All other events that end it are at the end of this module:
DS20005927A, 2.5.1 and 9.17, for the ATECC508A; for the ATECC608 what the vendor's tests and public firmware show, and
open points where no source tells.
"""

from __future__ import annotations

from typing import Final

from atcaprov.chip.commands import Opcode, Status
from atcaprov.emulator.core import Core
from atcaprov.emulator.key_rules import obeys_key_config
from atcaprov.emulator.refusal import denied
from atcaprov.emulator.slot import MemorySlot
from atcaprov.emulator.volatile import TempKey

SECOND_IS_TEMP_KEY: Final = 0x01
FIRST_IS_TEMP_KEY: Final = 0x02
SOURCE_IS_INPUT: Final = 0x04
"""Bits 0 to 2 of P1 of MAC, CheckMac and HMAC."""
_USE_TEMP_KEY_UP: Final = frozenset({Opcode.DERIVE_KEY, Opcode.MAC})
"""When granted, in every mode and on every chip (cryptoauthlib lib/host/atca_host.c calculates so)."""
_LEAVE_TEMP_KEY_508A: Final = frozenset({Opcode.GEN_KEY, Opcode.INFO})
_LEAVE_TEMP_KEY_608: Final = frozenset(
    {
        Opcode.AES,
        Opcode.GEN_DIG,
        Opcode.GEN_KEY,
        Opcode.INFO,
        Opcode.KDF,
        Opcode.NONCE,
        Opcode.RANDOM,
        Opcode.READ,
        Opcode.SHA,
        Opcode.SIGN,
        Opcode.VERIFY,
    }
)
"""A granted one that neither loads TempKey nor uses it up leaves it as it is."""
_HARMLESS_ERRORS: Final = frozenset({Status.ECC_FAULT, Status.WATCHDOG})
"""Errors that never change TempKey. A damaged packet (FF) never gets here."""


def require_temp_key_source(core: Core, p1: int, *, slot: int, no_mac_allowed: bool = False) -> None:
    """Refuse a TempKey that is invalid, not from the source in P1, or made with a key for verification only."""
    temp_key = core.temp_key
    if not temp_key.valid:
        raise denied("TempKey is not valid", slot=slot)
    if temp_key.from_input is not bool(p1 & SOURCE_IS_INPUT):
        raise denied("TempKey's SourceFlag is not the one in P1", slot=slot)
    if temp_key.no_mac and not no_mac_allowed:
        raise denied("TempKey was made with a key for verification only", slot=slot, bit="SlotConfig.NoMac")


def require_nonce_for(core: Core, slot: MemorySlot, p1: int) -> None:
    """Refuse a challenge that is not a random nonce if the slot asks for one."""
    if not slot.req_random or not obeys_key_config(core):
        return
    used = bool(p1 & SECOND_IS_TEMP_KEY)
    fit = not core.temp_key.from_input if used else not core.rules.req_random_needs_temp_key
    if not fit:
        raise denied("the challenge must be a random nonce in TempKey", slot=slot.number, bit="KeyConfig.ReqRandom")


def require_random_temp_key(core: Core, slot: MemorySlot) -> None:
    """Refuse a TempKey that came from the input if the slot asks for a random nonce."""
    if slot.req_random and core.temp_key.from_input and obeys_key_config(core):
        raise denied("TempKey must come from a random nonce", slot=slot.number, bit="KeyConfig.ReqRandom")


def require_temp_key_of_nonce(core: Core, slot: MemorySlot) -> None:
    """ATECC608: refuse a key that asks for a random nonce where the message is not in TempKey.

    Seen on real parts: HMAC by SHA (wirenboard/atecc-util issue 8), Verify of a message in the Message Digest Buffer
    (MicrochipTech/cryptoauthlib issue 276).
    """
    if slot.req_random and not core.memory.is_508 and obeys_key_config(core):
        raise denied("the message must be a random nonce in TempKey", slot=slot.number, bit="KeyConfig.ReqRandom")


def require_output_of_temp_key(core: Core) -> None:
    """Refuse a TempKey made with a key for verification only where the answer shows it, if the chip is set so."""
    if core.temp_key.no_mac and core.open_points.no_mac_stops_outputs:
        raise denied("TempKey was made with a key for verification only", bit="SlotConfig.NoMac")


def require_hmac_of_temp_key(core: Core) -> None:
    """Refuse HMAC by SHA under a TempKey made with a key for verification only, unless the chip is set so."""
    if core.temp_key.no_mac and core.rules.no_mac_stops_hmac:
        raise denied("TempKey was made with a key for verification only", bit="SlotConfig.NoMac")


# The key of encrypted reads and writes: TempKey, made by GenDig from the slot that the policy names


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
    """Return the 32 bytes of TempKey, or refuse. Call `use_write_key_up` when the write is granted.

    It must be valid, made by GenDig from `key_slot`, and not be marked NoMacFlag. Before the data lock any TempKey is
    accepted (DS20005927A, 9.14 and 9.21.1). The OTP zone names no slot.
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
    """End TempKey after a granted write, unless the chip is set to keep it."""
    if core.rules.encrypted_write_consumes:
        core.temp_key.use_up()


def _fits(temp_key: TempKey, key_slot: int) -> bool:
    return temp_key.valid and temp_key.gen_dig and not temp_key.no_mac and temp_key.key_id == key_slot


# The end of a command


def settle_success(core: Core, opcode: int) -> None:
    """End TempKey and a running SHA where a successful command ends them."""
    volatile = core.volatile
    if volatile.sha is not None and opcode != Opcode.SHA and core.memory.is_508:
        volatile.sha = None
    temp_key = volatile.temp_key
    if temp_key.valid and not temp_key.fresh and _ended_by_success(core, opcode):
        temp_key.use_up()


def settle_refusal(core: Core, opcode: int, status: int) -> None:
    """End TempKey and a running SHA where a refused command ends them; the answer 01 is a result, not a refusal."""
    if status == Status.MISMATCH:
        settle_success(core, opcode)
        return
    if core.memory.is_508:
        core.volatile.sha = None
    harmless = status in _HARMLESS_ERRORS or opcode == Opcode.INFO
    if core.temp_key.valid and not harmless and core.rules.errors_clear_temp_key:
        core.temp_key.use_up()


def _ended_by_success(core: Core, opcode: int) -> bool:
    if core.memory.is_508:
        return opcode not in _LEAVE_TEMP_KEY_508A
    if opcode == Opcode.CHECK_MAC:
        return core.open_points.checkmac_consumes
    if opcode in _USE_TEMP_KEY_UP:
        return True
    return opcode not in _LEAVE_TEMP_KEY_608 and core.open_points.other_commands_clear_temp_key
