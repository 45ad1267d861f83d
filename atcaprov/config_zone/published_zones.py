"""Configuration zones that other tools write and examples publish, as data with their sources.

Bytes 16 to 127, or the settings that a tool writes, where it leaves the others as they are. Each source was read;
those of tools without bytes were computed from the fields that their source names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from atcaprov.chip.memory_map import (
    CHIP_MODE,
    CHIP_OPTIONS,
    CONFIG_SIZE,
    COUNT_MATCH,
    COUNTERS,
    FIELDS_608,
    I2C_ADDRESS,
    KEY_CONFIG,
    SLOT_CONFIG,
)

FIRST_WRITTEN: Final = I2C_ADDRESS
_BEFORE_COUNTERS: Final = (17, COUNT_MATCH, CHIP_MODE, *range(SLOT_CONFIG, COUNTERS.start))
_BEHIND_LOCKS: Final = tuple(range(CHIP_OPTIONS.start, CONFIG_SIZE))
"""Offsets that tell a table; not the address, which is often changed, nor counters, locks and what UpdateExtra sets."""
_FIELDS_608: Final = tuple(range(FIELDS_608.start, FIELDS_608.stop))


@dataclass(frozen=True)
class PublishedZone:
    """One table: who writes it (`name`, for people), where it is published, and the bytes that tell it."""

    name: str
    source: str
    settings: Mapping[int, int] = field(repr=False)
    """Byte of the zone to its value: what identifies the table, without address, counters and locks."""
    address: int | None = None
    """I2C_Address, 8-bit, if the table sets one."""

    def fits(self, config: bytes) -> bool:
        """Tell whether a zone (128 bytes) has these settings, whatever its address, counters and locks are."""
        return all(config[offset] == value for offset, value in self.settings.items())


def _table(name: str, source: str, bytes_16_to_127: str, *, is_608: bool) -> PublishedZone:
    """Return a table of all 112 bytes. Bytes 68 to 83 of an ATECC508A count uses, so they decide on a 608 only."""
    zone = bytes(FIRST_WRITTEN) + bytes.fromhex(bytes_16_to_127)
    offsets = (*_BEFORE_COUNTERS, *(_FIELDS_608 if is_608 else ()), *_BEHIND_LOCKS)
    return PublishedZone(name, source, MappingProxyType({each: zone[each] for each in offsets}), zone[I2C_ADDRESS])


def _slots(name: str, source: str, slots: str, keys: str, others: Mapping[int, int]) -> PublishedZone:
    """Return a table of the 16 SlotConfig and the 16 KeyConfig words, low byte first, and some other bytes."""
    settings = dict(enumerate(bytes.fromhex(slots), SLOT_CONFIG)) | dict(enumerate(bytes.fromhex(keys), KEY_CONFIG))
    return PublishedZone(name, source, MappingProxyType(settings | dict(others)))


def settings_of(zone: bytes) -> dict[int, int]:
    """Return the bytes of an ATECC608 zone (128 bytes) that tell its table, by offset."""
    return {offset: zone[offset] for offset in (*_BEFORE_COUNTERS, *_FIELDS_608, *_BEHIND_LOCKS)}


FACTORY_508A: Final = _table(
    "a new ATECC508A",
    "Petezah/CryptoAuthLib-Tools, atca-tool-go/defaultconfig.hex",
    """C0005500 83208720 8F20C48F 8F8F8F8F 9F8FAF8F 00000000 00000000 00000000 0000AF8F FFFFFFFF 00000000 FFFFFFFF
    00000000 FFFFFFFF FFFFFFFF FFFFFFFF FFFFFFFF 00005555 FFFF0000 00000000 33003300 33001C00 1C001C00 1C001C00
    3C003C00 3C003C00 3C003C00 3C001C00""",
    is_608=False,
)
FACTORY_608: Final = _table(
    "a new ATECC608",
    "jmcpheron/picowallet, UPSTREAM.md, section 3 (read from a part); AN3539 gives the same from the ATECC508A",
    """C0000000 83208720 8F20C48F 8F8F8F8F 9F8FAF8F 00000000 00000000 00000000 0000AF8F FFFFFFFF 00000000 FFFFFFFF
    00000000 00000000 00000000 00000000 00000000 00005555 FFFF0000 00000000 33003300 33001C00 1C001C00 1C001C00
    3C003C00 3C003C00 3C003C00 3C001C00""",
    is_608=True,
)
FACTORY_ZONES: Final = (FACTORY_608, FACTORY_508A)

_KIT: Final = """ 8F20C444 8720C444 8F0F8F8F 9F8F8220 C444C444 0F0F0F0F 0F0F0F0F 0F0F0F0F FFFFFFFF 00000000 FFFFFFFF
    00000000"""
_KIT_KEYS: Final = "33005C00 13005C00 3C001C00 1C003300 1C001C00 3C003C00 3C003C00 1C003C00"
_TLS_KEYS: Final = "33001C00 13001300 7C001C00 3C003300 3C003C00 3C003000 3C003C00 3C003000"

PUBLISHED_ZONES: Final = (
    _table(
        "Atmel's provisioning kit (ATECC508A default)",
        "Atmel-8970A, section 3.5",
        f"C000AA00{_KIT} FFFFFFFF FFFFFFFF FFFFFFFF FFFFFFFF 00005555 FFFF0000 00000000 {_KIT_KEYS}",
        is_608=False,
    ),
    _table(
        "Atmel's provisioning kit (its default by the rule of AN3539 for the ATECC608)",
        "Atmel-8970A, section 3.5, and Microchip AN3539",
        f"C0000000{_KIT} 00000000 00000000 00000000 00000000 00005555 FFFF0000 00000000 {_KIT_KEYS}",
        is_608=True,
    ),
    _table(
        "the tests of cryptoauthlib for the ATECC608",
        "MicrochipTech/cryptoauthlib 3.7.8; the same bytes in jmcpheron/picowallet",
        """C000A100 AF2FC444 8720C4F4 8F0F0F0F 9F8F8364 C444C464 0F0F0F0F 0F0F0F0F 0F0F0F0F FFFFFFFF 00000000 FFFFFFFF
        00000000 FF8403BC 09697600 00000000 00000000 00000000 FFFF0E40 00000000 33001C00 13001C00 3C003A10 1C003300
        1C001C00 38003000 3C003C00 32003000""",
        is_608=True,
    ),
    _table(
        "the tests of cryptoauthlib for the ATECC508A",
        "MicrochipTech/cryptoauthlib 3.7.8",
        """C0005500 8F2FC444 8720C4F4 8F0F8F8F 9F8F8364 C444C464 0F0F0F0F 0F0F0F0F 0F0F0F0F FFFFFFFF 00000000 FFFFFFFF
        00000000 FFFFFFFF FFFFFFFF FFFFFFFF FFFFFFFF 00000000 FFFF0000 00000000 33001C00 13001C00 3C001C00 1C003300
        1C001C00 3C003000 3C003C00 32003000""",
        is_608=False,
    ),
    _table(
        "cryptoauthtools (config.py, ATECC608)",
        "MicrochipTech/cryptoauthtools, python/examples/config.py",
        """6A000001 85008200 85208520 8520C646 8F0F9F8F 0F0F8F0F 0F0F0F0F 0F0F0F0F 0D1F0F0F FFFFFFFF 00000000 FFFFFFFF
        00000000 000003F7 00697600 00000000 00000000 00005555 FFFF0E60 00000000 53005300 73007300 73003800 7C001C00
        3C001A00 3C003000 3C003000 12003000""",
        is_608=True,
    ),
    _table(
        "cryptoauthtools (config.py, ATECC508A)",
        "MicrochipTech/cryptoauthtools, python/examples/config.py",
        f"""B0005500 8F20C444 87208720 8F0FC436 9F0F8220 0F0FC444 0F0F0F0F 0F0F0F0F 0F0F0F0F FFFFFFFF 00000000 FFFFFFFF
        00000000 FFFFFFFF FFFFFFFF FFFFFFFF FFFFFFFF 00005555 FFFF0000 00000000 {_TLS_KEYS}""",
        is_608=False,
    ),
    _table(
        "Microchip's examples for mbed TLS",
        "MicrochipTech/mbedtls-examples, source/configure.c",
        f"""C0000001 8F20C444 87208720 8F0FC436 9F0F8220 0F0FC444 0F0F0F0F 0F0F0F0F 0F0F0F0F FFFFFFFF 00000000 FFFFFFFF
        00000000 00000000 00000000 00000000 00000000 0000FFFF FFFF0000 00000000 {_TLS_KEYS}""",
        is_608=True,
    ),
    _table(
        "kmwebnet's ECC608-MassProvisioning",
        "kmwebnet/ECC608-MassProvisioning, src/configure.c",
        """C0000001 8F20C444 87208720 8F0FC400 9F0F8220 0F0FC444 0F0F0F0F 0F0F0F0F 0F0F0F0F FFFFFFFF 00000000 FFFFFFFF
        00000000 00000000 00000000 00000000 00000000 0000FFFF FFFF0640 00000000 33001C00 13001300 7C001800 3C003300
        3C003C00 3C003000 3C003C00 3C003000""",
        is_608=True,
    ),
    _table(
        "the AWS zero touch kit",
        "MicrochipTech/aws-iot-zero-touch-secure-provisioning-kit, ecc_configure.c",
        f"""B000AA00 8F20C444 87208720 8F0FC436 9F0F8220 0F0FC444 0F0F0F0F 0F0F0F0F 0F0F0F0F FFFFFFFF 00000000 FFFFFFFF
        00000000 00000000 00000000 00000000 00000000 00000000 FFFF0000 00000000 {_TLS_KEYS}""",
        is_608=True,
    ),
    _table(
        "Atmel's engine for OpenSSL (TLS example)",
        "AtmelCSO/cryptoauth-openssl-engine, cryptoauthlib/lib/tls/atcatls_cfg.c",
        """C0005500 8F20C444 8720C444 8F0FC426 9F0F8F20 0F0F0F0F 0F0F0F0F 0F0F0F0F 0F0F0F0F FFFFFFFF 00000000 FFFFFFFF
        00000000 FFFFFFFF FFFFFFFF FFFFFFFF FFFFFFFF 00005555 FFFF0000 00000000 33001C00 13001C00 3C001C00 3C003300
        3C003C00 3C003C00 3C003C00 3C003C00""",
        is_608=False,
    ),
    _table(
        "mbed OS (developer table)",
        "ARMmbed/mbed-os-example-atecc608a, atecc608a_config_dev.h",
        """C0005500 87208720 87208720 87208720 8F208720 00000000 00000000 00000000 0000A720 FFFFFFFF 00000000 FFFFFFFF
        00000000 FFFFFFFF FFFFFFFF FFFFFFFF FFFFFFFF 00005555 FFFF0000 00000000 13001300 13001300 13001300 13001300
        1C001000 10001000 10001000 10001300""",
        is_608=False,
    ),
    _table(
        "ArduinoECCX08 (ECCX08_DEFAULT_TLS_CONFIG)",
        "arduino-libraries/ArduinoECCX08, examples/Tools/ECCX08CSR and others, ECCX08DefaultTLSConfig.h",
        """C0005500 83208720 8720872F 872F8F8F 9F8FAF8F 00000000 00000000 00000000 0000AF8F FFFFFFFF 00000000 FFFFFFFF
        00000000 FFFFFFFF FFFFFFFF FFFFFFFF FFFFFFFF 00005555 FFFF0000 00000000 33003300 33003300 33001C00 1C001C00
        3C003C00 3C003C00 3C003C00 3C001C00""",
        is_608=False,
    ),
    _table(
        "Mongoose OS, mos (atca-test-config.yaml)",
        "cesanta/mongoose-os, fw/tools/atca-test-config.yaml",
        """C0005500 87648764 87648764 800F8F8F 9F8F8220 C444C444 0F0F0F0F 0F0F0F0F 0F0F0F0F FFFFFFFF 00000000 FFFFFFFF
        00000000 FFFFFFFF FFFFFFFF FFFFFFFF FFFFFFFF 00000000 FFFF0000 00000000 33003300 33003300 3C001C00 1C003300
        1C001C00 3C003C00 3C003C00 1C003C00""",
        is_608=False,
    ),
    _table(
        "RIOT (developer table)",
        "RIOT-OS/RIOT, pkg/cryptoauthlib/include/atecc608a_config.h",
        """C0000000 87208720 87208720 87008700 8F208720 00000000 00000000 00000000 00000000 FFFFFFFF 00000000 FFFFFFFF
        00000000 00000000 00000000 00000000 00000000 00005555 FFFF0000 00000000 13001300 13001300 18001800 13001F00
        1C001000 10001000 10001000 1C001C00""",
        is_608=True,
    ),
    _table(
        "Pelion's rust-cryptoauthlib (test table)",
        "PelionIoT/rust-cryptoauthlib, cryptoauthlib/src/hw_impl/provisioning.rs",
        """C0000001 8F20C6E6 86668566 C666C646 8F0F9F8F 000FC60F 0F0F0F0F 0F0F0B1F C676C6F6 3FFFFFFF FFFFFFFF FFFFFFFF
        FFFFFFFF 000003B7 00697600 00000000 00000000 00005555 FFFF0E60 00000000 33001C00 73001300 18003800 7C001C00
        3C001A00 3C003000 3C001200 18001A00""",
        is_608=True,
    ),
    _table(
        "GRiSP (grisp_cryptoauth, after Microchip's TFLXTLS)",
        "grisp/grisp_cryptoauth, c_src/grisp_cryptoauth_drv_nif.c",
        """6C000001 85008200 85208520 85208F46 8F0F9F8F 0F0F8F0F 0F0F0F0F 0F0F0F0F 0D1F0F0F FFFFFFFF 00000000 FFFFFFFF
        00000000 000003F7 00697600 00000000 00000000 00000000 FFFF0E60 00000000 53005300 73007300 73003800 7C001C00
        3C001A00 3C003000 3C003000 12003000""",
        is_608=True,
    ),
    _slots(
        "NervesKey",
        "nerves-hub/nerves_key, lib/nerves_key/config.ex",
        "8720 0F0F 0F0F 0F0F 0F0F 0F0F 0F0F 0F0F 0F0F 0F0F 0F2F 0F2F 0F2F 0F2F 0F0F 0F0F",
        "3300 1C00 1C00 1C00 1C00 1C00 1C00 1C00 3C00 3C00 3C00 3000 3C00 3C00 3C00 3C00",
        {COUNT_MATCH: 0xAA, CHIP_MODE: 0},
    ),
    _slots(
        "Helium (gateway_mfr)",
        "helium/gateway-mfr-rs, src/device/ecc.rs; words: helium/ecc608-linux-rs, src/slot_config.rs and key_config.rs",
        "9720" * 16,
        "3300" * 16,
        {},
    ),
)
