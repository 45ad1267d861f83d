"""Each refusal, its status on the wire, and the rule, slot or bit that it names inside."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.open_points import OpenPoints
from tests.support.chips import awake_chip, configured_memory, send

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
    "AES disabled": Case((Opcode.AES, 0, 0xFFFF, bytes(16)), "AES_Enable", config_bytes={13: b"\x00"}),
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
    "ECDH off the curve": Case(
        (Opcode.ECDH, 0x0C, 0, OFF_CURVE), "not a point on the curve", slots={0: KEY}, content={0: SCALAR}
    ),
    "ECDH without TempKey": ecdh(0x0D, 0xFFFF, says="TempKey holds no private key"),
    "ECDH from TempKey into no slot": ecdh(
        0x05, 0xFFFF, says="needs a slot number", before=((Opcode.GEN_KEY, 4, 0xFFFF, b""),)
    ),
    "ECDH clear output forbidden": ecdh(0x0C, says="ChipOptions bits 9-8", config_bytes={90: b"\x02\x41"}),
    "ECDH output forbidden": ecdh(0x0E, says="must stay inside", config_bytes={90: b"\x02\x42"}),
    "ECDH disabled": ecdh(0x08, says="the command is disabled", config_bytes={90: b"\x02\x43"}),
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
    "KDF message length": kdf(0x10, 0, 16 << 24, bytes(15), says="length in the details", status=3),
    "KDF without TempKey": kdf(0x10, 0, 0, says="TempKey"),
    "KDF upper half of a short TempKey": kdf(0x11, 0, 0, says="upper half", before=(FIXED,)),
    "KDF without Alternate Key": kdf(0x13, 0, 0, says="Alternate Key Buffer"),
    "KDF longer key than the source": kdf(0x10, 0, 2, says="shorter", before=(FIXED,)),
    "KDF AES disabled": kdf(0x30, 0, 0, bytes(16), says="ChipOptions bit 2", before=(FIXED,)),
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
        "the bytes are not a private key",
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
        (Opcode.WRITE, 0xC0, 8, bytes(64)), "takes clear writes only", config_locked=False, data_locked=False
    ),
    "encrypted write of OTP": Case((Opcode.WRITE, 0xC1, 0, bytes(64)), "TempKey is not valid", data_locked=False),
    # SecureBoot
    "SecureBoot mode": boot(4, b"\x03\xbc", says="no mode 4", status=3),
    "SecureBoot off": boot(5, b"\x00\xbc", says="secure boot is off"),
    "SecureBoot FullBoth": boot(6, b"\x01\xbc", says="signatures only"),
    "SecureBoot nonce": boot(5, b"\x13\xbc", says="SecureBoot bit 4", before=(FIXED,)),
    "SecureBoot MAC without TempKey": boot(0x85, b"\x03\xbc", says="TempKey is not valid", config_bytes=ON),
    "SecureBoot MAC without the key": boot(0x85, b"\x03\xbc", says="ChipOptions bit 1", before=(FIXED,)),
    "SecureBoot no public key": boot(5, b"\x03\xbc", says="not a point on the curve"),
    "SecureBoot signature slot too small": boot(6, b"\x02\xb4", says="too small for a signature"),
    "SecureBoot copy into a locked slot": boot(7, b"\x03\xbc", says="SlotLocked", config_bytes={89: b"\xef"}),
    # SHA
    "SHA update without start": Case((Opcode.SHA, 1, 0, b""), "no SHA was started"),
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
    "Verify off the curve": verify(2, 4, 128, "not a point on the curve", before=(FIXED,)),
    "Verify with no stored key": verify(
        0, 9, 64, "not a point on the curve", before=(FIXED,), slots={9: (0x0F0F, PUBLIC)}
    ),
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
    "validate against a format": verify(3, 14, 83, "X509format", slots=VALIDATED, config_bytes={92: b"\x11"}),
    "invalidate by a validating message": verify(
        7, 14, 83, "other direction", before=HASH_SLOT_14, slots=VALIDATED, content={14: STORED}
    ),
    "validate without a parent": verify(
        3, 14, 83, "not a point on the curve", before=HASH_SLOT_14, slots=VALIDATED, content={14: STORED}
    ),
    "Verify MAC without the key": Case((Opcode.VERIFY, 0xA2, 4, bytes(64) + GENERATOR), "ChipOptions bit 1", (DIGEST,)),
    "Verify MAC without a system nonce": Case(
        (Opcode.VERIFY, 0xA2, 4, bytes(64) + GENERATOR), "system nonce", (DIGEST,), config_bytes=ON
    ),
}


def prepared(case: Case, open_points: OpenPoints | None = None) -> Chip:
    chip = awake_chip(
        configured_memory(
            slots=case.slots,
            content=case.content,
            config_bytes=case.config_bytes,
            config_locked=case.config_locked,
            data_locked=case.data_locked,
        ),
        open_points=open_points,
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
