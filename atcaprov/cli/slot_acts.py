"""What a slot may be good for, and how to try it on a twin."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from atcaprov.chip.commands import GEN_KEY_CREATE, LOCK_SLOT, P1_32_BYTES, P1_ENCRYPTED, Opcode, Zone
from atcaprov.chip.memory_map import WORD_SIZE
from atcaprov.cli.twin import PATTERN, Twin
from atcaprov.emulator.slot import Slot

_SIGN_INTERNAL: Final = 0x00
_ECDH_OUTPUT: Final = 0x0C
_PRIV_WRITE_ENCRYPTED: Final = 0x40
_PARENT_IS_WRITE_KEY: Final = 0x1
_DERIVE_NEEDS_MAC: Final = 0x8


def _reads(twin: Twin, slot: Slot) -> bool:
    return bool(twin.read(slot.number, WORD_SIZE))


def _reads_encrypted(twin: Twin, slot: Slot) -> bool:
    block = slot.number << 3
    mode = Zone.DATA | P1_32_BYTES
    return slot.encrypt_read and twin.load_key(slot.read_key) and twin.does(Opcode.READ, mode, block)


def _writes(twin: Twin, slot: Slot) -> bool:
    return twin.does(Opcode.WRITE, Zone.DATA | P1_32_BYTES, slot.number << 3, PATTERN)


def _writes_encrypted(twin: Twin, slot: Slot) -> bool:
    if slot.private or not twin.load_key(slot.write_key):
        return False
    mode = Zone.DATA | P1_32_BYTES | P1_ENCRYPTED
    header = bytes((Opcode.WRITE, mode, slot.number << 3, 0))
    cipher = _xor(PATTERN, twin.chip.core.temp_key.key)
    return twin.does(Opcode.WRITE, mode, slot.number << 3, cipher + twin.mac(header, 25, PATTERN))


def _makes_key(twin: Twin, slot: Slot) -> bool:
    return twin.does(Opcode.GEN_KEY, GEN_KEY_CREATE, slot.number)


def _takes_key(twin: Twin, slot: Slot) -> bool:
    if not slot.private or not twin.load_key(slot.write_key):
        return False
    plain = bytes(4) + PATTERN
    key = twin.chip.core.temp_key.key
    header = bytes((Opcode.PRIV_WRITE, _PRIV_WRITE_ENCRYPTED, slot.number, 0))
    cipher = _xor(plain, key + sha256(key).digest()[:4])
    return twin.does(Opcode.PRIV_WRITE, _PRIV_WRITE_ENCRYPTED, slot.number, cipher + twin.mac(header, 21, plain))


def _derives(twin: Twin, slot: Slot) -> bool:
    if not twin.load_nonce():
        return False
    parent = slot.write_key if slot.write_config & _PARENT_IS_WRITE_KEY else slot.number
    serial = twin.chip.memory.serial
    header = bytes((Opcode.DERIVE_KEY, 0, slot.number, 0))
    mac = sha256(twin.slot(parent).read(0, 32) + header + serial[8:] + serial[:2]).digest()
    return twin.does(Opcode.DERIVE_KEY, 0, slot.number, mac if slot.write_config & _DERIVE_NEEDS_MAC else b"")


def _signs_internal(twin: Twin, slot: Slot) -> bool:
    twin.chip.wake()
    temp_key = twin.chip.core.temp_key
    temp_key.load(PATTERN, from_input=False)
    temp_key.gen_dig = True
    return twin.does(Opcode.SIGN, _SIGN_INTERNAL, slot.number)


def _agrees(twin: Twin, slot: Slot) -> bool:
    point = ec.derive_private_key(2, ec.SECP256R1()).public_key().public_numbers()
    peer = point.x.to_bytes(32) + point.y.to_bytes(32)
    return twin.does(Opcode.ECDH, _ECDH_OUTPUT, slot.number, peer) or twin.does(Opcode.ECDH, 0, slot.number, peer)


ACTS: Final[dict[str, Callable[[Twin, Slot], bool]]] = {
    "read in clear": _reads,
    "read encrypted": _reads_encrypted,
    "written in clear": _writes,
    "written encrypted": _writes_encrypted,
    "given a new key by GenKey": _makes_key,
    "given a key by PrivWrite": _takes_key,
    "replaced by DeriveKey": _derives,
    "used to sign a loaded digest": lambda twin, slot: twin.sign(slot.number),
    "used to sign inside": _signs_internal,
    "used for ECDH": _agrees,
    "used as a key by GenDig": lambda twin, slot: twin.load_key(slot.number),
    "locked one by one": lambda twin, slot: twin.does(Opcode.LOCK, LOCK_SLOT | slot.number << 2),
}
"""Acts by the words that follow "can be"; each is tried on a fork."""

CHANGES: Final = frozenset(
    {
        "written in clear",
        "written encrypted",
        "given a new key by GenKey",
        "given a key by PrivWrite",
        "replaced by DeriveKey",
    }
)
"""The acts that change a slot's content."""


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(left ^ right for left, right in zip(one, other, strict=True))
