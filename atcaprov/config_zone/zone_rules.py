"""Checks of the fields that both parts share: address, modes, counters, slot locks."""

from __future__ import annotations

from typing import Final

from atcaprov.chip import memory_map
from atcaprov.config_zone.findings import Allow, Finding, Findings, Level, Product, Rule
from atcaprov.config_zone.zone import ConfigZone, address_text
from atcaprov.config_zone.zone_fields import CLOCK_DIVIDERS, decode_counter

DEFAULT_ADDRESS: Final = 0xC0
_LOWEST_ADDRESS: Final = 0x08 << 1  # 7-bit addresses 00-07 and 78-7F are reserved by the I2C specification
_HIGHEST_ADDRESS: Final = 0x77 << 1
_RESERVED_17: Final = 17
_OTP_READ_ONLY: Final = 0xAA
_OTP_CONSUMPTION: Final = 0x55
_ALL_OPEN: Final = 0xFFFF


def zone_rules(zone: ConfigZone, product: Product) -> Findings:
    """Check the fields that every part has."""
    yield from _address(zone, product)
    yield from _address_once(zone, product)
    yield from _otp_mode(zone, product)
    yield from _chip_mode(zone, product)
    yield from _counters(zone)
    yield from _locks(zone)
    if zone.data[_RESERVED_17]:
        yield Finding(Level.WARNING, Rule.RESERVED, _RESERVED_17, "byte 17 is reserved and not 00.", "Write 00.")
    if any(zone.x509_format):
        yield Finding(
            Level.INFO,
            Rule.X509_FORMAT,
            memory_map.X509_FORMAT.start,
            f"X509format is {zone.x509_format.hex(' ').upper()}: the chip checks the form of certificates.",
        )


def _address(zone: ConfigZone, product: Product) -> Findings:
    yield from _bad_address(zone.i2c_address, memory_map.I2C_ADDRESS, product, "I2C_Address")


def _bad_address(address: int, byte: int, product: Product, name: str) -> Findings:
    if address & 1 or not _LOWEST_ADDRESS <= address <= _HIGHEST_ADDRESS:
        yield Finding(
            Level.ERROR,
            Rule.I2C_ADDRESS,
            byte,
            f"{name} {address_text(address)} is not an address that an I2C host can use.",
            f"The factory address is {DEFAULT_ADDRESS:02X}; bit 0 is 0.",
        )
    elif address != DEFAULT_ADDRESS and Allow.I2C_ADDRESS not in product.allowed:
        yield Finding(
            Level.ERROR,
            Rule.I2C_ADDRESS,
            byte,
            f"{name} moves the chip to {address_text(address)}; the product will not find it at "
            f"{address_text(DEFAULT_ADDRESS)}.",
            "If the product's firmware uses this address, add --allow i2c-address.",
        )


def _address_once(zone: ConfigZone, product: Product) -> Findings:
    byte, address = memory_map.USER_EXTRA_ADD, zone.user_extra_address
    if not zone.chip_mode.user_extra_address:
        if address and product.part.is_608:
            yield Finding(Level.INFO, Rule.USER_EXTRA, byte, f"UserExtraAdd {address:02X} is a user byte here.")
    elif not product.part.is_608:
        yield Finding(
            Level.INFO, Rule.I2C_ADDRESS_ONCE, memory_map.CHIP_MODE, "ChipMode bit 0 lets Selector be written once."
        )
    elif address:
        yield from _bad_address(address, byte, product, "UserExtraAdd (ChipMode bit 0 is 1)")
    elif Allow.I2C_ADDRESS not in product.allowed:
        yield Finding(
            Level.WARNING,
            Rule.I2C_ADDRESS_ONCE,
            memory_map.CHIP_MODE,
            "ChipMode bit 0 is 1 and byte 85 is 00: anyone on the bus can move the I2C address once, permanently.",
            f"Clear bit 0, or give byte 85 the wanted address ({DEFAULT_ADDRESS:02X} keeps it).",
        )
    if zone.user_extra:
        yield Finding(
            Level.INFO,
            Rule.USER_EXTRA,
            memory_map.USER_EXTRA,
            f"UserExtra is {zone.user_extra:02X}; UpdateExtra sets it.",
        )


def _otp_mode(zone: ConfigZone, product: Product) -> Findings:
    byte, value = memory_map.COUNT_MATCH, zone.count_match
    if product.part.is_608:
        if value and not zone.count_match_enabled:
            yield Finding(
                Level.INFO, Rule.OTP_MODE, byte, f"CountMatch {value:02X} is off, but not clean.", "Write 00."
            )
    elif value == _OTP_CONSUMPTION:
        yield Finding(
            Level.INFO, Rule.OTP_MODE, byte, "OTPmode 55: OTP bits can still fall from 1 to 0 after the lock."
        )
    elif value != _OTP_READ_ONLY:
        yield Finding(
            Level.WARNING, Rule.OTP_MODE, byte, f"OTPmode {value:02X} is not published.", "AA makes OTP read-only."
        )


def _chip_mode(zone: ConfigZone, product: Product) -> Findings:
    byte, mode = memory_map.CHIP_MODE, zone.chip_mode
    divider = CLOCK_DIVIDERS.get(mode.clock_divider)
    if divider is None or (mode.clock_divider and not product.part.is_608):
        yield Finding(
            Level.ERROR,
            Rule.CLOCK_DIVIDER,
            byte,
            f"ChipMode bits 7-3 are {mode.clock_divider:05b}, a clock divider that is not published for this part.",
            "Write 0 (M0)." + (" Published are 00101 (M1) and 01101 (M2) too." if product.part.is_608 else ""),
        )
    elif divider != "M0":
        yield Finding(
            Level.WARNING,
            Rule.CLOCK_DIVIDER,
            byte,
            f"clock divider {divider}: keys and signatures take 2 to 6 times longer, permanently.",
            "M0 is right unless the supply current is limited.",
        )
    if mode.long_watchdog:
        yield Finding(
            Level.WARNING, Rule.LONG_WATCHDOG, byte, "the watchdog waits about 10 s: a stuck chip stays awake so long."
        )
    if mode.ttl_levels:
        yield Finding(Level.INFO, Rule.INPUT_LEVELS, byte, "input levels follow VCC; 0 would fix them.")


def _counters(zone: ConfigZone) -> Findings:
    for number, stored in enumerate(zone.counters):
        byte = memory_map.COUNTERS.start + 8 * number
        value = decode_counter(stored)
        if value is None:
            yield Finding(
                Level.WARNING,
                Rule.COUNTER_START,
                byte,
                f"Counter {number} holds {stored.hex().upper()}, which is not a valid count.",
                "FFFFFFFF00000000 is 0.",
            )
        elif value:
            yield Finding(Level.INFO, Rule.COUNTER_START, byte, f"Counter {number} starts at {value}.")


def _locks(zone: ConfigZone) -> Findings:
    if zone.slot_locked != _ALL_OPEN:
        sealed = [str(slot.number) for slot in zone.slots if not slot.open]
        yield Finding(
            Level.ERROR,
            Rule.SLOT_LOCKED,
            memory_map.SLOT_LOCKED.start,
            f"SlotLocked seals slots {', '.join(sealed)} before anything is in them.",
            "Write FF FF; slots are locked one by one at the end.",
        )
