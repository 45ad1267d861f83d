"""Rules for the slots that a command uses: their keys, stored public keys, and slots that take a result."""

from __future__ import annotations

from typing import Final

from atcaprov.chip.commands import Opcode
from atcaprov.chip.memory_map import COUNT_MATCH, FIELDS_608, KEY_TYPE_P256, USE_LOCK
from atcaprov.emulator import ecc
from atcaprov.emulator.core import Core
from atcaprov.emulator.counters import MAXIMUM, read_counter, write_counter
from atcaprov.emulator.refusal import Refusal, denied
from atcaprov.emulator.slot import MemorySlot

LAST_KEY_SLOT: Final = 15
"""The slot of the ATECC508A whose uses LastKeyUse counts."""
_USE_LOCK_ON: Final = 0x0A


def require_key_type(core: Core, slot: MemorySlot, key_type: int) -> None:
    """Refuse a slot whose KeyType is another."""
    if slot.key_type != key_type:
        raise Refusal(
            core.open_points.key_type_code, "the slot's key is of another type", slot=slot.number, bit="KeyType"
        )


def obeys_key_config(core: Core) -> bool:
    """Return whether the restrictions in KeyConfig hold now.

    Before the data lock they restrict nothing (DS20005927A, 2.2.5): neither ReqAuth, ReqRandom and PubInfo nor, in the
    ATECC608, PersistentDisable. Private and KeyType say what a slot is and always hold.
    """
    return core.memory.data_locked or core.rules.data_open_key_config == "obeyed"


def require_authorized(core: Core, *slots: MemorySlot) -> None:
    """Refuse while a slot with ReqAuth is not authorized by AuthKey. The use ends the authorization in any case.

    Pass all keys of one command at once: together they are one use.
    """
    asking = [slot for slot in slots if slot.req_auth]
    if not asking or not obeys_key_config(core):
        return
    authorized = core.volatile.authorized
    # DS20005927A, 2.2.5 and 3.2.9: whichever slot was authorized, any command that uses a key with ReqAuth clears it.
    if authorized is not None and core.rules.authorization_uses == "one":
        core.volatile.authorized = None
    for slot in asking:
        if authorized != slot.auth_key:
            rule = f"CheckMac on slot {slot.auth_key} must succeed first"
            raise denied(rule, slot=slot.number, bit="KeyConfig.ReqAuth")


def end_authorization_by_failure(core: Core) -> None:
    """End an authorization after a failed proof, if the chip is set so."""
    if core.volatile.authorized is not None and core.rules.checkmac_failure_clears:
        core.volatile.authorized = None


def require_enabled(core: Core, slot: MemorySlot) -> None:
    """Refuse a slot with PersistentDisable while the latch is 0."""
    disabled = slot.persistent_disable and not core.powered.latch and not core.memory.is_508
    if disabled and obeys_key_config(core):
        raise denied("the persistent latch is not set", slot=slot.number, bit="KeyConfig.PersistentDisable")


def require_usable(core: Core, *slots: MemorySlot) -> None:
    """Refuse keys before the configuration lock, without authorization, or while the latch disables them."""
    core.require_config_locked()
    require_authorized(core, *slots)
    for slot in slots:
        require_enabled(core, slot)
        _require_unlocked_use(core, slot)


def _require_unlocked_use(core: Core, slot: MemorySlot) -> None:
    use_lock = core.memory.config[USE_LOCK]
    named = use_lock & 0x0F == _USE_LOCK_ON and use_lock >> 4 == slot.number and not core.memory.is_508
    if named and core.open_points.use_lock == "refuse":
        raise denied("the slot's use is locked", slot=slot.number, bit="UseLock")


def require_open_use(core: Core, slot: MemorySlot) -> None:
    """Refuse the use of a slot's key before the data lock, if the chip is set so."""
    if not core.memory.data_locked and not core.rules.data_open_use:
        raise denied("the key cannot be used before the data lock", slot=slot.number, bit="LockValue")


def require_symmetric(slot: MemorySlot) -> None:
    """Refuse a private key where a symmetric key is needed: only Sign, GenKey, ECDH and PrivWrite use private keys."""
    if slot.private:
        raise denied("an ECC private key is not a symmetric key", slot=slot.number, bit="KeyConfig.Private")


