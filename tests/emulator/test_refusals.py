"""Each refusal, its status on the wire, and the rule, slot or bit that it names inside."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import pytest

from atcaprov.chip.commands import Opcode
from atcaprov.chip.crc import crc16
from atcaprov.emulator import ecc
from atcaprov.emulator.chip import Chip, Power
from atcaprov.emulator.clock import VirtualClock
from atcaprov.emulator.digest import xor
from atcaprov.emulator.switches import OpenPointError, StrictSwitches, Switches
from tests.emulator.test_commands_by_wheel import host_key, host_sign
from tests.support.chips import awake_chip, configured_memory, packet, reply_body, send

PRIVATE, AES, DATA, PUBLIC = 0x0033, 0x0038, 0x003C, 0x0030
KEY: Final = (0x2087, PRIVATE)  # every use of a private key, ECDH in clear
SECRET: Final = (0x0F8F, DATA)
SCALAR: Final = bytes(35) + b"\x07"
FIXED: Final = (Opcode.NONCE, 3, 0, bytes(range(32)))
RANDOM: Final = (Opcode.NONCE, 0, 0, bytes(20))
DIGEST: Final = (Opcode.NONCE, 0x43, 0, bytes(32))
Request = tuple[int, int, int, bytes]
OFF_CURVE: Final = bytes(64)
# The generator of P-256 (SEC 2), a point of the curve.
GENERATOR: Final = bytes.fromhex(
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)
STORED: Final = bytes(4) + GENERATOR[:32] + bytes(4) + GENERATOR[32:]


@dataclass
class Case:
    """A memory, the commands before, the refused request, and what is said inside."""

    request: Request
    says: str
    before: tuple[Request, ...] = ()
    slots: dict[int, tuple[int, int]] = field(default_factory=dict)
    content: dict[int, bytes] = field(default_factory=dict)
    config_bytes: dict[int, bytes] = field(default_factory=dict)
    status: int = 0x0F
    data_locked: bool = True
    config_locked: bool = True


ON = {90: b"\x0e\x40"}
"""I/O protection key in slot 4, KDF with AES."""
BOOT = {0: SECRET, 4: SECRET, 11: (0x0F0F, PUBLIC), 12: (0x0F8F, DATA)}


def boot(mode: int, setting: bytes, **more: Any) -> Case:
    """A SecureBoot request under a setting of bytes 70-71."""
    size = 32 if mode & 7 == 6 else 96
    config_bytes = {70: setting, **more.pop("config_bytes", {})}
    return Case((Opcode.SECURE_BOOT, mode, 0, bytes(size)), slots=BOOT, config_bytes=config_bytes, **more)


def kdf(p1: int, p2: int = 0, details: int = 0, message: bytes = b"", **more: Any) -> Case:
    """A KDF request."""
    return Case((Opcode.KDF, p1, p2, details.to_bytes(4, "little") + message), **more)


def ecdh(p1: int, p2: int = 0, **more: Any) -> Case:
    """An ECDH request with the generator as the peer's key."""
    options: dict[str, Any] = {"slots": {0: KEY}, "content": {0: SCALAR}} | more
    return Case((Opcode.ECDH, p1, p2, GENERATOR), **options)


def verify(p1: int, p2: int, size: int, says: str, **more: Any) -> Case:
    return Case((Opcode.VERIFY, p1, p2, bytes(size)), says, **more)


HASH_SLOT_14: Final = (FIXED, (Opcode.GEN_KEY, 0x10, 14, bytes(3)))
VALIDATED: Final = {14: (0x0F0D, 0x0032), 13: (0x0F0F, PUBLIC)}

