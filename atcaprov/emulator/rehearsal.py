"""Rehearse a configuration: lock it on a software chip, and try on every slot what it can still do.

Nothing here knows what the bits mean: each ability is found by sending the commands.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from atcaprov.chip.commands import LOCK_NO_CRC, Opcode
from atcaprov.chip.crc import with_crc
from atcaprov.chip.memory_map import CONFIG_SIZE, LOCK_CONFIG, SLOT_COUNT, SLOT_SIZES, UNLOCKED, slot_config
from atcaprov.emulator import ecc
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.digest import xor
from atcaprov.emulator.images import BLANK, load_image
from atcaprov.emulator.random_source import SeededRandom
from atcaprov.emulator.snapshot import fork

_READ_ONLY: Final = 16
_SCALAR: Final = bytes(31) + b"\x2a"
_VALUE: Final = bytes(range(32))


class Ability(enum.StrEnum):
    """What a slot can do."""

    NEW_KEY = "make a new private key"
    KEY_FROM_OUTSIDE = "take a private key from outside"
    PUBLIC_KEY = "give its public key"
    SIGN = "sign messages from outside"
    SIGN_INTERNAL = "sign what the chip says of itself"
    ECDH = "agree on a secret"
    WRITE = "be written in clear"
    WRITE_ENCRYPTED = "be written encrypted"
    READ = "be read in clear"
    READ_ENCRYPTED = "be read encrypted"
    MAC = "prove that it holds its key"
    CHECK = "check a proof"
    AES = "encrypt with AES"
    VERIFY = "verify signatures"
    LOCK = "be locked on its own"


@dataclass(frozen=True)
class SlotRehearsal:
    """What one slot can do while the data zone is open, and once both zones are locked."""

    slot: int
    before: frozenset[Ability]
    after: frozenset[Ability]

    @property
    def lost(self) -> frozenset[Ability]:
        """What the lock of the data zone takes away."""
        return self.before - self.after


def rehearse(config: bytes) -> tuple[SlotRehearsal, ...]:
    """Return what each of the 16 slots can do with the 128 bytes of `config`, of which 0 to 15 are ignored.

    Every slot is filled before the data lock: private slots with a key, the others with a known value or public key.

    Raises:
        ValueError: the configuration has not 128 bytes.
    """
    if len(config) != CONFIG_SIZE:
        raise ValueError(f"a configuration zone has {CONFIG_SIZE} bytes")
    source = SeededRandom(sha256(config).digest())
    memory = load_image(BLANK).make(source)
    memory.config[_READ_ONLY:] = config[_READ_ONLY:]
    memory.config[LOCK_CONFIG - 1 : LOCK_CONFIG + 1] = bytes((UNLOCKED, UNLOCKED))
    chip = Chip(memory, random_source=source)
    _Trial(chip).send(Opcode.LOCK, LOCK_NO_CRC)
    for slot in range(SLOT_COUNT):
        _fill(chip, slot)
    before = [_abilities(chip, slot) for slot in range(SLOT_COUNT)]
    _Trial(chip).send(Opcode.LOCK, LOCK_NO_CRC | 1)
    after = [_abilities(chip, slot) for slot in range(SLOT_COUNT)]
    return tuple(SlotRehearsal(slot, before[slot], after[slot]) for slot in range(SLOT_COUNT))


def explain_rehearsal(rehearsals: tuple[SlotRehearsal, ...]) -> list[str]:
    """Return one sentence for each slot: what it can do after the lock, and what it can't do any more."""
    return [_sentence(rehearsal) for rehearsal in rehearsals]


def _sentence(rehearsal: SlotRehearsal) -> str:
    # Who can be read by everybody proves nothing, and encrypted writes before the lock are open to every slot.
    useless = {Ability.MAC, Ability.CHECK} if Ability.READ in rehearsal.after else set()
    can = ", ".join(ability for ability in Ability if ability in rehearsal.after - useless) or "do nothing"
    lost = ", ".join(ability for ability in Ability if ability in rehearsal.lost - {Ability.WRITE_ENCRYPTED})
    return f"Slot {rehearsal.slot} can {can}." + (f" No longer: {lost}." if lost else "")


class _Trial:
    """Commands to one chip, each after a wake of its own; `ok` says whether the last one was granted."""

    def __init__(self, chip: Chip) -> None:
        self.chip = chip

    def send(self, opcode: int, p1: int = 0, p2: int = 0, data: bytes = b"") -> bytes:
        self.chip.idle()
        self.chip.wake()
        reply = self.chip.exchange(with_crc(bytes((len(data) + 7, opcode, p1)) + p2.to_bytes(2, "little") + data))
        return reply[1:-2]

    def grants(self, opcode: int, p1: int = 0, p2: int = 0, data: bytes = b"") -> bool:
        self.send(opcode, p1, p2, data)
        return self.chip.last_refusal is None


