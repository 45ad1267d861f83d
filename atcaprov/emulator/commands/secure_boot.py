"""SecureBoot (80): check that the firmware with this digest is signed, or is the one that was signed before.

What each configured mode allows: FullBoth only Full; FullSig keeps a signature, FullDig a digest in the slot.
"""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest
from typing import Final

from atcaprov.chip.commands import Opcode
from atcaprov.chip.memory_map import SECURE_BOOT
from atcaprov.emulator import ecc
from atcaprov.emulator.command import SUCCESS, CommandSpec, require_length, require_p2, xor
from atcaprov.emulator.core import Core
from atcaprov.emulator.io_protection import io_protection_key
from atcaprov.emulator.key_rules import count_use, require_result_slot, usable_public_key
from atcaprov.emulator.refusal import denied, illegal, mismatch
from atcaprov.emulator.slot import MemorySlot
from atcaprov.emulator.temp_key_rules import require_temp_key_of_nonce

_MODE: Final = 0x07
_FULL: Final = 5
_FULL_STORE: Final = 6
_FULL_COPY: Final = 7
_PROHIBIT: Final = 0x40
_ENCRYPTED: Final = 0x80
_DIGEST_SIZE: Final = 32
_SIGNATURE_SIZE: Final = 64
_OFF, _FULL_BOTH, _FULL_SIG, _FULL_DIG = range(4)
_PERSISTENT: Final = 0x0008
_RANDOM_NONCE: Final = 0x0010


def _check(p1: int, p2: int, length: int) -> None:
    mode = p1 & _MODE
    if mode not in (_FULL, _FULL_STORE, _FULL_COPY):
        raise illegal(f"SecureBoot has no mode {mode}")
    require_p2(p2, 0)
    require_length(length, _DIGEST_SIZE if mode == _FULL_STORE else _DIGEST_SIZE + _SIGNATURE_SIZE)


def _execute(core: Core, p1: int, _p2: int, data: bytes) -> bytes:
    core.require_config_locked()
    setting = core.memory.word(SECURE_BOOT.start)
    mode, configured = p1 & _MODE, setting & 0x03
    _require_allowed(core, mode, configured, setting)
    kept = core.slot(setting >> 8 & 0x0F)
    if mode == _FULL_COPY:
        require_result_slot(core, kept)
    session_key = _session_key(core) if p1 & _ENCRYPTED else None
    digest = data[:_DIGEST_SIZE]
    if session_key is not None:
        digest = xor(digest, session_key)
    signature = _signature(mode, configured, kept, data[_DIGEST_SIZE:])
    good = _verify(core, setting, kept, digest, signature)
    if p1 & _PROHIBIT:
        core.powered.secure_boot_prohibited = True
    if not good:
        raise mismatch("the firmware is not the signed one")
    if mode == _FULL_COPY:
        kept.write(0, digest if configured == _FULL_DIG else signature)
    if setting & _PERSISTENT:
        core.powered.latch = True
    return SUCCESS if session_key is None else _mac(session_key, digest, signature, p1)


def _require_allowed(core: Core, mode: int, configured: int, setting: int) -> None:
    if configured == _OFF:
        raise denied("secure boot is off", bit="SecureBoot bits 1-0")
    if configured != _FULL_DIG and core.open_points.secure_boot_table == "refuse":
        raise denied("the chip is configured for FullDig only", bit="SecureBoot bits 1-0")
    if configured == _FULL_BOTH and mode != _FULL:
        raise denied("this setting verifies signatures only", bit="SecureBoot bits 1-0")
    if core.powered.secure_boot_prohibited:
        raise denied("secure boot is disabled until power-off")
    temp_key = core.temp_key
    if setting & _RANDOM_NONCE and (not temp_key.valid or temp_key.from_input):
        raise denied("TempKey must come from a random nonce", bit="SecureBoot bit 4")


def _session_key(core: Core) -> bytes:
    temp_key = core.temp_key
    if not temp_key.valid:
        raise denied("TempKey is not valid")
    key = sha256(io_protection_key(core) + temp_key.key).digest()
    temp_key.use_up()
    return key


def _signature(mode: int, configured: int, kept: MemorySlot, sent: bytes) -> bytes:
    """Return the signature to check; empty where the stored digest decides."""
    if mode != _FULL_STORE:
        return sent
    if configured == _FULL_DIG:
        return b""
    if kept.size < _SIGNATURE_SIZE:
        raise denied("the slot is too small for a signature", slot=kept.number, bit="SecureBoot bits 11-8")
    return kept.read(0, _SIGNATURE_SIZE)


def _verify(core: Core, setting: int, kept: MemorySlot, digest: bytes, signature: bytes) -> bool:
    if not signature:
        return compare_digest(kept.read(0, _DIGEST_SIZE), digest)
    slot = core.slot(setting >> 12)
    public_key = usable_public_key(core, slot)
    require_temp_key_of_nonce(core, slot)
    count_use(core, slot, Opcode.SECURE_BOOT)
    return ecc.verify(public_key, digest, signature)


def _mac(session_key: bytes, digest: bytes, signature: bytes, p1: int) -> bytes:
    """Return SHA-256(key | digest | signature, if one was checked | 80 | P1 | P2)."""
    return sha256(session_key + digest + signature + bytes((Opcode.SECURE_BOOT, p1, 0, 0))).digest()


COMMAND: Final = CommandSpec(Opcode.SECURE_BOOT, 0xC7, _check, _execute)