CASES: Final[dict[str, Case]] = {
    # AES
    "AES switched off": Case((Opcode.AES, 0, 0xFFFF, bytes(16)), "AES_Enable", config_bytes={13: b"\x00"}),
    "AES mode": Case((Opcode.AES, 2, 0xFFFF, bytes(16)), "no mode 2", status=3),
    "AES without TempKey": Case((Opcode.AES, 0, 0xFFFF, bytes(16)), "TempKey"),
    "AES upper key block of a short TempKey": Case((Opcode.AES, 0x80, 0xFFFF, bytes(16)), "too short", (FIXED,)),
    "AES key block outside": Case((Opcode.AES, 0x80, 5, bytes(16)), "outside", slots={5: (0x0F8F, AES)}),
    "AES key of another type": Case((Opcode.AES, 0, 5, bytes(16)), "KeyType", slots={5: SECRET}),
    "AES with a private key": Case((Opcode.AES, 0, 5, bytes(16)), "Private", slots={5: (0x0F8F, 0x0039)}),
    # ECDH
    "ECDH encrypted into a slot": ecdh(0x06, says="only an answer on the bus", status=3),
    "ECDH key without the bit": ecdh(0x0C, says="ReadKey bit 2", slots={0: (0x2083, PRIVATE)}),
    "ECDH result to the slot only": ecdh(0x0C, says="ReadKey bit 3", slots={0: (0x208F, PRIVATE)}),
    "ECDH off the curve": Case((Opcode.ECDH, 0x0C, 0, OFF_CURVE), "no point", slots={0: KEY}, content={0: SCALAR}),
    "ECDH without TempKey": ecdh(0x0D, 0xFFFF, says="TempKey holds no private key"),
    "ECDH from TempKey into no slot": ecdh(
        0x05, 0xFFFF, says="needs a slot number", before=((Opcode.GEN_KEY, 4, 0xFFFF, b""),)
    ),
    "ECDH clear output forbidden": ecdh(0x0C, says="ChipOptions bits 9-8", config_bytes={90: b"\x02\x41"}),
    "ECDH output forbidden": ecdh(0x0E, says="must stay inside", config_bytes={90: b"\x02\x42"}),
    "ECDH switched off": ecdh(0x08, says="switched off", config_bytes={90: b"\x02\x43"}),
    "ECDH encrypted without the key": ecdh(0x0E, says="ChipOptions bit 1"),
    "ECDH into a locked slot": ecdh(0x04, says="SlotLocked", slots={0: KEY, 1: SECRET}, config_bytes={88: b"\xfd\xff"}),
    "ECDH into a private slot": ecdh(0x04, says="Private", slots={0: KEY, 1: KEY}),
    "ECDH into a slot before the data lock": ecdh(0x04, says="LockValue", data_locked=False, slots={0: KEY, 1: SECRET}),
    # GenDig
    "GenDig mode": Case((Opcode.GEN_DIG, 6, 0, b""), "no mode 6", status=3),
    "GenDig without TempKey": Case((Opcode.GEN_DIG, 0, 0, b""), "TempKey is not valid"),
    "GenDig block outside": Case((Opcode.GEN_DIG, 1, 2, b""), "outside", (FIXED,)),
    "GenDig on a private key": Case((Opcode.GEN_DIG, 2, 0, b""), "Private", (FIXED,), slots={0: KEY}),
    "GenDig ReqRandom": Case((Opcode.GEN_DIG, 2, 4, b""), "ReqRandom", (FIXED,), slots={4: (0x0F8F, 0x007C)}),
    "GenDig before the configuration lock": Case(
        (Opcode.GEN_DIG, 0, 0, b""), "LockConfig", (FIXED,), config_locked=False, data_locked=False
    ),
    # GenKey
    "GenKey digest without TempKey": Case(
        (Opcode.GEN_KEY, 8, 0, b""), "TempKey is not valid", slots={0: KEY}, content={0: SCALAR}
    ),
    "GenKey digest of a private slot": Case((Opcode.GEN_KEY, 0x10, 0, bytes(3)), "Private", (FIXED,), slots={0: KEY}),
    "GenKey digest of a small slot": Case(
        (Opcode.GEN_KEY, 0x10, 5, bytes(3)), "too small", (FIXED,), slots={5: (0x0F0F, PUBLIC)}
    ),
    "GenKey digest, wrong type": Case(
        (Opcode.GEN_KEY, 0x10, 9, bytes(3)), "KeyType", (FIXED,), slots={9: (0x0F0F, DATA)}
    ),
    "GenKey digest ReqRandom": Case(
        (Opcode.GEN_KEY, 8, 0, b""), "ReqRandom", (FIXED,), slots={0: (0x208F, 0x0073)}, content={0: SCALAR}
    ),
    "GenKey in a data slot": Case((Opcode.GEN_KEY, 4, 9, b""), "Private", slots={9: SECRET}),
    "GenKey in a locked slot": Case((Opcode.GEN_KEY, 4, 0, b""), "SlotLocked", config_bytes={88: b"\xfe\xff"}),
    # Info
    "latch not enabled": Case((Opcode.INFO, 4, 3, b""), "VolatileKeyPermission"),
    "latch without proof": Case((Opcode.INFO, 4, 3, b""), "CheckMac must succeed", config_bytes={69: b"\x84"}),
    # KDF
    "KDF algorithm": kdf(0x60, says="no mode 60", status=3),
    "KDF target": kdf(0x18, says="no mode 18", status=3),
    "KDF slot number of the source": kdf(0x02, 0x0010, says="names no slot", status=3),
    "KDF slot number of the target": kdf(0x08, 0x1000, says="names no slot", status=3),
    "KDF message length": kdf(0x10, 0, 16 << 24, bytes(15), says="announce", status=3),
    "KDF without TempKey": kdf(0x10, 0, 0, says="TempKey"),
    "KDF upper half of a short TempKey": kdf(0x11, 0, 0, says="upper half", before=(FIXED,)),
    "KDF without Alternate Key": kdf(0x13, 0, 0, says="Alternate Key Buffer"),
    "KDF longer key than the source": kdf(0x10, 0, 2, says="shorter", before=(FIXED,)),
    "KDF AES switched off": kdf(0x30, 0, 0, bytes(16), says="ChipOptions bit 2", before=(FIXED,)),
    "KDF AES key block outside": kdf(0x30, 0, 2, bytes(16), says="shorter", before=(FIXED,), config_bytes=ON),
    "KDF AES without AES": kdf(
        0x30, 0, 0, bytes(16), says="AES_Enable", before=(FIXED,), config_bytes={**ON, 13: b"\x00"}
    ),
    "KDF 64 bytes into 32": kdf(0x04, 0, 0x101, says="64 bytes do not fit", before=(FIXED,)),
    "KDF 64 bytes into a small slot": kdf(
        0x08, 5 << 8, 0x101, says="does not fit the slot", before=(FIXED,), slots={5: (0x0F8F, 0x003A)}
    ),
    "KDF into a slot without PubInfo": kdf(0x08, 4 << 8, 1, says="PubInfo", before=(FIXED,), slots={4: SECRET}),
    "KDF clear output forbidden": kdf(0x10, 0, 1, says="11-10", before=(FIXED,), config_bytes={90: b"\x06\x44"}),
    "KDF encrypted without the key": kdf(0x14, 0, 1, says="ChipOptions bit 1", before=(FIXED,)),
    "KDF from a private slot": kdf(0x12, 0, 1, says="Private", slots={0: KEY}),
    "KDF HKDF message from a lost TempKey": kdf(
        0x53, 0, 1, says="TempKey is not valid", before=((Opcode.NONCE, 0x83, 0, bytes(32)),)
    ),
    "KDF HKDF message from a private slot": kdf(0x50, 0, 0, says="Private", before=(FIXED,), slots={0: KEY}),
    "KDF HKDF longer message than the slot": kdf(
        0x50, 0, 4 << 8 | 40 << 24, says="shorter", before=(FIXED,), slots={4: SECRET}
    ),
    # Lock
    "slot lock before the configuration": Case(
        (Opcode.LOCK, 2 | 9 << 2, 0, b""), "LockConfig", config_locked=False, data_locked=False
    ),
    "lock mode with a slot number": Case((Opcode.LOCK, 4, 0, b""), "slot number", status=3),
    # MAC, CheckMac
    "MAC without TempKey": Case((Opcode.MAC, 1, 4, b""), "TempKey is not valid", slots={4: SECRET}),
    "MAC with another source": Case((Opcode.MAC, 1, 4, b""), "SourceFlag", (FIXED,), slots={4: SECRET}),
    "MAC with a marked TempKey": Case(
        (Opcode.MAC, 5, 4, b""),
        "verification only",
        (FIXED, (Opcode.GEN_DIG, 2, 6, bytes(4))),
        slots={4: SECRET, 6: (0x0F9F, DATA)},
    ),
    "MAC with a key that checks": Case((Opcode.MAC, 0, 6, bytes(32)), "NoMac", slots={6: (0x0F9F, DATA)}),
    "MAC ReqRandom": Case((Opcode.MAC, 0, 4, bytes(32)), "ReqRandom", slots={4: (0x0F8F, 0x007C)}),
    "MAC with a private key": Case((Opcode.MAC, 0, 0, bytes(32)), "Private", slots={0: KEY}),
    "CheckMac without TempKey": Case((Opcode.CHECK_MAC, 1, 4, bytes(77)), "TempKey", slots={4: SECRET}),
    "CheckMac ReqAuth": Case((Opcode.CHECK_MAC, 0, 4, bytes(77)), "ReqAuth", slots={4: (0x0F8F, 0x01BC)}),
    # Nonce
    "nonce from a lost TempKey": Case((Opcode.NONCE, 0, 0x8000, bytes(20)), "TempKey is not valid"),
    # PrivWrite
    "PrivWrite into a data slot": Case((Opcode.PRIV_WRITE, 0, 9, bytes(68)), "Private", slots={9: SECRET}),
    "PrivWrite into a locked slot": Case(
        (Opcode.PRIV_WRITE, 0, 0, bytes(68)), "SlotLocked", config_bytes={88: b"\xfe\xff"}, data_locked=False
    ),
    "PrivWrite in clear after the lock": Case((Opcode.PRIV_WRITE, 0, 0, bytes(68)), "LockValue", slots={0: KEY}),
    "PrivWrite without the bit": Case((Opcode.PRIV_WRITE, 0x40, 0, bytes(68)), "bit 14", slots={0: KEY}),
    "PrivWrite without a session key": Case(
        (Opcode.PRIV_WRITE, 0x40, 0, bytes(68)), "WriteKey", slots={0: (0x648F, PRIVATE)}
    ),
    "PrivWrite with a wrong MAC": Case(
        (Opcode.PRIV_WRITE, 0x40, 0, bytes(68)),
        "MAC",
        (RANDOM, (Opcode.GEN_DIG, 2, 4, b"")),
        slots={0: (0x648F, PRIVATE), 4: SECRET},
    ),
    "PrivWrite of no key": Case(
        (Opcode.PRIV_WRITE, 0, 0, bytes(36) + bytes(32)),
        "no private key",
        status=5,
        data_locked=False,
    ),
    # Read, Write
    "EncryptRead without IsSecret": Case((Opcode.READ, 0x82, 9 << 3, b""), "IsSecret", slots={9: (0x0F4F, DATA)}),
    "encrypted read with a loaded nonce": Case(
        (Opcode.READ, 0x82, 9 << 3, b""),
        "ReadKey",
        (FIXED, (Opcode.GEN_DIG, 2, 4, b"")),
        slots={9: (0x0FC4, DATA), 4: SECRET},
    ),
    "encrypted read with another key": Case(
        (Opcode.READ, 0x82, 9 << 3, b""),
        "ReadKey",
        (RANDOM, (Opcode.GEN_DIG, 2, 5, b"")),
        slots={9: (0x0FC4, DATA), 5: SECRET},
    ),
    "encrypted write where clear belongs": Case(
        (Opcode.WRITE, 0xC2, 9 << 3, bytes(64)), "WriteConfig", slots={9: (0x040F, DATA)}
    ),
    "encrypted write of a word": Case(
        (Opcode.WRITE, 0x42, 9 << 3, bytes(36)), "WriteConfig", slots={9: (0x440F, DATA)}
    ),
    "encrypted write of the configuration": Case(
        (Opcode.WRITE, 0xC0, 8, bytes(64)), "in clear", config_locked=False, data_locked=False
    ),
    "encrypted write of OTP": Case((Opcode.WRITE, 0xC1, 0, bytes(64)), "OTP", data_locked=False),
    # SecureBoot
    "SecureBoot mode": boot(4, b"\x03\xbc", says="no mode 4", status=3),
    "SecureBoot off": boot(5, b"\x00\xbc", says="secure boot is off"),
    "SecureBoot FullBoth": boot(6, b"\x01\xbc", says="signatures only"),
    "SecureBoot nonce": boot(5, b"\x13\xbc", says="SecureBoot bit 4", before=(FIXED,)),
    "SecureBoot MAC without TempKey": boot(0x85, b"\x03\xbc", says="TempKey is not valid", config_bytes=ON),
    "SecureBoot MAC without the key": boot(0x85, b"\x03\xbc", says="ChipOptions bit 1", before=(FIXED,)),
    "SecureBoot no public key": boot(5, b"\x03\xbc", says="no point of the curve"),
    "SecureBoot signature slot too small": boot(6, b"\x02\xb4", says="too small for a signature"),
    "SecureBoot copy into a locked slot": boot(7, b"\x03\xbc", says="SlotLocked", config_bytes={89: b"\xef"}),
    # SHA
    "SHA update without start": Case((Opcode.SHA, 1, 0, b""), "no SHA has been started"),
    "SHA public of a private slot": Case((Opcode.SHA, 3, 0, b""), "Private", ((Opcode.SHA, 0, 0, b""),)),
    "HMAC without TempKey": Case((Opcode.SHA, 4, 0xFFFF, b""), "TempKey is not valid"),
    "HMAC with a private key": Case((Opcode.SHA, 4, 0, b""), "Private"),
    "context of an HMAC": Case((Opcode.SHA, 6, 0, b""), "HMAC", ((Opcode.SHA, 4, 4, b""),), slots={4: SECRET}),
    "context of another length": Case((Opcode.SHA, 7, 37, bytes(37)), "does not fit"),
    # Sign
    "Sign without a message": Case((Opcode.SIGN, 0x80, 0, b""), "TempKey", slots={0: KEY}, content={0: SCALAR}),
    "Sign without a digest": Case((Opcode.SIGN, 0xA0, 0, b""), "Message Digest", slots={0: KEY}, content={0: SCALAR}),
    "Sign nothing of its own": Case(
        (Opcode.SIGN, 0, 0, b""), "GenDig or GenKey", (FIXED,), slots={0: KEY}, content={0: SCALAR}
    ),
    "Sign with a public key": Case((Opcode.SIGN, 0x80, 9, b""), "Private", (FIXED,), slots={9: (0x0F8F, PUBLIC)}),
    # Verify
    "Verify without a message": verify(2, 4, 128, "TempKey"),
    "Verify without a digest": verify(0x22, 4, 128, "Message Digest"),
    "Verify off the curve": verify(2, 4, 128, "no point", before=(FIXED,)),
    "Verify with no stored key": verify(0, 9, 64, "no point", before=(FIXED,), slots={9: (0x0F0F, PUBLIC)}),
    "Verify with a stored private key": verify(0, 0, 64, "Private", before=(FIXED,), slots={0: KEY}),
    "Verify with a small slot": verify(0, 5, 64, "too small", before=(FIXED,), slots={5: (0x0F0F, PUBLIC)}),
    "Verify with another type": verify(0, 9, 64, "KeyType", before=(FIXED,), slots={9: (0x0F0F, DATA)}),
    "Verify ReqRandom": verify(
        0, 9, 64, "ReqRandom", before=(FIXED,), slots={9: (0x0F0F, 0x0070)}, content={9: STORED}
    ),
    "Verify not validated": verify(0, 14, 64, "PubInfo", before=(FIXED,), slots=VALIDATED, content={14: STORED}),
    "validate external": verify(1, 14, 128, "X509format", status=3),
    "validate external with a format": verify(1, 14, 128, "X509format", config_bytes={92: b"\x11"}),
    "validate what needs none": verify(3, 13, 83, "PubInfo", slots=VALIDATED),
    "validate without the digest": verify(3, 14, 83, "GenKey's digest", before=(FIXED,), slots=VALIDATED),
    "validate a locked slot": verify(3, 14, 83, "SlotLocked", slots=VALIDATED, config_bytes={89: b"\xbf"}),
    "invalidate by a validating message": verify(
        7, 14, 83, "other direction", before=HASH_SLOT_14, slots=VALIDATED, content={14: STORED}
    ),
    "validate without a parent": verify(
        3, 14, 83, "no point", before=HASH_SLOT_14, slots=VALIDATED, content={14: STORED}
    ),
    "Verify MAC without the key": Case((Opcode.VERIFY, 0xA2, 4, bytes(64) + GENERATOR), "ChipOptions bit 1", (DIGEST,)),
    "Verify MAC without a system nonce": Case(
        (Opcode.VERIFY, 0xA2, 4, bytes(64) + GENERATOR), "system nonce", (DIGEST,), config_bytes=ON
    ),
}


