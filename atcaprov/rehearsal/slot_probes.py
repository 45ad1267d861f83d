"""What a slot may be used for, and the commands that try it on a trial chip."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from atcaprov.chip.commands import GEN_KEY_CREATE, GEN_KEY_PUBLIC, LOCK_SLOT, P1_32_BYTES, P1_ENCRYPTED, Opcode, Zone
from atcaprov.chip.memory_map import CHIP_OPTIONS, SLOT_COUNT, WORD_SIZE
from atcaprov.chip.modes import (
    AES_ENCRYPT,
    ECDH_BY_READ_KEY,
    ECDH_ENCRYPTED,
    ECDH_TO_BUS,
    ECDH_TO_SLOT,
    ECDH_TO_TEMP_KEY,
    GEN_KEY_DIGEST,
    GEN_KEY_STORED_DIGEST,
    KDF_FROM_SLOT,
    KDF_HKDF,
    KDF_LENGTH_SHIFT,
    KDF_MESSAGE_FROM_INPUT,
    KDF_RESULT_SLOT_SHIFT,
    KDF_TO_BUS,
    KDF_TO_BUS_ENCRYPTED,
    KDF_TO_SLOT,
    KDF_TO_TEMP_KEY,
    LOCK_SLOT_SHIFT,
    MAC_CHALLENGE_IN_TEMP_KEY,
    MAC_SOURCE_IS_INPUT,
    PRIV_WRITE_ENCRYPTED,
    SHA_HMAC_START,
    SIGN_EXTERNAL,
    SIGN_INTERNAL,
    SLOT_SHIFT,
)
from atcaprov.emulator.command import xor
from atcaprov.emulator.slot import MemorySlot
from atcaprov.rehearsal.needs import NeedKind
from atcaprov.rehearsal.probe_run import ProbeRun
from atcaprov.rehearsal.trial_chip import PATTERN

Probe = Callable[[ProbeRun, MemorySlot], bool]
"""One way to make a use of a slot; it returns whether the chip did it."""

_BLOCK: Final = Zone.DATA | P1_32_BYTES
_ALLOW_INTERNAL: Final = 0x02
_RESULT_IN_SLOT: Final = 0x08
"""Bits of ReadKey of a private key: it signs inside; the result of ECDH goes into the next slot."""
_PARENT_IS_WRITE_KEY: Final = 0x1
_DERIVE_NEEDS_MAC: Final = 0x8
"""Bits of WriteConfig, for DeriveKey."""
_WRITE_WHILE_INVALID: Final = 0x1
"""WriteConfig of a public key that is written only while it is not validated."""
_WRITE_PADDING: Final = 25
_PRIV_WRITE_PADDING: Final = 21
"""Zeros in the MAC of an encrypted write, which fill its message up to 96 bytes."""
_IO_KEY_SLOT_SHIFT: Final = 12
"""ChipOptions: the slot of the IO protection key in bits 15-12."""
_ECDH_TO_BUS_ENCRYPTED: Final = ECDH_TO_BUS | ECDH_ENCRYPTED
_ECDH_RESULTS: Final = {
    _ECDH_TO_BUS_ENCRYPTED: NeedKind.IO_KEY,
    ECDH_TO_TEMP_KEY: NeedKind.IN_TEMP_KEY,
    ECDH_TO_SLOT: NeedKind.IN_SLOT,
}
_KDF_RESULTS: Final = {KDF_TO_BUS_ENCRYPTED: NeedKind.IO_KEY, KDF_TO_TEMP_KEY: NeedKind.IN_TEMP_KEY}
_HKDF_OF_INPUT: Final = (len(PATTERN) << KDF_LENGTH_SHIFT | KDF_MESSAGE_FROM_INPUT).to_bytes(4, "little") + PATTERN


def _reads(run: ProbeRun, slot: MemorySlot) -> bool:
    return bool(run.trial.read(slot.number, WORD_SIZE))


def _reads_encrypted(run: ProbeRun, slot: MemorySlot) -> bool:
    if not slot.encrypt_read:
        return False
    run.session_key(slot.read_key, random=True)
    return run.trial.does(Opcode.READ, _BLOCK, slot.number << SLOT_SHIFT)


def _writes(run: ProbeRun, slot: MemorySlot) -> bool:
    refused_when_valid = slot.needs_validation and slot.write_config == _WRITE_WHILE_INVALID
    if refused_when_valid and not run.asks(NeedKind.NOT_VALIDATED, slot.number):
        run.validate(slot)
    return run.trial.does(Opcode.WRITE, _BLOCK, slot.number << SLOT_SHIFT, PATTERN)


def _writes_encrypted(run: ProbeRun, slot: MemorySlot) -> bool:
    if slot.private:
        return False
    run.session_key(slot.write_key)
    mode = _BLOCK | P1_ENCRYPTED
    mac = run.trial.write_mac(bytes((Opcode.WRITE, mode, slot.number << SLOT_SHIFT, 0)), _WRITE_PADDING, PATTERN)
    return run.trial.does(Opcode.WRITE, mode, slot.number << SLOT_SHIFT, xor(PATTERN, run.trial.temp_key) + mac)


def _creates_key(run: ProbeRun, slot: MemorySlot) -> bool:
    run.use(slot)
    return run.trial.does(Opcode.GEN_KEY, GEN_KEY_CREATE, slot.number)


def _takes_key(run: ProbeRun, slot: MemorySlot) -> bool:
    if not slot.private:
        return False
    run.session_key(slot.write_key)
    key, plain = run.trial.temp_key, bytes(4) + PATTERN
    header = bytes((Opcode.PRIV_WRITE, PRIV_WRITE_ENCRYPTED, slot.number, 0))
    mac = run.trial.write_mac(header, _PRIV_WRITE_PADDING, plain)
    # 36 bytes are encrypted with TempKey and, behind its end, with the first bytes of its digest.
    cipher = xor(plain, key + sha256(key).digest()[:4])
    return run.trial.does(Opcode.PRIV_WRITE, PRIV_WRITE_ENCRYPTED, slot.number, cipher + mac)


def _is_replaced_by_derive_key(run: ProbeRun, slot: MemorySlot) -> bool:
    trial = run.trial
    mac_key = trial.slot(slot.write_key)
    parent = mac_key if slot.write_config & _PARENT_IS_WRITE_KEY else slot
    needs_mac = bool(slot.write_config & _DERIVE_NEEDS_MAC)
    run.use(parent, *([mac_key] if needs_mac else []))
    run.nonce(parent)
    p1 = MAC_SOURCE_IS_INPUT if trial.chip.core.temp_key.from_input else 0
    mac = sha256(mac_key.secret() + bytes((Opcode.DERIVE_KEY, p1, slot.number, 0)) + trial.serial).digest()
    shown = needs_mac and run.asks(NeedKind.MAC, slot.write_key)
    return trial.does(Opcode.DERIVE_KEY, p1, slot.number, mac if shown else b"")


def _signs(run: ProbeRun, slot: MemorySlot) -> bool:
    run.use(slot)
    run.nonce()
    return run.trial.does(Opcode.SIGN, SIGN_EXTERNAL, slot.number)


def _signs_over_gen_key(source: int, run: ProbeRun, slot: MemorySlot) -> bool:
    """Sign the digest of a public key, which GenKey has put into TempKey."""
    key = run.trial.slot(source)
    if not slot.private or not slot.read_key & _ALLOW_INTERNAL:
        return False
    run.use(slot)
    run.nonce(key)
    if run.asks(NeedKind.GEN_KEY, source):
        mode, other = (GEN_KEY_DIGEST, b"") if key.private else (GEN_KEY_STORED_DIGEST, bytes(3))
        run.trial.does(Opcode.GEN_KEY, mode, source, other)
    return run.trial.does(Opcode.SIGN, SIGN_INTERNAL, slot.number)


def _signs_over_gen_dig(source: int, run: ProbeRun, slot: MemorySlot) -> bool:
    if not slot.private or not slot.read_key & _ALLOW_INTERNAL:
        return False
    run.use(slot)
    run.session_key(source) or run.nonce()
    return run.trial.does(Opcode.SIGN, SIGN_INTERNAL, slot.number)


def _gives_public_key(run: ProbeRun, slot: MemorySlot) -> bool:
    run.use(slot)
    return run.trial.does(Opcode.GEN_KEY, GEN_KEY_PUBLIC, slot.number)


def _agrees_on_secret(mode: int, run: ProbeRun, slot: MemorySlot) -> bool:
    run.use(slot)
    kind = _ECDH_RESULTS.get(mode)
    if mode == ECDH_BY_READ_KEY and slot.read_key & _RESULT_IN_SLOT:
        kind = NeedKind.IN_SLOT
    if kind is not None and not run.asks(kind, _place(kind, run, slot)):
        mode = ECDH_TO_BUS
    return run.trial.does(Opcode.ECDH, mode, slot.number, _peer())


def _takes_ecdh(source: int, run: ProbeRun, slot: MemorySlot) -> bool:
    """Let ECDH with the key of another slot put its result here: that of slot N goes into N | 1."""
    key = run.trial.slot(source)
    if source | 1 != slot.number or not key.private or not run.asks(NeedKind.ECDH_BY, source):
        return False
    run.use(key)
    mode = ECDH_BY_READ_KEY if key.read_key & _RESULT_IN_SLOT else ECDH_TO_SLOT
    return run.trial.does(Opcode.ECDH, mode, source, _peer())


def _place(kind: NeedKind, run: ProbeRun, slot: MemorySlot) -> int | None:
    """Return the slot of the key that encrypts a result, or the slot that takes it."""
    if kind is NeedKind.IO_KEY:
        return run.trial.chip.memory.word(CHIP_OPTIONS.start) >> _IO_KEY_SLOT_SHIFT
    return slot.number | 1 if kind is NeedKind.IN_SLOT else None


def _peer() -> bytes:
    """Return any public key, 64 bytes."""
    point = ec.derive_private_key(2, ec.SECP256R1()).public_key().public_numbers()
    return point.x.to_bytes(32) + point.y.to_bytes(32)


def _makes_mac(run: ProbeRun, slot: MemorySlot) -> bool:
    """Let the chip make a MAC over a challenge in the packet or, if the key asks for it, over a random nonce."""
    run.use(slot)
    random = slot.req_random and run.asks(NeedKind.RANDOM_NONCE)
    if random:
        run.trial.nonce(random=True)
        return run.trial.does(Opcode.MAC, MAC_CHALLENGE_IN_TEMP_KEY, slot.number)
    return run.trial.does(Opcode.MAC, 0, slot.number, PATTERN)


def _checks_mac(run: ProbeRun, slot: MemorySlot) -> bool:
    run.use(slot)
    random = slot.req_random and run.asks(NeedKind.RANDOM_NONCE)
    if random:
        run.trial.nonce(random=True)
    return run.check_mac(slot, in_temp_key=random)


def _verifies(run: ProbeRun, slot: MemorySlot) -> bool:
    if slot.private or not slot.holds_public_key:
        return False
    run.validate(slot)
    run.use(slot)
    run.nonce(slot)
    return run.verify(slot)


def _makes_hmac(run: ProbeRun, slot: MemorySlot) -> bool:
    run.use(slot)
    return run.trial.does(Opcode.SHA, SHA_HMAC_START, slot.number)


def _encrypts(run: ProbeRun, slot: MemorySlot) -> bool:
    run.use(slot)
    return run.trial.does(Opcode.AES, AES_ENCRYPT, slot.number, PATTERN[:16])


def _derives_by_kdf(target: int, run: ProbeRun, slot: MemorySlot) -> bool:
    run.use(slot)
    kind = _KDF_RESULTS.get(target)
    if kind is not None and not run.asks(kind, _place(kind, run, slot)):
        target = KDF_TO_BUS
    return run.trial.does(Opcode.KDF, KDF_HKDF | KDF_FROM_SLOT | target, slot.number, _HKDF_OF_INPUT)


def _takes_kdf(run: ProbeRun, slot: MemorySlot) -> bool:
    run.nonce()
    return run.trial.does(Opcode.KDF, KDF_HKDF | KDF_TO_SLOT, slot.number << KDF_RESULT_SLOT_SHIFT, _HKDF_OF_INPUT)


def _every(
    probe: Callable[[int, ProbeRun, MemorySlot], bool], numbers: Iterable[int] = range(SLOT_COUNT)
) -> tuple[Probe, ...]:
    return tuple(partial(probe, number) for number in numbers)


PROBES: Final[dict[str, tuple[Probe, ...]]] = {
    "read in clear": (_reads,),
    "read encrypted": (_reads_encrypted,),
    "written in clear": (_writes,),
    "written encrypted": (_writes_encrypted,),
    "given a new key by GenKey": (_creates_key,),
    "given a key by PrivWrite": (_takes_key,),
    "replaced by DeriveKey": (_is_replaced_by_derive_key,),
    "given a result of ECDH": _every(_takes_ecdh),
    "given a result of KDF": (_takes_kdf,),
    "validated by its parent": (ProbeRun.validates,),
    "asked for its public key": (_gives_public_key,),
    "used to sign a loaded digest": (_signs,),
    "used to sign inside": (*_every(_signs_over_gen_key), *_every(_signs_over_gen_dig)),
    "used for ECDH": _every(
        _agrees_on_secret, (ECDH_TO_BUS, _ECDH_TO_BUS_ENCRYPTED, ECDH_TO_TEMP_KEY, ECDH_TO_SLOT, ECDH_BY_READ_KEY)
    ),
    "used to verify signatures": (_verifies,),
    "used as a key by GenDig": (ProbeRun.gen_dig,),
    "used for MAC": (_makes_mac,),
    "used for HMAC": (_makes_hmac,),
    "used by CheckMac": (_checks_mac,),
    "used for AES": (_encrypts,),
    "used for KDF": _every(_derives_by_kdf, (KDF_TO_BUS, KDF_TO_BUS_ENCRYPTED, KDF_TO_TEMP_KEY)),
    "locked one by one": (lambda run, slot: run.trial.does(Opcode.LOCK, LOCK_SLOT | slot.number << LOCK_SLOT_SHIFT),),
}
"""Uses by the words that follow "can be"; each with its probes, the plainest first. Each probe runs on a fork."""

CHANGING_USES: Final = frozenset(
    {
        "written in clear",
        "written encrypted",
        "given a new key by GenKey",
        "given a key by PrivWrite",
        "replaced by DeriveKey",
        "given a result of ECDH",
        "given a result of KDF",
        "validated by its parent",
    }
)
"""The uses that change a slot's content."""
