"""Checks of what the product needs of its slots: device key, certificates, slots to lock."""

from __future__ import annotations

from typing import Final

from atcaprov.chip import memory_map
from atcaprov.config_zone.findings import Findings, Level, Product, Rule, slot_finding
from atcaprov.config_zone.slot import Slot, WriteRule
from atcaprov.config_zone.zone import ConfigZone

CERTIFICATE_SIZE: Final = 72
"""Bytes of a compressed certificate, and of a public key in its padded form."""


def product_rules(zone: ConfigZone, product: Product) -> Findings:
    """Check that the zone can do what the product needs."""
    if product.device_key_slot is not None:
        yield from _device_key(zone.slots[product.device_key_slot], product)
    for number in sorted(product.certificate_slots):
        yield from _certificate_slot(zone.slots[number], product)
    for number in sorted(product.slots_to_lock):
        yield from _slot_to_lock(zone.slots[number])


def _device_key(slot: Slot, product: Product) -> Findings:
    missing = _missing_for_device_key(slot)
    if missing:
        yield slot_finding(
            Level.ERROR,
            Rule.DEVICE_KEY,
            slot,
            f"cannot hold the device key: {', '.join(missing)}.",
            "It needs Private, KeyType 4, PubInfo, IsSecret and external signatures, and no condition on its use.",
        )
        return
    replaceable = slot.slot_config.gen_key or slot.slot_config.priv_write
    if replaceable and slot.number not in product.slots_to_lock:
        yield slot_finding(
            Level.WARNING,
            Rule.DEVICE_KEY_REPLACEABLE,
            slot,
            "holds the device key, and it can be replaced after the data lock: the certificate is worthless then.",
            "Clear SlotConfig bits 13 and 14, or put the slot on the list of slots to lock.",
        )


def _missing_for_device_key(slot: Slot) -> list[str]:
    needs = {
        "not Private": slot.private,
        "KeyType is not P-256": slot.key_config.key_type == memory_map.KEY_TYPE_P256,
        "PubInfo is 0": slot.key_config.pub_info,
        "IsSecret is 0": slot.slot_config.is_secret,
        "no external signatures": slot.slot_config.external_sign,
        "it asks for an authorization (ReqAuth), which the run does not give": not slot.key_config.req_auth,
        "PersistentDisable holds it back until a latch is set": not slot.key_config.persistent_disable,
        "sealed by SlotLocked": slot.open,
    }
    return [problem for problem, met in needs.items() if not met]


def _certificate_slot(slot: Slot, product: Product) -> Findings:
    problem = _certificate_problem(slot)
    if problem:
        yield slot_finding(
            Level.ERROR,
            Rule.CERTIFICATE_SLOT,
            slot,
            f"can never hold a certificate: {problem}.",
            f"It needs {CERTIFICATE_SIZE} bytes (slots 8-15), data not Private, and clear reads.",
        )
    elif slot.slot_config.write is not WriteRule.NEVER and slot.number not in product.slots_to_lock:
        yield slot_finding(
            Level.WARNING,
            Rule.CERTIFICATE_REPLACEABLE,
            slot,
            "holds a certificate or its key, and it can be overwritten after the data lock.",
            "Let WriteConfig be never (1000), or put the slot on the list of slots to lock.",
        )


def _certificate_problem(slot: Slot) -> str:
    if slot.private:
        return "it is a private key"
    if slot.size < CERTIFICATE_SIZE:
        return f"it has {slot.size} bytes"
    if not slot.clear_read:
        return "it cannot be read in clear"
    if slot.p256 and slot.key_config.pub_info:
        # The chip marks a validated public key as invalid in its first four bits with every write.
        return "as a validated public key (PubInfo 1) the chip changes its first byte"
    return "" if slot.open else "SlotLocked seals it before it is written"


def _slot_to_lock(slot: Slot) -> Findings:
    if not slot.key_config.lockable:
        yield slot_finding(
            Level.ERROR,
            Rule.SLOT_TO_LOCK,
            slot,
            "is to be locked, but is not lockable: the chip will refuse.",
            "Set KeyConfig bit 5, or take it off the list.",
            key=True,
        )
    if not slot.open:
        yield slot_finding(
            Level.ERROR, Rule.SLOT_TO_LOCK, slot, "is to be locked, but SlotLocked has locked it already."
        )
