"""What a slot may be good for, and how to try it on a trial."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from atcaprov.chip.commands import GEN_KEY_CREATE, GEN_KEY_PUBLIC, LOCK_SLOT, P1_32_BYTES, P1_ENCRYPTED, Opcode, Zone
from atcaprov.chip.memory_map import CHIP_OPTIONS, SLOT_COUNT, WORD_SIZE
from atcaprov.emulator.command import xor
from atcaprov.emulator.slot import MemorySlot
from atcaprov.rehearsal.needs import NeedKind
from atcaprov.rehearsal.probe_run import CHALLENGE_IN_TEMP_KEY, GEN_KEY_STORED_DIGEST, ProbeRun
from atcaprov.rehearsal.trial_chip import PATTERN

Probe = Callable[[ProbeRun, MemorySlot], bool]
"""One way of an use; it returns whether the chip did it."""

_BLOCK: Final = Zone.DATA | P1_32_BYTES
SIGN_EXTERNAL: Final = 0x80
_SIGN_INTERNAL: Final = 0x00
_ALLOW_INTERNAL: Final = 0x02
_GEN_KEY_DIGEST: Final = 0x08
_PRIV_WRITE_ENCRYPTED: Final = 0x40
_PARENT_IS_WRITE_KEY: Final = 0x1
_DERIVE_NEEDS_MAC: Final = 0x8
_WRITE_WHILE_INVALID: Final = 0x1
_HMAC_START: Final = 0x04
_RESULT_IN_SLOT: Final = 0x08
_ECDH_BY_READ_KEY, _ECDH_TO_SLOT, _ECDH_TO_TEMP_KEY, _ECDH_TO_BUS, _ECDH_ENCRYPTED = 0x00, 0x04, 0x08, 0x0C, 0x0E
_HKDF, _KDF_SLOT, _KDF_TO_SLOT, _KDF_TO_TEMP_KEY, _KDF_TO_BUS, _KDF_ENCRYPTED = 0x40, 0x02, 0x08, 0x00, 0x10, 0x14
_ECDH_RESULTS: Final = {
    _ECDH_ENCRYPTED: NeedKind.IO_KEY,
    _ECDH_TO_TEMP_KEY: NeedKind.IN_TEMP_KEY,
    _ECDH_TO_SLOT: NeedKind.IN_SLOT,
}
_KDF_RESULTS: Final = {_KDF_ENCRYPTED: NeedKind.IO_KEY, _KDF_TO_TEMP_KEY: NeedKind.IN_TEMP_KEY}
_HKDF_OF_INPUT: Final = (len(PATTERN) << 24 | 2).to_bytes(4, "little") + PATTERN


def _reads(run: ProbeRun, slot: MemorySlot) -> bool:
    return bool(run.trial.read(slot.number, WORD_SIZE))


def _reads_encrypted(run: ProbeRun, slot: MemorySlot) -> bool:
    if not slot.encrypt_read:
        return False
    run.session_key(slot.read_key, random=True)
    return run.trial.does(Opcode.READ, _BLOCK, slot.number << 3)


def _writes(run: ProbeRun, slot: MemorySlot) -> bool:
    refused_when_valid = slot.needs_validation and slot.write_config == _WRITE_WHILE_INVALID
    if refused_when_valid and not run.asks(NeedKind.NOT_VALIDATED, slot.number):
        run.validate(slot)
    return run.trial.does(Opcode.WRITE, _BLOCK, slot.number << 3, PATTERN)


def _writes_encrypted(run: ProbeRun, slot: MemorySlot) -> bool:
    if slot.private:
        return False
    run.session_key(slot.write_key)
    mode = _BLOCK | P1_ENCRYPTED
    mac = run.trial.write_mac(bytes((Opcode.WRITE, mode, slot.number << 3, 0)), 25, PATTERN)
    return run.trial.does(Opcode.WRITE, mode, slot.number << 3, xor(PATTERN, run.trial.temp_key) + mac)


def _makes_key(run: ProbeRun, slot: MemorySlot) -> bool:
    run.use(slot)
    return run.trial.does(Opcode.GEN_KEY, GEN_KEY_CREATE, slot.number)


def _takes_key(run: ProbeRun, slot: MemorySlot) -> bool:
    if not slot.private:
        return False
    run.session_key(slot.write_key)
    key, plain = run.trial.temp_key, bytes(4) + PATTERN
    mac = run.trial.write_mac(bytes((Opcode.PRIV_WRITE, _PRIV_WRITE_ENCRYPTED, slot.number, 0)), 21, plain)
    cipher = xor(plain, key + sha256(key).digest()[:4])
    return run.trial.does(Opcode.PRIV_WRITE, _PRIV_WRITE_ENCRYPTED, slot.number, cipher + mac)


def _derives(run: ProbeRun, slot: MemorySlot) -> bool:
    trial = run.trial
    mac_key = trial.slot(slot.write_key)
    parent = mac_key if slot.write_config & _PARENT_IS_WRITE_KEY else slot
    needs_mac = bool(slot.write_config & _DERIVE_NEEDS_MAC)
    run.use(parent, *([mac_key] if needs_mac else []))
    run.nonce(parent)
    p1 = 0 if not trial.chip.core.temp_key.from_input else 0x04
    mac = sha256(mac_key.secret() + bytes((Opcode.DERIVE_KEY, p1, slot.number, 0)) + trial.serial).digest()
    shown = needs_mac and run.asks(NeedKind.MAC, slot.write_key)
    return trial.does(Opcode.DERIVE_KEY, p1, slot.number, mac if shown else b"")


def _signs(run: ProbeRun, slot: MemorySlot) -> bool:
    run.use(slot)
    run.nonce()
    return run.trial.does(Opcode.SIGN, SIGN_EXTERNAL, slot.number)


def _signs_over_gen_key(source: int, run: ProbeRun, slot: MemorySlot) -> bool:
    """Sign what the chip says of a key: its public key's digest in TempKey."""
    key = run.trial.slot(source)
    if not slot.private or not slot.read_key & _ALLOW_INTERNAL:
        return False
    run.use(slot)
    run.nonce(key)
    if run.asks(NeedKind.GEN_KEY, source):
        mode, other = (_GEN_KEY_DIGEST, b"") if key.private else (GEN_KEY_STORED_DIGEST, bytes(3))
        run.trial.does(Opcode.GEN_KEY, mode, source, other)
    return run.trial.does(Opcode.SIGN, _SIGN_INTERNAL, slot.number)


