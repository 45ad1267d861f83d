"""What a chip is and what it is used for, from what it shows.

A blank part proves nothing: who can make a chip can give it any serial number. What another product's configuration
made with atcaprov is for cannot be told either, as only its maker knows the configuration.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from atcaprov.chip.memory_map import I2C_ADDRESS, USER_EXTRA_ADD
from atcaprov.chip.parts import is_608, part_name
from atcaprov.chip.trust_parts import trust_part
from atcaprov.config_zone.defaults import DEFAULT_CERTIFICATE_SLOTS, DEFAULT_DEVICE_KEY_SLOT
from atcaprov.config_zone.layouts import FoundLayout, Layout, layout_of
from atcaprov.config_zone.module_zones import HEAD_SLOT, module_role
from atcaprov.config_zone.zone import ConfigZone
from atcaprov.config_zone.zone_fields import decode_counter
from atcaprov.hal.device_url import both_forms
from atcaprov.inspection.certificates import microchip
from atcaprov.inspection.certificates.slot_parts import compressed_form
from atcaprov.inspection.snapshot import ChipSnapshot
from atcaprov.stages import Stage

_NERVES_KEY_MARK: Final = b"Nrvs"
"""Begins the OTP zone of a NervesKey (nerves-hub/nerves_key, lib/nerves_key/otp.ex)."""
_UNWRITTEN: Final = (0x00, 0xFF)
_SERIAL_START: Final = bytes.fromhex("0123")
_DELIVERED_ADDRESS: Final = 0xC0
_ALL_OPEN: Final = 0xFFFF
_ADDRESS_IN_85: Final = 0x01
_SUFFIXES: Final = {
    0xEE: "ends as on generic parts",
    0x01: "ends as on Trust parts",
    0x10: "ends as on Trust parts for LoRaWAN",
    0x27: "ends as on Trust parts for LoRaWAN",
}
"""By the last byte of the serial number (DS40002250B, DS40002249B, and the vendor's list of TNGLORA parts)."""


class Use(enum.StrEnum):
    """What a chip is used for."""

    BLANK = "blank"
    USED_BEFORE = "used-before"
    """Not locked, but no longer as it was made."""
    PRODUCT = "product"
    """In atcaprov's default configuration."""
    SIGNER_MODULE = "signer-module"
    ROOT_MODULE = "root-module"
    MODULE = "module"
    """A root or signer module, not finished, so that it cannot be told which."""
    TRUST_PART = "trust-part"
    OTHER_TOOL = "other-tool"
    FACTORY_LOCKED = "factory-locked"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Identity:
    """What a chip is: `part` for people, its use with the reason in a sentence, and whose table it has."""

    part: str
    use: Use
    reason: str
    layout: FoundLayout
    stages: tuple[Stage, ...] = ()
    """Where a run that is not finished goes on; several if the chip does not show which."""


def identify(snapshot: ChipSnapshot) -> Identity:
    """Return what a chip is. A snapshot without slots tells less of modules, products and NervesKeys."""
    found = layout_of(snapshot.config)
    part = part_name(snapshot.revision)
    if found.layout is Layout.TRUST:
        return Identity(f"{part}-{found.name}", Use.TRUST_PART, _trust(snapshot), found)
    if snapshot.otp is not None and snapshot.otp.startswith(_NERVES_KEY_MARK):
        return Identity(part, Use.OTHER_TOOL, "a NervesKey: its OTP zone begins with Nrvs", found)
    if found.layout is Layout.DEFAULT:
        stages, reason = _progress(snapshot)
        return Identity(part, Use.PRODUCT, reason, found, stages)
    if found.layout is Layout.MODULE:
        return Identity(part, *_module(snapshot), found)
    if found.layout is Layout.FACTORY:
        return Identity(part, *_factory(snapshot), found)
    return Identity(part, *_foreign(snapshot.zone, found), found)


def is_right_part(snapshot: ChipSnapshot) -> bool:
    """Tell whether it is an ATECC608, which alone is provisioned."""
    return is_608(snapshot.revision)


def address_of(zone: ConfigZone) -> int:
    """Return the I2C address, 8-bit form, that an ATECC608 with this zone takes when it has slept."""
    extra = zone.data[USER_EXTRA_ADD] if zone.chip_mode.value & _ADDRESS_IN_85 else 0
    return extra or zone.i2c_address


def suffix_text(serial_number: bytes) -> str:
    """Return in words what the first and the last bytes of a serial number (9 bytes) say."""
    if serial_number[:2] != _SERIAL_START:
        return "it does not begin with 01 23 as Microchip's do"
    return _SUFFIXES.get(serial_number[-1], f"ends unusually, with {serial_number[-1]:02X}")


def counters_of(zone: ConfigZone) -> tuple[int | None, int | None]:
    """Return what the two counters stand at; None where no count is stored."""
    first, second = zone.counters
    return decode_counter(first), decode_counter(second)


def traces_of_use(zone: ConfigZone) -> list[str]:
    """Return in words what shows that a chip which is not locked was used before."""
    counted = [f"Counter {number} stands at {value}" for number, value in enumerate(counters_of(zone)) if value != 0]
    extras = [f"byte {place} is set to {zone.data[place]:02X}" for place in (84, 85) if zone.data[place]]
    moved = [f"I2C_Address is {both_forms(zone.i2c_address)}"] * (zone.i2c_address != _DELIVERED_ADDRESS)
    sealed = ["SlotLocked is not FFFF"] * (zone.slot_locked != _ALL_OPEN)
    return [*counted, *extras, *moved, *sealed]


def _trust(snapshot: ChipSnapshot) -> str:
    now, delivered = address_of(snapshot.zone), snapshot.config[I2C_ADDRESS]
    moved = "" if now == delivered else f"; its address was changed from {both_forms(delivered)} to {both_forms(now)}"
    others = "; slots 10 to 12 hold certificates that do not read as the maker's" if _has_others(snapshot) else ""
    return f"delivered locked by the maker{moved}{others}"


def _has_others(snapshot: ChipSnapshot) -> bool:
    """Tell whether a TFLXTLS, the only kind whose certificates can be replaced, has others than the maker's.

    A snapshot without these slots does not tell it.
    """
    part = trust_part(snapshot.config)
    if part is None or part.name != "TFLXTLS" or not snapshot.slots.keys() >= DEFAULT_CERTIFICATE_SLOTS:
        return False
    forms = compressed_form(snapshot, 10), compressed_form(snapshot, 12)
    return 0 in snapshot.public_keys and all(forms) and not any(microchip.find(snapshot))


def _factory(snapshot: ChipSnapshot) -> tuple[Use, str]:
    zone = snapshot.zone
    if zone.config_locked:
        half = "" if zone.data_locked else ", its data zone is still open"
        return Use.FACTORY_LOCKED, f"locked as it was made, as esp_cryptoauth_utility does{half}"
    traces = traces_of_use(zone)
    if traces:
        return Use.USED_BEFORE, f"not locked, but used before: {', '.join(traces)}"
    return Use.BLANK, "as the maker delivers it, not configured and not locked"


def _module(snapshot: ChipSnapshot) -> tuple[Use, str]:
    head = snapshot.slots.get(HEAD_SLOT)
    role = None if head is None else module_role(head)
    if role is not None:
        use = Use.ROOT_MODULE if role == "root" else Use.SIGNER_MODULE
        return use, f"a finished {role} module: slot {HEAD_SLOT} begins with its mark"
    if snapshot.zone.data_locked:
        return Use.MODULE, "configured and locked as a root or signer module, but without the mark of a finished one"
    return Use.MODULE, "configured as a root or signer module, and not finished"


def _progress(snapshot: ChipSnapshot) -> tuple[tuple[Stage, ...], str]:
    """Return where a run of the default product may go on, and why."""
    zone = snapshot.zone
    if not zone.config_locked:
        return (Stage.CONFIG_LOCK,), "atcaprov's default configuration is written and not locked"
    if not zone.data_locked:
        if snapshot.keys.get(DEFAULT_DEVICE_KEY_SLOT):
            return tuple(Stage(number) for number in range(5, 9)), (
                "half provisioned: it has its device key; whether certificates are written cannot be read before the"
                " data lock"
            )
        return (Stage.GEN_KEY,), "half provisioned: the configuration is locked, and there is no device key yet"
    certificates = [snapshot.slots.get(slot) for slot in sorted(DEFAULT_CERTIFICATE_SLOTS)]
    if all(content is not None and not _is_unwritten(content) for content in certificates):
        return (), (
            "provisioned: it has a key and certificates, and both zones are locked, so stages 1 to 8 are done; which"
            " slots stage 9 locks cannot be told without the profile; 'atcaprov chip verify' checks the certificates"
        )
    return (), "locked without certificates: it can never become this product"


def _is_unwritten(content: bytes) -> bool:
    return any(content == bytes((value,)) * len(content) for value in _UNWRITTEN)


def _foreign(zone: ConfigZone, found: FoundLayout) -> tuple[Use, str]:
    is_published = found.layout is Layout.PUBLISHED
    whose = f"the configuration of {found.name}" if is_published else f"{found.name}, perhaps another product's"
    if not zone.config_locked:
        state = "written and not locked"
    else:
        state = "locked" if zone.data_locked else "locked, its data zone is still open"
    return Use.OTHER_TOOL if is_published else Use.UNKNOWN, f"{whose}: {state}"