def _fill(chip: Chip, slot: int) -> None:
    trial = _Trial(chip)
    if trial.grants(Opcode.PRIV_WRITE, 0, slot, bytes(4) + _SCALAR + bytes(32)):
        return
    public_key = ecc.public_key(_SCALAR)
    stored = bytes(4) + public_key[:32] + bytes(4) + public_key[32:] if SLOT_SIZES[slot] >= 72 else _VALUE
    for block in range(0, len(stored), 32):
        trial.send(Opcode.WRITE, 0x82, block // 32 << 8 | slot << 3, stored[block : block + 32].ljust(32, b"\0"))


def _abilities(chip: Chip, slot: int) -> frozenset[Ability]:
    return frozenset(ability for ability, probe in _PROBES.items() if probe(_Trial(fork(chip)), slot))


def _new_key(trial: _Trial, slot: int) -> bool:
    return trial.grants(Opcode.GEN_KEY, 4, slot)


def _key_from_outside(trial: _Trial, slot: int) -> bool:
    plain = bytes(4) + _SCALAR
    if trial.grants(Opcode.PRIV_WRITE, 0, slot, plain + bytes(32)):
        return True
    key = _session_key(trial, slot_config(bytes(trial.chip.memory.config), slot) >> 8 & 0x0F)
    header = bytes((Opcode.PRIV_WRITE, 0x40, slot, 0)) + _serial(trial)
    mac = sha256(key + header + bytes(21) + plain).digest()
    return trial.grants(Opcode.PRIV_WRITE, 0x40, slot, xor(plain, key + sha256(key).digest()[:4]) + mac)


def _public_key(trial: _Trial, slot: int) -> bool:
    return trial.grants(Opcode.GEN_KEY, 0, slot)


def _sign(trial: _Trial, slot: int) -> bool:
    trial.send(Opcode.NONCE, 0x43, 0, _VALUE)
    return trial.grants(Opcode.SIGN, 0xA0, slot)


def _sign_internal(trial: _Trial, slot: int) -> bool:
    trial.send(Opcode.NONCE, 0, 0, bytes(20))
    made = any(trial.grants(Opcode.GEN_KEY, 8, other) for other in range(SLOT_COUNT))
    return made and trial.grants(Opcode.SIGN, 0, slot)


def _ecdh(trial: _Trial, slot: int) -> bool:
    return any(trial.grants(Opcode.ECDH, mode, slot, ecc.public_key(_SCALAR)) for mode in (0x00, 0x08, 0x0C, 0x0E))


def _write(trial: _Trial, slot: int) -> bool:
    return trial.grants(Opcode.WRITE, 0x82, slot << 3, _VALUE)


def _write_encrypted(trial: _Trial, slot: int) -> bool:
    key = _session_key(trial, slot_config(bytes(trial.chip.memory.config), slot) >> 8 & 0x0F)
    header = bytes((Opcode.WRITE, 0xC2, slot << 3, 0)) + _serial(trial)
    mac = sha256(key + header + bytes(25) + _VALUE).digest()
    return trial.grants(Opcode.WRITE, 0xC2, slot << 3, xor(_VALUE, key) + mac)


def _read(trial: _Trial, slot: int) -> bool:
    return trial.grants(Opcode.READ, 0x82, slot << 3)


def _read_encrypted(trial: _Trial, slot: int) -> bool:
    if _read(trial, slot):
        return False
    _session_key(trial, slot_config(bytes(trial.chip.memory.config), slot) & 0x0F)
    return trial.grants(Opcode.READ, 0x82, slot << 3)


def _mac(trial: _Trial, slot: int) -> bool:
    trial.send(Opcode.NONCE, 0, 0, bytes(20))
    return trial.grants(Opcode.MAC, 1, slot)


def _check(trial: _Trial, slot: int) -> bool:
    trial.send(Opcode.NONCE, 0, 0, bytes(20))
    trial.send(Opcode.CHECK_MAC, 1, slot, bytes(77))
    refusal = trial.chip.last_refusal
    return refusal is not None and refusal.status == 1


def _aes(trial: _Trial, slot: int) -> bool:
    return trial.grants(Opcode.AES, 0, slot, bytes(16))


def _verify(trial: _Trial, slot: int) -> bool:
    trial.send(Opcode.NONCE, 0, 0, bytes(20))
    trial.send(Opcode.VERIFY, 0, slot, bytes(64))
    refusal = trial.chip.last_refusal
    return refusal is not None and refusal.status == 1


def _lock(trial: _Trial, slot: int) -> bool:
    return trial.grants(Opcode.LOCK, 2 | slot << 2)


def _session_key(trial: _Trial, slot: int) -> bytes:
    """Let GenDig make TempKey from a slot and return it, as a host that knows the slot's value would compute it."""
    trial.send(Opcode.NONCE, 0, 0, bytes(20))
    trial.send(Opcode.GEN_DIG, 2, slot, bytes((Opcode.GEN_DIG, 2, slot, 0)))
    return trial.chip.core.temp_key.key


def _serial(trial: _Trial) -> bytes:
    serial = trial.chip.memory.serial
    return serial[8:] + serial[:2]


_PROBES: Final = {
    Ability.NEW_KEY: _new_key,
    Ability.KEY_FROM_OUTSIDE: _key_from_outside,
    Ability.PUBLIC_KEY: _public_key,
    Ability.SIGN: _sign,
    Ability.SIGN_INTERNAL: _sign_internal,
    Ability.ECDH: _ecdh,
    Ability.WRITE: _write,
    Ability.WRITE_ENCRYPTED: _write_encrypted,
    Ability.READ: _read,
    Ability.READ_ENCRYPTED: _read_encrypted,
    Ability.MAC: _mac,
    Ability.CHECK: _check,
    Ability.AES: _aes,
    Ability.VERIFY: _verify,
    Ability.LOCK: _lock,
}