def _signs_over_gen_dig(source: int, run: ProbeRun, slot: MemorySlot) -> bool:
    if not slot.private or not slot.read_key & _ALLOW_INTERNAL:
        return False
    run.use(slot)
    run.session_key(source) or run.nonce()
    return run.trial.does(Opcode.SIGN, _SIGN_INTERNAL, slot.number)


def _gives_public_key(run: ProbeRun, slot: MemorySlot) -> bool:
    run.use(slot)
    return run.trial.does(Opcode.GEN_KEY, GEN_KEY_PUBLIC, slot.number)


def _agrees(mode: int, run: ProbeRun, slot: MemorySlot) -> bool:
    run.use(slot)
    kind = _ECDH_RESULTS.get(mode)
    if mode == _ECDH_BY_READ_KEY and slot.read_key & _RESULT_IN_SLOT:
        kind = NeedKind.IN_SLOT
    if kind is not None and not run.asks(kind, _place(kind, run, slot)):
        mode = _ECDH_TO_BUS
    return run.trial.does(Opcode.ECDH, mode, slot.number, _peer())


def _takes_ecdh(source: int, run: ProbeRun, slot: MemorySlot) -> bool:
    """Let the key of another slot put its result here."""
    key = run.trial.slot(source)
    if source | 1 != slot.number or not key.private or not run.asks(NeedKind.ECDH_BY, source):
        return False
    run.use(key)
    mode = _ECDH_BY_READ_KEY if key.read_key & _RESULT_IN_SLOT else _ECDH_TO_SLOT
    return run.trial.does(Opcode.ECDH, mode, source, _peer())


