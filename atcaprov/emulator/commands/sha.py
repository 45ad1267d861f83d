"""SHA (47): SHA-256 and HMAC-SHA-256 over a message in parts, with a context that can be exported and imported."""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import Final

from atcaprov.chip.commands import TEMP_KEY_SLOT, Opcode
from atcaprov.emulator.command import SUCCESS, CommandSpec, require_length, require_p2, require_slot_number
from atcaprov.emulator.core import Core
from atcaprov.emulator.key_rules import (
    count_use,
    require_open_use,
    require_public_key_slot,
    require_symmetric,
    require_usable,
)
from atcaprov.emulator.refusal import Refusal, denied, illegal
from atcaprov.emulator.sha256 import Sha256
from atcaprov.emulator.temp_key_rules import require_hmac_of_temp_key, require_temp_key_of_nonce
from atcaprov.emulator.volatile import ShaContext

_MODE: Final = 0x07
_START: Final = 0
_UPDATE: Final = 1
_END: Final = 2
_PUBLIC: Final = 3
_HMAC_START: Final = 4
_HMAC_END_508: Final = 5
_READ_CONTEXT: Final = 6
_WRITE_CONTEXT: Final = 7
_TARGET: Final = 0xC0
_TO_TEMP_KEY: Final = 0x00
_TO_MESSAGE_DIGEST: Final = 0x40
_TO_OUTPUT: Final = 0xC0
_BLOCK: Final = 64
_CONTEXT: Final = struct.Struct("<9I")
"""Length in bytes, then the eight state words; the bytes that wait for a full block follow (cryptoauthlib
lib/calib/calib_sha.c gives the sizes, 36 to 99 bytes)."""
_CONTEXT_LENGTHS: Final = range(_CONTEXT.size, _CONTEXT.size + _BLOCK)


def _check(p1: int, p2: int, length: int) -> None:
    mode = p1 & _MODE
    if p1 & _TARGET not in ((_TO_TEMP_KEY, _TO_MESSAGE_DIGEST, _TO_OUTPUT) if mode == _END else (0,)):
        raise illegal(f"SHA has no mode {p1:02X}")
    if mode in (_UPDATE, _END):
        require_length(length, *range(_BLOCK + 1))
        require_p2(p2, length)
    elif mode == _WRITE_CONTEXT:
        require_length(length, *_CONTEXT_LENGTHS)
        require_p2(p2, length)
    else:
        _check_without_data(mode, p2, length)


def _check_without_data(mode: int, p2: int, length: int) -> None:
    require_length(length, 0)
    if mode in (_START, _READ_CONTEXT):
        require_p2(p2, 0)
    elif mode == _PUBLIC or (mode == _HMAC_START and p2 != TEMP_KEY_SLOT):
        require_slot_number(p2)
    elif mode != _HMAC_START:
        raise illegal(f"SHA has no mode {mode}")


def _execute(core: Core, p1: int, p2: int, data: bytes) -> bytes:
    mode = p1 & _MODE
    if mode == _START:
        core.volatile.sha = ShaContext(Sha256())
    elif mode == _UPDATE:
        _running(core).inner.update(data)
    elif mode == _END:
        return _end(core, p1 & _TARGET, data)
    elif mode == _PUBLIC:
        _running(core).inner.update(_public_key(core, p2))
    elif mode == _HMAC_START:
        _start_hmac(core, p2)
    elif mode == _READ_CONTEXT:
        return _read_context(core)
    else:
        _write_context(core, data)
    return SUCCESS


def _running(core: Core) -> ShaContext:
    if core.volatile.sha is None:
        raise Refusal(core.open_points.sha_order_code, "no SHA was started")
    return core.volatile.sha


def _end(core: Core, target: int, data: bytes) -> bytes:
    context = _running(core)
    context.inner.update(data)
    digest = context.inner.digest()
    if context.outer_key is not None:
        digest = sha256(context.outer_key + digest).digest()
    core.volatile.sha = None
    if target == _TO_TEMP_KEY:
        core.temp_key.load(digest, from_input=True)
    elif target == _TO_MESSAGE_DIGEST:
        core.volatile.message_digest = digest
    return digest


def _public_key(core: Core, number: int) -> bytes:
    core.require_config_locked()
    slot = core.slot(number)
    require_public_key_slot(core, slot)
    return slot.public_key()  # 64 bytes: DS20005927A section 9.17


def _start_hmac(core: Core, p2: int) -> None:
    """Begin HMAC (RFC 2104) with a 32-byte key: inner hash over key XOR 36…, outer key block key XOR 5C…."""
    key = _hmac_key(core, p2) + bytes(_BLOCK - 32)
    inner = Sha256()
    inner.update(bytes(byte ^ 0x36 for byte in key))
    core.volatile.sha = ShaContext(inner, bytes(byte ^ 0x5C for byte in key))


def _hmac_key(core: Core, p2: int) -> bytes:
    if p2 == TEMP_KEY_SLOT:
        if not core.temp_key.valid:
            raise denied("TempKey is not valid")
        require_hmac_of_temp_key(core)
        return core.temp_key.key
    slot = core.slot(p2)
    require_usable(core, slot)
    require_open_use(core, slot)
    require_symmetric(slot)
    if slot.no_mac:
        raise denied("the key is for verification only", slot=slot.number, bit="SlotConfig.NoMac")
    require_temp_key_of_nonce(core, slot)
    count_use(core, slot, Opcode.SHA)
    return slot.secret()


def _read_context(core: Core) -> bytes:
    context = _running(core)
    if context.outer_key is not None:
        # The state of an HMAC would let anyone compute MACs under the key: it stays inside.
        raise denied("the context of an HMAC cannot be read")
    return _CONTEXT.pack(context.inner.length, *context.inner.state) + context.inner.pending


def _write_context(core: Core, data: bytes) -> None:
    length, *words = _CONTEXT.unpack(data[: _CONTEXT.size])
    pending = data[_CONTEXT.size :]
    if length % _BLOCK != len(pending):
        raise denied("the context's length does not fit its buffered bytes")
    core.volatile.sha = ShaContext(Sha256(tuple(words), length, pending))


def _check_508(p1: int, p2: int, length: int) -> None:
    """The ATECC508A updates by whole blocks, ends an HMAC by a mode of its own, and exports no context."""
    if p1 in (_READ_CONTEXT, _WRITE_CONTEXT):
        raise illegal(f"SHA has no mode {p1}")
    if p1 in (_END, _HMAC_END_508):
        require_length(length, *range(_BLOCK))
        require_p2(p2, length)
    elif p1 == _UPDATE:
        require_length(length, _BLOCK)
        require_p2(p2, length)
    else:
        _check_without_data(p1, p2, length)


def _execute_508(core: Core, p1: int, p2: int, data: bytes) -> bytes:
    if p1 in (_END, _HMAC_END_508):
        if (_running(core).outer_key is not None) is not (p1 == _HMAC_END_508):
            raise Refusal(core.open_points.sha_order_code, "the running SHA is of the other kind")
        return _end(core, _TO_TEMP_KEY, data)
    return _execute(core, p1, p2, data)


COMMAND: Final = CommandSpec(Opcode.SHA, 0xC7, _check, _execute)
COMMAND_508: Final = CommandSpec(Opcode.SHA, 0x07, _check_508, _execute_508)
