"""Rules on slots that name another slot as their key: ReadKey, WriteKey, DeriveKey's parent, AuthKey."""

from __future__ import annotations

from collections.abc import Iterator

from atcaprov.config_zone.findings import Finding, Findings, Level, Product, Rule, slot_finding
from atcaprov.config_zone.slot import DeriveRule, ReadRule, Slot, WriteRule
from atcaprov.config_zone.zone import ConfigZone


def key_reference_rules(zone: ConfigZone, product: Product) -> Findings:
    """Check that every slot named as a key can be one."""
    for slot in zone.slots:
        for name, number, wraps in _references(slot):
            yield from _target(slot, name, zone.slots[number], product, wraps=wraps)
        if slot.key_config.req_auth:
            yield from _target(slot, "AuthKey", zone.slots[slot.key_config.auth_key], product, wraps=False)


def _references(slot: Slot) -> Iterator[tuple[str, int, bool]]:
    """Give the keys that SlotConfig names and uses; the last says that GenDig loads them to encrypt or authorize."""
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
        return "gets no value before the data lock and can get none after it"
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