def prepared(case: Case, switches: Switches | None = None) -> Chip:
    chip = awake_chip(
        configured_memory(
            slots=case.slots,
            content=case.content,
            config_bytes=case.config_bytes,
            config_locked=case.config_locked,
            data_locked=case.data_locked,
        ),
        switches=switches,
    )
    for request in case.before:
        send(chip, *request)
        assert chip.last_refusal is None, str(chip.last_refusal)
    return chip


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_for_the_right_reason(name: str) -> None:
    case = CASES[name]
    chip = prepared(case)
    before = chip.memory.image()
    reply = send(chip, *case.request)
    assert reply.body == bytes((case.status,)), reply.reason
    assert case.says in reply.reason
    assert chip.memory.image() == before


def test_a_wrong_signature_is_a_mismatch_and_spends_the_message() -> None:
    chip = prepared(Case((0, 0, 0, b""), "", (FIXED,)))
    assert send(chip, Opcode.VERIFY, 2, 4, bytes(64) + GENERATOR).status == 1
    assert send(chip, Opcode.VERIFY, 2, 4, bytes(64) + GENERATOR).status == 0x0F


class TestSwitches:
    """Each open point that changes an answer can be set the other way, and is noticed by a strict chip."""

    POINTS: Final[dict[str, tuple[Case, Any, int]]] = {
        "bad_block_code": (Case((Opcode.READ, 0x80, 0x20, b""), ""), 3, 3),
        "key_type_code": (CASES["AES key of another type"], 3, 3),
        "aes_disabled_code": (CASES["AES switched off"], 3, 3),
        "sha_order_code": (CASES["SHA update without start"], 3, 3),
        "offcurve_ecdh": (CASES["ECDH off the curve"], 5, 5),
        "io_protection_off_code": (CASES["ECDH encrypted without the key"], 3, 3),
        "privwrite_range_code": (CASES["PrivWrite of no key"], 0x0F, 0x0F),
        "validate_external_code": (CASES["validate external"], 0x0F, 0x0F),
        "gendig_before_lock": (CASES["GenDig before the configuration lock"], True, 0),
        "slot_lock_before_data": (Case((Opcode.LOCK, 2, 0, b""), "", data_locked=False), False, 0x0F),
        "nonce_before_lock": (Case(RANDOM, "", config_locked=False, data_locked=False), False, 0x0F),
        "kdf_needs_pub_info": (CASES["KDF into a slot without PubInfo"], False, 0),
        "data_open_result_in_slot": (
            Case((Opcode.DERIVE_KEY, 0, 9, b""), "", (RANDOM,), {9: (0x2F8F, DATA)}, data_locked=False),
            True,
            0,
        ),
        "lock_reserved_bytes": (
            Case((Opcode.LOCK, 0x80, 0, b""), "", config_bytes={80: b"\x01"}, config_locked=False, data_locked=False),
            "refuse",
            0x0F,
        ),
        "partial_block_read": (
            Case((Opcode.READ, 0x82, 9 << 3 | 2 << 8, b""), "", slots={9: (0, DATA)}),
            "none",
            0x0F,
        ),
        "req_random_needs_temp_key": (
            Case((Opcode.CHECK_MAC, 0, 4, bytes(77)), "", slots={4: (0x0F8F, 0x007C)}),
            False,
            1,
        ),
        "data_open_use": (
            Case((Opcode.SIGN, 0x80, 0, b""), "", (FIXED,), {0: KEY}, {0: SCALAR}, data_locked=False),
            False,
            0x0F,
        ),
        "use_lock": (
            Case((Opcode.SIGN, 0x80, 0, b""), "", (FIXED,), {0: KEY}, {0: SCALAR}, {68: b"\x0a"}),
            "refuse",
            0x0F,
        ),
        "secure_boot_table": (boot(5, b"\x01\xbc", says="", content={11: STORED}), "refuse", 0x0F),
        "limited_use_commands": (
            Case((Opcode.CHECK_MAC, 0, 4, bytes(77)), "", slots={4: (0x0FAF, DATA)}, config_bytes={18: b"\xa1"}),
            frozenset(),
            1,
        ),
        "count_match_copies": (
            Case(
                (Opcode.SIGN, 0x80, 0, b""),
                "",
                (FIXED,),
                slots={0: (0x20AF, PRIVATE)},
                content={0: SCALAR, 10: b"\x20" + bytes(7)},
                config_bytes={18: b"\xa1"},
            ),
            "both",
            0x0F,
        ),
        "latch_clear_needs_authorization": (
            Case((Opcode.INFO, 4, 2, b""), "", config_bytes={69: b"\x84"}),
            True,
            0x0F,
        ),
    }

    @pytest.mark.parametrize("name", POINTS)
    def test_it_can_be_set_the_other_way(self, name: str) -> None:
        case, value, status = self.POINTS[name]
        chip = prepared(case, Switches(**{name: value}))
        assert send(chip, *case.request).status == status

    @pytest.mark.parametrize("name", POINTS)
    def test_a_strict_chip_fails_loudly(self, name: str) -> None:
        case, _, _ = self.POINTS[name]
        chip = prepared(case)
        chip.core.switches = StrictSwitches()
        with pytest.raises(OpenPointError) as caught:
            send(chip, *case.request)
        assert caught.value.switch == name

    def test_private_slots_in_the_crc_of_the_data_lock(self) -> None:
        for whole in (False, True):
            chip = prepared(Case((0, 0, 0, b""), "", data_locked=False), Switches(data_crc_private=whole))
            content = bytes(chip.memory.data)[0 if whole else 3 * 36 :] + bytes(chip.memory.otp)
            assert send(chip, Opcode.LOCK, 1, crc16(content) ^ 1).status == 0x0F
            assert send(chip, Opcode.LOCK, 1, crc16(content)).status == 0
        strict = prepared(Case((0, 0, 0, b""), "", data_locked=False))
        strict.core.switches = StrictSwitches()
        with pytest.raises(OpenPointError):
            send(strict, Opcode.LOCK, 1, 0)

    @pytest.mark.parametrize(
        ("read_keys", "choice", "copied"),
        [
            ((15, 0), "partner", b"5"),
            ((0, 15), "partner", b"4"),
            ((0, 0), "partner", b"5"),
            ((0, 0), "self", b"4"),
            ((15, 0), "self", None),
            ((15, 15), "partner", None),
        ],
    )
    def test_what_check_mac_copies(self, read_keys: tuple[int, int], choice: Any, copied: bytes | None) -> None:
        slots = {4 + n: (0x0F80 | read_key, DATA) for n, read_key in enumerate(read_keys)}
        case = Case((0, 0, 0, b""), "", (RANDOM,), slots=slots, content={4: b"4" * 32, 5: b"5" * 32})
        chip = prepared(case, Switches(checkmac_copy=choice))
        assert check_mac_of_temp_key(chip, b"4" * 32) == 0
        assert chip.core.temp_key.valid is (copied is not None)
        if copied is not None:
            assert chip.core.temp_key.key == copied * 32

    def test_check_mac_may_leave_temp_key_and_authorization(self) -> None:
        for drops in (True, False):
            case = Case((0, 0, 0, b""), "", (RANDOM,), slots={5: SECRET}, content={5: b"5" * 32})
            switches = Switches(checkmac_consumes=drops, checkmac_failure_clears=drops)
            chip = prepared(case, switches)
            assert check_mac_of_temp_key(chip, b"5" * 32) == 0
            assert chip.core.temp_key.valid is not drops
            send(chip, *RANDOM)
            assert check_mac_of_temp_key(chip, b"6" * 32) == 1
            assert chip.core.volatile.authorized == (None if drops else 5)

    def test_byte_1_of_info_state_may_be_zero(self) -> None:
        case = Case((Opcode.INFO, 2, 0, b""), "", (FIXED,))
        assert send(prepared(case, Switches(info_state_layout="zero")), *case.request).body == b"\x10\0\0\0"

    def test_the_watchdog_may_cut_a_command(self) -> None:
        case = Case((Opcode.GEN_KEY, 4, 0, b""), "", slots={0: KEY})
        chip = prepared(case, Switches(watchdog_margin="none"))
        assert isinstance(chip.clock, VirtualClock)
        chip.clock.advance(1.25)
        assert chip.exchange(packet(*case.request)) == b""
        assert chip.power is Power.ASLEEP

    def test_where_the_key_valid_bit_stands(self) -> None:
        for place in (0, 3):
            case = Case((Opcode.INFO, 1, 0, b""), "", slots={0: KEY}, content={0: SCALAR})
            chip = prepared(case, Switches(keyvalid_byte=place))
            assert send(chip, *case.request).body[place] == 1

    def test_hkdf_with_an_expand_step(self) -> None:
        answers = []
        for extract in (True, False):
            case = kdf(0x50, 0, 4 << 24 | 2, b"info", says="", before=(FIXED,))
            answers.append(send(prepared(case, Switches(hkdf_is_extract=extract)), *case.request).body)
        assert len(set(answers)) == 2

    def test_the_partner_of_an_odd_slot(self) -> None:
        """The slot itself, which is private and refuses, or the next one; behind slot 15 there is none."""
        slots = {1: KEY, 2: SECRET, 15: KEY}
        case = Case((Opcode.ECDH, 4, 1, GENERATOR), "", slots=slots, content={1: SCALAR, 15: SCALAR})
        assert send(prepared(case), *case.request).status == 0x0F
        chip = prepared(case, Switches(ecdh_odd_partner="next"))
        assert send(chip, *case.request).status == 0
        assert chip.memory.read_slot(2, 0, 32) == ecc.shared_secret(SCALAR[4:], GENERATOR)
        assert "behind the last" in send(chip, Opcode.ECDH, 4, 15, GENERATOR).reason

    def test_a_session_key_may_outlive_the_write(self) -> None:
        for consumes in (True, False):
            chip = prepared(
                Case((0, 0, 0, b""), "", slots={8: (0x44C4, DATA), 4: SECRET}),
                Switches(encrypted_write_consumes=consumes),
            )
            send(chip, *RANDOM)
            send(chip, Opcode.GEN_DIG, 2, 4)
            key, sn = chip.core.temp_key.key, chip.memory.serial
            mac = sha256(key + b"\x12\xc2\x40\x00" + sn[8:] + sn[:2] + bytes(25) + bytes(32)).digest()
            assert send(chip, Opcode.WRITE, 0xC2, 0x40, xor(bytes(32), key) + mac).status == 0
            assert chip.core.temp_key.valid is not consumes


