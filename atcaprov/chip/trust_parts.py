"""The Trust parts: ATECC608 that Microchip delivers configured and locked.

The facts of each part are from the pages "Configuration Zone", "Slot Configuration Summary" and "One Time Programmable
(OTP) Zone" of its data sheet on onlinedocs.microchip.com (ATECC608A-, 608B- and 608C-TNGTLS and -TFLXTLS,
ECC608-TMNGTLS, ATECC608A- and 608B-TNGLoRaWAN). Those pages say of every part: the configuration and data zones are
locked, and its I2C address can be changed once, by UpdateExtra, which leaves the delivered one in byte 16.

Bytes of whole tables are published by people who read their parts: of a TNGTLS and a TFLXTLS, both 608B, by
cryptoauth_test readcfg; of an early ATECC608A-TNGTLS by cryptoauthtools info.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from atcaprov.chip.memory_map import CHIP_MODE, CHIP_OPTIONS, I2C_ADDRESS, LOCK_CONFIG, LOCK_VALUE, LOCKED, word_le

OTP_CODE_SIZE: Final = 8
_SERIAL_END: Final = 12
"""Where the configuration zone keeps the last byte of the serial number."""
_ADDRESS_CHANGEABLE: Final = 0x01  # in ChipMode
_IO_PROTECTION: Final = 0x0002  # in ChipOptions
_IO_KEY_SHIFT: Final = 12  # in ChipOptions


@dataclass(frozen=True)
class TrustPart:
    """What is published of one Trust part; the same for all silicon of the family unless a text says otherwise.

    `address` is I2C_Address as delivered, 8-bit. `serial_ends` are the values of the last byte of the serial number.
    `otp_codes` are the first 8 bytes of OTP, after which it holds zeros; the data sheets warn that they may change, so
    a part with another code is still this part. `lockable_slots` can be locked one by one. `slots` has one text for
    each slot. `not_published` names what public sources do not tell about the part.
    """

    name: str
    description: str
    address: int
    serial_ends: frozenset[int]
    otp_codes: tuple[bytes, ...]
    io_key_slot: int
    lockable_slots: frozenset[int]
    slots: tuple[str, ...]
    not_published: tuple[str, ...]

    def is_part(self, config: bytes) -> bool:
        """Return whether a configuration zone, 128 bytes, has all that the data sheet says of this part.

        The end of the serial number alone says little: a customer's part may have any. Byte 85, the changed address,
        is not looked at.
        """
        options = word_le(config, CHIP_OPTIONS.start)
        return (
            config[_SERIAL_END] in self.serial_ends
            and config[I2C_ADDRESS] == self.address
            and (config[LOCK_VALUE], config[LOCK_CONFIG]) == (LOCKED, LOCKED)
            and bool(config[CHIP_MODE] & _ADDRESS_CHANGEABLE)
            and bool(options & _IO_PROTECTION)
            and options >> _IO_KEY_SHIFT == self.io_key_slot
        )


_KEY_0: Final = "primary private key: signs messages, ECDH; permanent"
_KEY_1: Final = "private key that signs only what the chip itself reports (internal sign); permanent"
_SECONDARY_KEYS: Final = tuple(
    f"secondary private key {number}: signs messages, ECDH; GenKey makes a new one until the slot is locked"
    for number in (1, 2, 3)
)
_IO_KEY: Final = "IO protection key: never read, written by anyone until the slot is locked"
_DATA: Final = "data, 416 bytes: clear read, written by anyone until the slot is locked"
_AES: Final = "AES key from ECDH or KDF: never read, written by anyone"
_DEVICE, _SIGNER_KEY, _SIGNER = (
    "device certificate, compressed",
    "signer's public key",
    "signer certificate, compressed",
)
_RESERVED: Final = "reserved"

TNGTLS: Final = TrustPart(
    name="TNGTLS",
    description="Trust&GO for TLS, with Microchip's certificates, which are permanent",
    address=0x6A,
    serial_ends=frozenset({0x01}),
    otp_codes=(b"x6tjuZMy", b"KQp2ZkD8", b"Rsuy5YJh", b"wdNxAjae"),
    io_key_slot=6,
    lockable_slots=frozenset({2, 3, 4, 6, 8}),
    slots=(
        _KEY_0,
        _KEY_1,
        *_SECONDARY_KEYS,
        "MAC address (EUI-48), clear read, permanent; reserved on parts without one",
        _IO_KEY,
        _RESERVED,
        _DATA,
        _AES,
        *(f"{what}: clear read, permanent" for what in (_DEVICE, _SIGNER_KEY, _SIGNER)),
        *(_RESERVED,) * 3,
    ),
    not_published=(
        "which OTP code is of which time: the data sheets print x6tjuZMy alone, cryptoauthlib reads all four as TNGTLS",
    ),
)
TFLXTLS: Final = TrustPart(
    name="TFLXTLS",
    description="TrustFLEX for TLS; which slots can still be written is chosen when the part is ordered",
    address=0x6C,
    serial_ends=frozenset({0x01}),
    otp_codes=(b"wdNxAjae", b"MKMwyhP1", b"KQp2ZkD8", b"BWuzMoAa"),
    io_key_slot=6,
    lockable_slots=frozenset({2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 15}),
    slots=(
        _KEY_0,
        _KEY_1,
        *_SECONDARY_KEYS,
        "secret or AES key: never read, written encrypted under slot 6 until the slot is locked",
        _IO_KEY,
        "digest of the secure boot: neither read nor written",
        _DATA,
        _AES,
        *(
            f"{what}: clear read; written by anyone until the slot is locked, unless ordered as permanent"
            for what in (_DEVICE, _SIGNER_KEY, _SIGNER)
        ),
        "public key that validates slot 14: clear read, written by anyone until the slot is locked",
        "public key, validated under slot 13: clear read, written while it is not validated",
        "public key of the secure boot: clear read, written by anyone until the slot is locked",
    ),
    not_published=(
        "how a slot that is ordered as permanent is configured: an early TNGTLS shows WriteConfig Never, not lockable",
        "the certificates that a part comes with depend on the order: Microchip's own, the customer's, or none",
    ),
)
TMNGTLS: Final = TrustPart(
    name="TMNGTLS",
    description="TrustMANAGER, whose keys and certificates the service keySTREAM manages in the field",
    address=0x70,
    serial_ends=frozenset({0x01}),
    otp_codes=(bytes.fromhex("0225701337B9CFF0"),),
    io_key_slot=7,
    lockable_slots=frozenset({0, 15}),
    slots=(
        "device identity key: signs messages; GenKey makes a new one until the slot is locked",
        "attestation key of keySTREAM",
        "profile of keySTREAM",
        *("managed and reserved by keySTREAM",) * 2,
        "symmetric key of the customer: written encrypted under slot 6 by keySTREAM alone",
        _RESERVED,
        "IO protection key, for the customer's production line",
        *("managed by keySTREAM",) * 2,
        _DEVICE,
        _SIGNER_KEY,
        _SIGNER,
        "digest of the secure boot, for the customer's production line",
        "managed by keySTREAM",
        "public key of the secure boot, for the customer's production line; can be locked",
    ),
    not_published=("the bytes of the configuration zone", "slots 8, 9 and 14, and which of 1 to 14 can be locked"),
)
TNGLORA: Final = TrustPart(
    name="TNGLORA",
    description="Trust&GO for LoRaWAN, with the keys of a join server",
    address=0xB2,
    serial_ends=frozenset({0x10, 0x27}),
    otp_codes=(b"jsMu7iYO", b"09qJNxI3", b"BxZvm6q2"),
    io_key_slot=14,
    lockable_slots=frozenset({8, 10, 14}),
    slots=(
        "NwkKey and AppKey, AES: never read or written; DeriveKey under slot 13 with a MAC",
        "device private key: signs messages, ECDH; permanent",
        *(
            f"{key}, AES: written by anyone or by KDF, read encrypted under slot 14"
            for key in ("AppSKey", "NwkSEncKey", "SNwkSIntKey", "FNwkSIntKey", "JSIntKey", "JSEncKey")
        ),
        "certificate and data, 416 bytes: clear read; can be locked",
        "JoinEUI",
        "DevEUI: clear read; can be locked",
        "McAppSKey",
        "McNwkSKey",
        "repersonalization key",
        "IO protection key; can be locked",
        _RESERVED,
    ),
    not_published=("the bytes of the configuration zone", "how slots 9, 11 to 13 and 15 are read and written"),
)

TRUST_PARTS: Final = (TNGTLS, TFLXTLS, TMNGTLS, TNGLORA)


def trust_part(config: bytes) -> TrustPart | None:
    """Return which Trust part has this configuration zone, 128 bytes; None if it is none of them."""
    return next((part for part in TRUST_PARTS if part.is_part(config)), None)


def trust_part_name(config: bytes) -> str | None:
    """Return the name of the Trust part with this configuration zone, 128 bytes, as `ATECC608 TNGTLS`; else None."""
    part = trust_part(config)
    return None if part is None else f"ATECC608 {part.name}"


def otp_code(otp: bytes) -> bytes | None:
    """Return the code in the first bytes of OTP, 32 bytes or more; None unless it is one of those published."""
    code = otp[:OTP_CODE_SIZE]
    return code if any(code in part.otp_codes for part in TRUST_PARTS) else None