def require_secret(slot: MemorySlot) -> None:
    """Refuse a private key whose slot is not secret."""
    if not slot.is_secret:
        raise denied("a private key must be secret", slot=slot.number, bit="SlotConfig.IsSecret")


def usable_private_key(core: Core, key_id: int) -> bytes:
    """Return the scalar of a private P-256 slot that may be used now."""
    slot = core.slot(key_id)
    require_usable(core, slot)
    require_open_use(core, slot)
    if not slot.private:
        raise denied("the slot holds no private key", slot=slot.number, bit="KeyConfig.Private")
    require_key_type(core, slot, KEY_TYPE_P256)
    require_secret(slot)
    scalar = slot.private_key()
    if scalar is None:
        twin = slot.holds_private_key()
        reason = "a twin does not have the private key" if twin else "the slot holds no valid private key yet"
        raise denied(reason, slot=slot.number)
    return scalar


def count_use(core: Core, slot: MemorySlot, opcode: Opcode) -> None:
    """Count a use of a key with limited use in Counter 0, or refuse if none is left. Call it as the last check."""
    if not slot.limited_use:
        return
    if opcode != Opcode.SIGN and not core.memory.is_508 and opcode not in core.open_points.limited_use_commands:
        return
    spend_use(core, slot)


def spend_use(core: Core, slot: MemorySlot) -> None:
    """Take one use of a key with limited use, or refuse if none is left."""
    require_use_left(core, slot)
    if not slot.limited_use:
        return
    if _has_uses_of_its_own(core, slot):
        _use_last_key(core)
    else:
        write_counter(core.memory, 0, read_counter(core.memory, 0) + 1)


def require_use_left(core: Core, slot: MemorySlot) -> None:
    """Refuse a key with limited use that has no use left."""
    if not slot.limited_use:
        return
    if _has_uses_of_its_own(core, slot):
        if not any(core.memory.config[FIELDS_608]):
            raise denied("the uses of this key are used up", slot=slot.number, bit="LastKeyUse")
    elif read_counter(core.memory, 0) >= _limit(core):
        raise denied("the uses of this key are used up", slot=slot.number, bit="SlotConfig.LimitedUse")


def _has_uses_of_its_own(core: Core, slot: MemorySlot) -> bool:
    """ATECC508A: slot 15 has 128, one bit of LastKeyUse each."""
    return core.memory.is_508 and slot.number == LAST_KEY_SLOT


def _use_last_key(core: Core) -> None:
    place = next(place for place in range(FIELDS_608.start, FIELDS_608.stop) if core.memory.config[place])
    left = core.memory.config[place]
    core.memory.config[place] = left & (left >> 1)


def _limit(core: Core) -> int:
    """Return the number of uses allowed: the CountMatch slot's value, stored twice, or the counter's maximum."""
    match = core.memory.config[COUNT_MATCH]
    if core.memory.is_508 or not match & 1:
        return MAXIMUM
    stored = core.slot(match >> 4).read(0, 8)
    if stored[:4] != stored[4:] and core.open_points.count_match_copies == "both":
        raise denied("the limit in the CountMatch slot is not stored twice", slot=match >> 4, bit="CountMatch")
    return min(int.from_bytes(stored[:4], "little"), MAXIMUM)


def require_public_key_slot(core: Core, slot: MemorySlot) -> None:
    """Refuse a slot that is not for a P-256 public key: it is private, has another KeyType, or is too small."""
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


def require_result_slot(core: Core, slot: MemorySlot) -> None:
    """Refuse a slot that is locked or private, and every slot while the data zone is open."""
    if not core.memory.data_locked and not core.rules.data_open_result_in_slot:
        raise denied("no result can go into a slot before the data lock", slot=slot.number, bit="LockValue")
    if not slot.unlocked:
        raise denied("the slot is locked", slot=slot.number, bit="SlotLocked")
    if slot.private:
        raise denied("the slot is for ECC private keys", slot=slot.number, bit="KeyConfig.Private")