def check_mac_of_temp_key(chip: Chip, key: bytes) -> int:
    """Show the chip's first slot from 4 on that is configured as a secret the MAC of TempKey under `key`."""
    slot = 5 if key in (b"5" * 32, b"6" * 32) else 4
    sn = chip.memory.serial
    message = key + chip.core.temp_key.key + bytes(15) + sn[8:] + bytes(4) + sn[:2] + bytes(2)
    return send(chip, Opcode.CHECK_MAC, 1, slot, bytes(32) + sha256(message).digest() + bytes(13)).status


class TestMoreAnswers:
    """Modes that the library's functions do not reach."""

    def test_sha_takes_in_a_stored_public_key(self) -> None:
        for pad, content in ((False, GENERATOR), (True, STORED)):
            case = Case((0, 0, 0, b""), "", slots={9: (0x0F0F, PUBLIC)}, content={9: STORED})
            chip = prepared(case, Switches(sha_public_pad=pad))
            send(chip, Opcode.SHA, 0)
            assert send(chip, Opcode.SHA, 3, 9).status == 0
            assert send(chip, Opcode.SHA, 2).body == sha256(content).digest()
            assert chip.core.temp_key.key == sha256(content).digest()

    def test_info_shows_the_state(self) -> None:
        chip = prepared(Case((0, 0, 0, b""), "", (FIXED,)))
        assert send(chip, Opcode.INFO, 2).body == bytes((0x10, 0x01, 0, 0))
        send(chip, *RANDOM)
        chip.core.volatile.authorized = 5
        assert send(chip, Opcode.INFO, 2).body == bytes((0x00, 0x01 | 5 << 1 | 0x20 | 0x40, 0, 0))

    def test_key_valid_of_other_slots(self) -> None:
        slots = {5: SECRET, 9: (0x0F0F, PUBLIC), 10: (0x0F0F, PUBLIC), 14: (0x0F0F, 0x0032)}
        chip = prepared(Case((0, 0, 0, b""), "", slots=slots, content={9: STORED, 14: b"\x50" + STORED[1:]}))
        answers = {slot: send(chip, Opcode.INFO, 1, slot).body[0] for slot in slots}
        assert answers == {5: 0, 9: 1, 10: 0, 14: 1}

    def test_a_nonce_on_top_of_temp_key_keeps_its_source(self) -> None:
        for first, source in ((FIXED, True), (RANDOM, False)):
            chip = prepared(Case((0, 0, 0, b""), "", (first,)))
            old = chip.core.temp_key.key
            answer = send(chip, Opcode.NONCE, 1, 0x8000, bytes(20)).body
            assert answer == chip.core.temp_key.key == sha256(old + bytes(20) + b"\x16\x01\x00").digest()
            assert chip.core.temp_key.from_input is source

    def test_hkdf_messages_from_inside(self) -> None:
        slots = {4: SECRET, 5: SECRET}
        chip = prepared(Case((0, 0, 0, b""), "", (FIXED,), slots=slots, content={4: b"k" * 32, 5: b"m" * 32}))

        def hkdf(word: int) -> bytes:
            return send(chip, Opcode.KDF, 0x52, 4, word.to_bytes(4, "little")).body

        assert hkdf(5 << 8) == hmac.digest(b"k" * 32, b"m" * 32, "sha256")
        assert hkdf(5 << 8 | 4) == hmac.digest(bytes(32), b"m" * 32, "sha256")
        assert hkdf(1) == hmac.digest(b"k" * 32, chip.core.temp_key.key, "sha256")

    def test_secure_boot_with_stored_signatures_and_the_latch(self) -> None:
        key, xy = host_key()
        stored = bytes(4) + xy[:32] + bytes(4) + xy[32:]
        digest = bytes(range(32))
        chip = prepared(Case((0, 0, 0, b""), "", slots=BOOT, content={11: stored}, config_bytes={70: b"\x0a\xbc"}))
        signature = host_sign(key, digest)
        assert send(chip, Opcode.SECURE_BOOT, 6, 0, digest).status == 1
        assert not chip.core.powered.latch
        assert send(chip, Opcode.SECURE_BOOT, 7, 0, digest + signature).status == 0
        assert chip.core.powered.latch
        assert chip.memory.read_slot(12, 0, 64) == signature
        assert send(chip, Opcode.SECURE_BOOT, 6, 0, digest).status == 0
        assert send(chip, Opcode.SECURE_BOOT, 6, 0, bytes(32)).status == 1

    def test_authorization_opens_a_key_until_sleep_or_a_failed_proof(self) -> None:
        slots = {0: (0x208F, 0x05B3), 5: SECRET}
        chip = prepared(Case((0, 0, 0, b""), "", slots=slots, content={0: SCALAR, 5: b"p" * 32}))
        sn = chip.memory.serial

        def prove(password: bytes) -> int:
            message = password + bytes(32) + bytes(15) + sn[8:] + bytes(4) + sn[:2] + bytes(2)
            return send(chip, Opcode.CHECK_MAC, 0, 5, bytes(32) + sha256(message).digest() + bytes(13)).status

        def signs() -> bool:
            send(chip, *DIGEST)
            return len(send(chip, Opcode.SIGN, 0xA0, 0).body) == 64

        assert not signs()
        assert prove(b"p" * 32) == 0
        assert signs()
        chip.idle()
        assert signs()
        assert prove(b"q" * 32) == 1
        assert not signs()
        assert prove(b"p" * 32) == 0
        chip.sleep()
        assert not signs()

    def test_check_mac_under_temp_key_authorizes_nothing(self) -> None:
        chip = prepared(Case((0, 0, 0, b""), "", (FIXED,), slots={5: SECRET}))
        sn = chip.memory.serial
        message = FIXED[3] + bytes(32) + bytes(15) + sn[8:] + bytes(4) + sn[:2] + bytes(2)
        reply = send(chip, Opcode.CHECK_MAC, 6, 5, bytes(32) + sha256(message).digest() + bytes(13))
        assert reply.status == 0, reply.reason
        assert chip.core.volatile.authorized is None

    def test_the_answer_to_a_refusal_is_four_bytes(self) -> None:
        chip = prepared(CASES["Sign without a message"])
        assert reply_body(chip.exchange(packet(Opcode.SIGN, 0x80, 0))) == b"\x0f"
