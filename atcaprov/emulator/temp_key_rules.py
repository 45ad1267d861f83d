"""What MAC, CheckMac and HMAC ask of TempKey; bits 0 to 2 of P1 mean the same in all of them."""

from __future__ import annotations

from typing import Final

from atcaprov.emulator.core import Core
from atcaprov.emulator.key_rules import obeys_key_config
from atcaprov.emulator.refusal import denied
from atcaprov.emulator.slot import MemorySlot

SECOND_IS_TEMP_KEY: Final = 0x01
FIRST_IS_TEMP_KEY: Final = 0x02
SOURCE_IS_INPUT: Final = 0x04


def require_temp_key_source(core: Core, p1: int, *, slot: int, no_mac_allowed: bool = False) -> None:
    """Refuse a TempKey that is not valid, of another source than P1 says, or made with a key for verification only."""
    temp_key = core.temp_key
    if not temp_key.valid:
        raise denied("TempKey is not valid", slot=slot)
    if temp_key.from_input is not bool(p1 & SOURCE_IS_INPUT):
        raise denied("TempKey's SourceFlag is not the one in P1", slot=slot)
    if temp_key.no_mac and not no_mac_allowed:
        raise denied("TempKey was made with a key for verification only", slot=slot, bit="SlotConfig.NoMac")


def require_nonce_for(core: Core, slot: MemorySlot, p1: int) -> None:
    """Refuse a challenge that is no random nonce if the slot asks for one."""
    if not slot.req_random or not obeys_key_config(core):
        return
    used = bool(p1 & SECOND_IS_TEMP_KEY)
    fit = not core.temp_key.from_input if used else not core.rules.req_random_needs_temp_key
    if not fit:
        raise denied("the challenge must be a random nonce in TempKey", slot=slot.number, bit="KeyConfig.ReqRandom")


def require_output_of_temp_key(core: Core) -> None:
    """Refuse a TempKey made with a key for verification only where the answer would show it, if the chip is set so."""
    if core.temp_key.no_mac and core.open_points.no_mac_stops_outputs:
        raise denied("TempKey was made with a key for verification only", bit="SlotConfig.NoMac")


def require_hmac_of_temp_key(core: Core) -> None:
    """Refuse HMAC by SHA under a TempKey made with a key for verification only, unless the chip is set so."""
    if core.temp_key.no_mac and core.rules.no_mac_stops_hmac:
        raise denied("TempKey was made with a key for verification only", bit="SlotConfig.NoMac")
