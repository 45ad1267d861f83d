"""Checks of each slot, and of the slots that it names as keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from atcaprov.chip import memory_map
from atcaprov.config_zone.findings import Finding, Findings, Level, Product, Rule, slot_finding
from atcaprov.config_zone.slot import DeriveRule, ReadRule, Slot, WriteRule
from atcaprov.config_zone.zone import ConfigZone

_KEY_TYPES: Final = {
    True: (memory_map.KEY_TYPE_P256, memory_map.KEY_TYPE_AES, memory_map.KEY_TYPE_OTHER),
    False: (memory_map.KEY_TYPE_P256, memory_map.KEY_TYPE_OTHER),
}
_PUBLIC_KEY_SLOT_SIZE: Final = 72


def slot_rules(zone: ConfigZone, product: Product) -> Findings:
    """Check every slot."""
    for slot in zone.slots:
        yield from _key_config(slot, product)
        yield from _private_key(slot, zone, product) if slot.private else _data(slot, product)
        yield from _limited_use(slot, zone, product)
        yield from _persistent_disable(slot, zone, product)


def _key_config(slot: Slot, product: Product) -> Findings:
    config = slot.key_config
    if config.key_type not in _KEY_TYPES[product.part.is_608]:
        yield slot_finding(
            Level.ERROR,
            Rule.KEY_TYPE,
            slot,
            f"has KeyType {config.key_type}, which is reserved on an {product.part}.",
            "Use 4 (P-256), 6 (AES, 608 only) or 7 (other).",
            key=True,
        )
    if config.reserved:
        yield slot_finding(Level.WARNING, Rule.KEY_CONFIG, slot, "sets the reserved bit 13.", "Clear it.", key=True)
    if config.auth_key and not config.req_auth:
        yield slot_finding(
            Level.WARNING,
            Rule.KEY_CONFIG,
            slot,
            f"names AuthKey {config.auth_key} but does not ask for authorization (ReqAuth 0).",
            "AuthKey must be 0 then.",
            key=True,
        )


def _private_key(slot: Slot, zone: ConfigZone, product: Product) -> Findings:
    yield from _private_key_words(slot)
    yield from _private_key_source(slot, product)
    if slot.slot_config.ecdh and slot.slot_config.ecdh_to_partner:
        yield from _ecdh_partner(slot, zone.slots[slot.ecdh_partner])


def _private_key_words(slot: Slot) -> Findings:
    config = slot.slot_config
    useless = not (config.external_sign or config.internal_sign or config.ecdh)
    problems = (
        (not config.is_secret, Level.ERROR, "is Private without IsSecret: GenKey and Sign fail.", "Set bit 7."),
        (config.encrypt_read, Level.ERROR, "is Private with EncryptRead.", "Clear bit 6."),
        (config.no_mac, Level.WARNING, "is Private with NoMac.", "Clear bit 4."),
        (useless, Level.WARNING, "is a private key that may neither sign nor do ECDH.", "Set one of bits 2-0."),
    )
    key_problems = (
        (not slot.p256, Level.ERROR, "is Private but not P-256: no command uses it.", "Set KeyType 4."),
        (not slot.key_config.pub_info, Level.WARNING, "never gives its public key again (PubInfo 0).", "Set PubInfo."),
    )
    for key, group in ((False, problems), (True, key_problems)):
        for present, level, message, advice in group:
            if present:
                yield slot_finding(level, Rule.PRIVATE_KEY, slot, message, advice, key=key)


def _private_key_source(slot: Slot, product: Product) -> Findings:
    made_by_run = slot.number == product.device_key_slot
    if not (slot.slot_config.gen_key or slot.slot_config.priv_write or made_by_run):
        yield slot_finding(
            Level.WARNING,
            Rule.PRIVATE_KEY_EMPTY,
            slot,
            "can get its key only before the data lock, and the run makes none there: it stays empty permanently.",
            "Set bit 13 (GenKey after the lock), or make the key in the run.",
        )


def _ecdh_partner(slot: Slot, partner: Slot) -> Findings:
    if partner.number == slot.number:
        yield slot_finding(
            Level.WARNING,
            Rule.ECDH_PARTNER,
            slot,
            "would put the ECDH result into itself: only an even slot has a partner.",
            "Clear bit 3, or move the key.",
        )
    elif partner.private or not partner.slot_config.is_secret:
        kind = "a private key" if partner.private else "readable in clear"
        yield slot_finding(
            Level.WARNING,
            Rule.ECDH_PARTNER,
            slot,
            f"puts the ECDH result into slot {partner.number}, which is {kind}.",
            "Make that slot a secret, or clear bit 3.",
        )


def _data(slot: Slot, product: Product) -> Findings:
    yield from _encrypted_access(slot)
    yield from _secret(slot, product)
    if slot.p256 and slot.size < _PUBLIC_KEY_SLOT_SIZE:
        yield slot_finding(
            Level.WARNING,
            Rule.PUBLIC_KEY_SIZE,
            slot,
            f"is for a public key, but has {slot.size} bytes; a key takes {_PUBLIC_KEY_SLOT_SIZE}.",
            "Public keys live in slots 8-15.",
            key=True,
        )
    if slot.key_config.pub_info and not slot.p256 and product.part.is_608:
        yield slot_finding(
            Level.INFO, Rule.KDF_TARGET, slot, "may be written by KDF (PubInfo 1).", "Clear it if not wanted.", key=True
        )
    if slot.slot_config.read_key == 0 and not slot.p256:
        yield slot_finding(
            Level.WARNING if slot.slot_config.is_secret else Level.INFO,
            Rule.READ_KEY_ZERO,
            slot,
            "has ReadKey 0: CheckMac may copy its content to TempKey.",
            "Write F if that is not wanted.",
        )


def _encrypted_access(slot: Slot) -> Findings:
    config = slot.slot_config
    if config.read is ReadRule.ILLEGAL:
        yield slot_finding(
            Level.ERROR,
            Rule.ENCRYPTED_ACCESS,
            slot,
            "has EncryptRead without IsSecret: an illegal setting, nothing can read it.",
            "Set bit 7, or clear bit 6.",
        )
    elif config.write is WriteRule.ENCRYPTED and not config.is_secret:
        yield slot_finding(
            Level.WARNING,
            Rule.ENCRYPTED_ACCESS,
            slot,
            "takes encrypted writes only, but is read in clear: the encryption hides nothing.",
            "Set IsSecret.",
        )


def _secret(slot: Slot, product: Product) -> Findings:
    if not slot.slot_config.is_secret:
        return
    if slot.clear_write and slot.number not in product.slots_to_lock:
        yield slot_finding(
            Level.WARNING,
            Rule.OPEN_SECRET,
            slot,
            "is a secret that anyone on the bus can overwrite after the data lock.",
            "Put it on the list of slots to lock." if slot.key_config.lockable else "Let it be lockable, and lock it.",
        )
    elif slot.slot_config.write is WriteRule.NEVER and not slot.slot_config.bit(13):
        yield from _unwritten_secret(slot, product)


def _unwritten_secret(slot: Slot, product: Product) -> Findings:
    if product.written_slots is None:
        yield slot_finding(
            Level.INFO, Rule.UNWRITTEN_SECRET, slot, "is a secret that can be written only before the data lock."
        )
    elif slot.number not in product.written_slots:
        yield slot_finding(
            Level.WARNING,
            Rule.UNWRITTEN_SECRET,
            slot,
            "is a secret that the run does not write and nothing can write later: it keeps the factory content, FF.",
            "Write it before the data lock, and use no key that was never written.",
        )


def _limited_use(slot: Slot, zone: ConfigZone, product: Product) -> Findings:
    if not slot.slot_config.limited_use:
        return
    if product.part.is_608 and zone.count_match_enabled:
        return  # the limit is checked together with CountMatch
    end = "at the counter's maximum" if product.part.is_608 else "by Counter 0, or in slot 15 by LastKeyUse"
    yield slot_finding(
        Level.WARNING,
        Rule.LIMITED_USE,
        slot,
        f"has LimitedUse: every use advances Counter 0, and it ends {end}.",
        "Clear bit 5 if the key has no quota.",
    )


def _persistent_disable(slot: Slot, zone: ConfigZone, product: Product) -> Findings:
    if not slot.key_config.persistent_disable:
        return
    if not product.part.is_608:
        yield slot_finding(
            Level.WARNING, Rule.PERSISTENT_DISABLE, slot, "has IntrusionDisable, which serves SWI parts only.", key=True
        )
    elif not (zone.volatile_key_permission_enabled or (zone.secure_boot.mode and zone.secure_boot.persistent)):
        yield slot_finding(
            Level.ERROR,
            Rule.PERSISTENT_DISABLE,
            slot,
            "has PersistentDisable, but nothing can set the latch: the key can never be used.",
            "Clear KeyConfig bit 12.",
            key=True,
        )


def key_reference_rules(zone: ConfigZone, product: Product) -> Findings:
    """Check that every slot named as a key can be one."""
    for slot in zone.slots:
        for name, number, wraps in _references(slot):
            yield from _target(slot, name, zone.slots[number], product, wraps=wraps)
        if slot.key_config.req_auth:
            yield from _target(slot, "AuthKey", zone.slots[slot.key_config.auth_key], product, wraps=False)


def _references(slot: Slot) -> Iterator[tuple[str, int, bool]]:
    """Yield the keys that SlotConfig names and uses: field, slot, and whether GenDig loads them to encrypt or
    authorize."""
    config = slot.slot_config
    if slot.private:
        if config.priv_write:
            yield "WriteKey (PrivWrite)", config.write_key, True
        return
    if config.read is ReadRule.ENCRYPTED:
        yield "ReadKey", config.read_key, True
    if config.write is WriteRule.ENCRYPTED:
        yield "WriteKey", config.write_key, True
    elif config.derive is DeriveRule.CREATE:
        yield "WriteKey (DeriveKey)", config.write_key, False


def _target(slot: Slot, name: str, target: Slot, product: Product, *, wraps: bool) -> Findings:
    problem = _problem(target, product, wraps=wraps)
    if problem:
        yield _finding(slot, name, target, problem)


def _problem(target: Slot, product: Product, *, wraps: bool) -> str:
    if target.private:
        return "holds a private key and can never be a symmetric key"
    if not target.slot_config.is_secret:
        return "is readable in clear: everyone has that key"
    if wraps and target.slot_config.no_mac:
        return "has NoMac: what GenDig loads from it is refused for encrypted access"
    if not product.gets_value(target):
        return "has no value before the data lock and cannot get one after it"
    return ""


def _finding(slot: Slot, name: str, target: Slot, problem: str) -> Finding:
    return slot_finding(
        Level.ERROR,
        Rule.KEY_REFERENCE,
        slot,
        f"has {name} {target.number}, and slot {target.number} {problem}.",
        "Name a slot that is secret, not private, and gets a value.",
        key=name == "AuthKey",
    )
