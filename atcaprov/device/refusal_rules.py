"""Why a chip refuses a command (status 0F): which bit of its configuration zone forbids it.

From the zone alone, so only rules that it decides are named; an authorization that is missing or an empty key slot
cannot be seen there. Rules: DS20005927A, 2.2 (SlotConfig, KeyConfig, locks) and the sections of the commands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from atcaprov.chip.commands import (
    GEN_KEY_CREATE,
    LOCK_CONFIG,
    LOCK_DATA,
    LOCK_SLOT,
    P1_32_BYTES,
    TEMP_KEY_SLOT,
    Opcode,
    Zone,
)
from atcaprov.chip.memory_map import SLOT_COUNT
from atcaprov.config_zone.slot import ReadRule, Slot, WriteRule
from atcaprov.config_zone.zone import ConfigZone

_ZONE: Final = 0x03
_SLOT_SHIFT: Final = 3  # in P2 of Read and Write to the data zone
_SIGN_EXTERNAL: Final = 0x80
_LOCKED_SLOT_SHIFT: Final = 2  # in P1 of Lock


class ForbiddingRule(NamedTuple):
    """The bit that forbids a command, by its name in the data sheet, and the rule as a sentence."""

    bit: str
    sentence: str


class CommandHead(NamedTuple):
    """Opcode, P1 and P2 of a command, which hold no secret."""

    opcode: int
    p1: int
    p2: int

    @classmethod
    def of(cls, packet: bytes) -> CommandHead:
        """Return the head of a packet: count, opcode, P1, P2 (low byte first), data, CRC."""
        return cls(packet[1], packet[2], int.from_bytes(packet[3:5], "little"))


Rules = Iterator[ForbiddingRule]


def forbidding_rule(head: CommandHead, config: bytes) -> ForbiddingRule | None:
    """Return the first rule of a configuration zone (128 bytes) that forbids a command; None if none does."""
    rules = _RULES.get(head.opcode)
    return None if rules is None else next(rules(head, ConfigZone(config)), None)


def _needs_config_lock(zone: ConfigZone) -> Rules:
    if not zone.config_locked:
        yield ForbiddingRule("LockConfig", "The configuration zone must be locked first.")


def _slot(zone: ConfigZone, number: int) -> Slot | None:
    return zone.slots[number] if number < SLOT_COUNT else None


def _private_key(zone: ConfigZone, slot: Slot) -> Rules:
    if not slot.private:
        yield ForbiddingRule(
            "KeyConfig.Private", f"Slot {slot.number} is not for private keys: KeyConfig.Private is 0."
        )
    if not slot.p256:
        yield ForbiddingRule(
            "KeyType", f"Slot {slot.number} is not for P-256 keys: KeyType is {slot.key_config.key_type}."
        )
    if not slot.slot_config.is_secret:
        yield ForbiddingRule(
            "SlotConfig.IsSecret", f"Slot {slot.number} is for a private key but not secret: IsSecret is 0."
        )


def _authorization(zone: ConfigZone, slot: Slot) -> Rules:
    if zone.data_locked and slot.key_config.req_auth:
        key = slot.key_config.auth_key
        yield ForbiddingRule(
            "KeyConfig.ReqAuth",
            f"Slot {slot.number} needs an authorization by CheckMac on slot {key} before each use (ReqAuth).",
        )
    if zone.data_locked and slot.key_config.persistent_disable:
        yield ForbiddingRule(
            "KeyConfig.PersistentDisable",
            f"Slot {slot.number} cannot be used while the persistent latch is 0 (PersistentDisable).",
        )


def _sign(head: CommandHead, zone: ConfigZone) -> Rules:
    slot, is_external = _slot(zone, head.p2), bool(head.p1 & _SIGN_EXTERNAL)
    yield from _needs_config_lock(zone)
    if not is_external and not zone.data_locked:
        yield ForbiddingRule("LockValue", "The chip signs its own messages after the data lock only.")
    if slot is None:
        return
    yield from _private_key(zone, slot)
    if not (slot.slot_config.external_sign if is_external else slot.slot_config.internal_sign):
        bit, what = (0, "digests from outside") if is_external else (1, "messages of the chip itself")
        yield _read_key_bit(slot, bit, f"Slot {slot.number} does not sign {what}")
    yield from _authorization(zone, slot)


def _ecdh(head: CommandHead, zone: ConfigZone) -> Rules:
    slot = _slot(zone, head.p2)
    yield from _needs_config_lock(zone)
    if slot is None:
        return
    yield from _private_key(zone, slot)
    if not slot.slot_config.ecdh:
        yield _read_key_bit(slot, 2, f"Slot {slot.number} does not allow ECDH")
    if slot.slot_config.ecdh_to_partner:
        yield _read_key_bit(slot, 3, f"Slot {slot.number} gives no result of ECDH to the bus", value=1)
    yield from _authorization(zone, slot)


def _read_key_bit(slot: Slot, bit: int, sentence: str, *, value: int = 0) -> ForbiddingRule:
    where = f"bit {bit} of SlotConfig.ReadKey (byte {slot.slot_config_byte})"
    return ForbiddingRule(f"SlotConfig.ReadKey bit {bit}", f"{sentence}: {where} is {value}.")


def _gen_key(head: CommandHead, zone: ConfigZone) -> Rules:
    slot = _slot(zone, head.p2)
    yield from _needs_config_lock(zone)
    if slot is None or head.p2 == TEMP_KEY_SLOT:
        return
    yield from _private_key(zone, slot)
    if head.p1 & GEN_KEY_CREATE:
        yield from _locked_slot(slot)
        if zone.data_locked and not slot.slot_config.gen_key:
            yield ForbiddingRule(
                "SlotConfig.WriteConfig bit 13",
                f"Slot {slot.number} takes no new key after the data lock: bit 13 of SlotConfig is 0.",
            )
    elif zone.data_locked and not slot.key_config.pub_info:
        yield ForbiddingRule(
            "KeyConfig.PubInfo", f"The public key of slot {slot.number} may not be computed: KeyConfig.PubInfo is 0."
        )
    yield from _authorization(zone, slot)


def _locked_slot(slot: Slot) -> Rules:
    if not slot.open:
        yield ForbiddingRule("SlotLocked", f"Slot {slot.number} is locked one by one (SlotLocked).")


def _read(head: CommandHead, zone: ConfigZone) -> Rules:
    if head.p1 & _ZONE == Zone.CONFIG:
        return
    if not zone.data_locked:
        yield ForbiddingRule("LockValue", "Data and OTP zones cannot be read before the data lock.")
    if head.p1 & _ZONE != Zone.DATA:
        return
    slot = zone.slots[head.p2 >> _SLOT_SHIFT & 0xF]
    if slot.private:
        yield ForbiddingRule("KeyConfig.Private", f"Slot {slot.number} holds a private key, which no command reads.")
    if slot.slot_config.read in (ReadRule.NEVER, ReadRule.ILLEGAL):
        yield ForbiddingRule(
            "SlotConfig.IsSecret", f"Slot {slot.number} is never read: IsSecret and EncryptRead do not allow it."
        )
    if slot.slot_config.read is ReadRule.ENCRYPTED:
        if not head.p1 & P1_32_BYTES:
            yield ForbiddingRule("SlotConfig.IsSecret", f"Slot {slot.number} is secret: it is read 32 bytes at a time.")
        key = slot.slot_config.read_key
        yield ForbiddingRule(
            "SlotConfig.ReadKey", f"Slot {slot.number} is read encrypted, after GenDig on slot {key} (ReadKey)."
        )


def _write(head: CommandHead, zone: ConfigZone) -> Rules:
    if head.p1 & _ZONE == Zone.CONFIG:
        if zone.config_locked:
            yield ForbiddingRule("LockConfig", "The configuration zone is locked.")
        return
    yield from _needs_config_lock(zone)
    if head.p1 & _ZONE == Zone.OTP:
        if zone.data_locked:
            yield ForbiddingRule("LockValue", "The OTP zone is locked.")
        return
    slot = zone.slots[head.p2 >> _SLOT_SHIFT & 0xF]
    if slot.private:
        yield ForbiddingRule("KeyConfig.Private", f"Slot {slot.number} is for a private key: only PrivWrite writes it.")
    yield from _locked_slot(slot)
    if not zone.data_locked:
        if not head.p1 & P1_32_BYTES:
            yield ForbiddingRule("LockValue", "Before the data lock, 32 bytes are written at a time.")
        return
    if slot.slot_config.is_secret and not head.p1 & P1_32_BYTES:
        yield ForbiddingRule("SlotConfig.IsSecret", f"Slot {slot.number} is secret: it is written 32 bytes at a time.")
    yield from _write_config(slot)


def _write_config(slot: Slot) -> Rules:
    write = slot.slot_config.write
    if write is WriteRule.ALWAYS:
        return
    what = {
        WriteRule.ENCRYPTED: f"takes only writes encrypted under slot {slot.slot_config.write_key}",
        WriteRule.NEVER: "is never written after the data lock",
        WriteRule.WHILE_INVALID: "is written only 32 bytes at a time, and while its public key is not validated",
    }[write]
    number = slot.slot_config.write_config
    yield ForbiddingRule("SlotConfig.WriteConfig", f"Slot {slot.number} {what}: WriteConfig is {number:04b}.")


def _lock(head: CommandHead, zone: ConfigZone) -> Rules:
    what = head.p1 & _ZONE
    if what == LOCK_CONFIG:
        if zone.config_locked:
            yield ForbiddingRule("LockConfig", "The configuration zone is locked already.")
        return
    yield from _needs_config_lock(zone)
    if what == LOCK_DATA and zone.data_locked:
        yield ForbiddingRule("LockValue", "The data and OTP zones are locked already.")
    if what == LOCK_SLOT:
        slot = zone.slots[head.p1 >> _LOCKED_SLOT_SHIFT & 0xF]
        if not slot.key_config.lockable:
            yield ForbiddingRule(
                "KeyConfig.Lockable", f"Slot {slot.number} cannot be locked one by one: KeyConfig.Lockable is 0."
            )
        yield from _locked_slot(slot)


def _mac(head: CommandHead, zone: ConfigZone) -> Rules:
    slot = _slot(zone, head.p2)
    yield from _needs_config_lock(zone)
    if slot is None:
        return
    if slot.private:
        yield ForbiddingRule("KeyConfig.Private", f"Slot {slot.number} holds a private key, not a symmetric one.")
    if slot.slot_config.no_mac:
        yield ForbiddingRule("SlotConfig.NoMac", f"The key in slot {slot.number} only verifies: NoMac is 1.")
    yield from _authorization(zone, slot)


_RULES: Final[dict[int, Callable[[CommandHead, ConfigZone], Rules]]] = {
    Opcode.SIGN: _sign,
    Opcode.ECDH: _ecdh,
    Opcode.GEN_KEY: _gen_key,
    Opcode.READ: _read,
    Opcode.WRITE: _write,
    Opcode.LOCK: _lock,
    Opcode.MAC: _mac,
}