def _place(kind: NeedKind, run: ProbeRun, slot: MemorySlot) -> int | None:
    """Return the slot that a result is encrypted with, or that it goes into."""
    if kind is NeedKind.IO_KEY:
        return run.trial.chip.memory.word(CHIP_OPTIONS.start) >> 12
    return slot.number | 1 if kind is NeedKind.IN_SLOT else None


def _peer() -> bytes:
    point = ec.derive_private_key(2, ec.SECP256R1()).public_key().public_numbers()
    return point.x.to_bytes(32) + point.y.to_bytes(32)


def _proves(run: ProbeRun, slot: MemorySlot) -> bool:
    """Give a MAC over a challenge in the packet, or over a random nonce."""
    run.use(slot)
    random = slot.req_random and run.asks(NeedKind.RANDOM_NONCE)
    if random:
        run.trial.nonce(random=True)
    return run.trial.does(Opcode.MAC, CHALLENGE_IN_TEMP_KEY if random else 0, slot.number, b"" if random else PATTERN)


def _checks(run: ProbeRun, slot: MemorySlot) -> bool:
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


def _hashes(run: ProbeRun, slot: MemorySlot) -> bool:
    run.use(slot)
    return run.trial.does(Opcode.SHA, _HMAC_START, slot.number)


def _encrypts(run: ProbeRun, slot: MemorySlot) -> bool:
    run.use(slot)
    return run.trial.does(Opcode.AES, 0, slot.number, PATTERN[:16])


def _stretches(target: int, run: ProbeRun, slot: MemorySlot) -> bool:
    run.use(slot)
    kind = _KDF_RESULTS.get(target)
    if kind is not None and not run.asks(kind, _place(kind, run, slot)):
        target = _KDF_TO_BUS
    return run.trial.does(Opcode.KDF, _HKDF | _KDF_SLOT | target, slot.number, _HKDF_OF_INPUT)


def _takes_kdf(run: ProbeRun, slot: MemorySlot) -> bool:
    run.nonce()
    return run.trial.does(Opcode.KDF, _HKDF | _KDF_TO_SLOT, slot.number << 8, _HKDF_OF_INPUT)


def _every(
    probe: Callable[[int, ProbeRun, MemorySlot], bool], numbers: Iterable[int] = range(SLOT_COUNT)
) -> tuple[Probe, ...]:
    return tuple(partial(probe, number) for number in numbers)


PROBES: Final[dict[str, tuple[Probe, ...]]] = {
    "read in clear": (_reads,),
    "read encrypted": (_reads_encrypted,),
    "written in clear": (_writes,),
    "written encrypted": (_writes_encrypted,),
    "given a new key by GenKey": (_makes_key,),
    "given a key by PrivWrite": (_takes_key,),
    "replaced by DeriveKey": (_derives,),
    "given a result of ECDH": _every(_takes_ecdh),
    "given a result of KDF": (_takes_kdf,),
    "validated by its parent": (ProbeRun.validates,),
    "asked for its public key": (_gives_public_key,),
    "used to sign a loaded digest": (_signs,),
    "used to sign inside": (*_every(_signs_over_gen_key), *_every(_signs_over_gen_dig)),
    "used for ECDH": _every(_agrees, (_ECDH_TO_BUS, _ECDH_ENCRYPTED, _ECDH_TO_TEMP_KEY, _ECDH_TO_SLOT, 0)),
    "used to verify signatures": (_verifies,),
    "used as a key by GenDig": (ProbeRun.gen_dig,),
    "used for MAC": (_proves,),
    "used for HMAC": (_hashes,),
    "used by CheckMac": (_checks,),
    "used for AES": (_encrypts,),
    "used for KDF": _every(_stretches, (_KDF_TO_BUS, _KDF_ENCRYPTED, _KDF_TO_TEMP_KEY)),
    "locked one by one": (lambda run, slot: run.trial.does(Opcode.LOCK, LOCK_SLOT | slot.number << 2),),
}
"""Acts by the words that follow "can be", each with its forms, the plainest first; each is tried on a fork."""

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
