"""Harmless questions: they write, lock, count and use up nothing.

Each is asked only where it is harmless and has an answer: some need an open, some a locked chip.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from atcaprov.chip.commands import GEN_KEY_CREATE, P1_32_BYTES, TEMP_KEY_SLOT, Opcode, Status, Zone
from atcaprov.chip.memory_map import BLOCK_SIZE, CHIP_OPTIONS, SLOT_CONFIG, SLOT_SIZES, key_config, word_le
from atcaprov.chip.modes import (
    AES_ENCRYPT,
    BLOCK_SHIFT,
    COUNTER_READ,
    ECDH_KEY_IN_TEMP_KEY,
    ECDH_TO_BUS,
    GEN_KEY_DIGEST,
    GEN_KEY_STORED_DIGEST,
    INFO_STATE,
    KDF_HKDF,
    KDF_LENGTH_SHIFT,
    KDF_MESSAGE_FROM_INPUT,
    KDF_TO_BUS_ENCRYPTED,
    MAC_OTP_88,
    NONCE_RANDOM,
    SELF_TEST_RNG,
    SHA_END,
    SLOT_SHIFT,
    STATE_SEED_UPDATED,
    ZONE_BLOCK_SHIFT,
)
from atcaprov.recording.dialogue import PATTERN, Dialogue
from atcaprov.recording.questions import UNDECIDED, Ask, Question, refusal

_DATA: Final = P1_32_BYTES | Zone.DATA
_ANY_SLOT: Final = 0
_DONE: Final = (Status.SUCCESS, Status.MISMATCH)
"""Answers of SelfTest that ran: a map of what failed, of which 01 is the random number generator."""
_AES_ENABLED: Final = 13
_LIMITED_USE: Final = 0x20
_SECRET: Final = 0xC0
_PRIVATE: Final = 0x01
_IO_PROTECTION: Final = 0x02
_DIGEST_OF_STORED_KEY: Final = GEN_KEY_STORED_DIGEST | GEN_KEY_DIGEST
"""GenKey with bit 3 beside bit 4. Bit 2 would make a new key on a chip that obeys it, so it stays 0."""


def harmless_questions(dialogue: Dialogue) -> Iterator[Question]:
    """Yield the questions for a chip in its present state, which its configuration zone shows."""
    for point, ask in _ALWAYS.items():
        yield Question(point, ask)
    for point, ask in (_LOCKED if dialogue.config_locked else _OPEN).items():
        yield Question(point, ask)
    for size, slot in _readable_slots(dialogue).items() if dialogue.data_locked else ():
        yield Question(f"partial_block_fill.{size}", _partial_block_fill(slot))
    if dialogue.config_locked and not dialogue.config[CHIP_OPTIONS][0] & _IO_PROTECTION:
        yield Question("io_protection_off_code", _io_protection_off_code)
    if _is_unlimited(dialogue, _ANY_SLOT):  # otherwise one of the two answers would cost a use
        yield Question("mac_otp_fields", _mac_otp_fields)
    if dialogue.config_locked and not dialogue.config[_AES_ENABLED] & 1:
        yield Question("aes_disabled_code", _aes_disabled_code)


def _surplus_data(chip: Dialogue) -> Any:
    reply = chip.ask(Opcode.INFO, 0, 0, PATTERN[:4])
    if reply.status == Status.PARSE_ERROR:
        return "refuse"
    return "ignore" if reply.granted and len(reply.data) == 4 else UNDECIDED


def _bad_block_code(chip: Dialogue) -> Any:
    return refusal(chip.ask(Opcode.READ, P1_32_BYTES | Zone.CONFIG, 4 << ZONE_BLOCK_SHIFT).status)


def _info_state_seed(chip: Dialogue) -> Any:
    drawn = chip.ask(Opcode.NONCE, NONCE_RANDOM, 0, PATTERN[:20]).data  # a refused one does not update the seed
    state = chip.ask(Opcode.INFO, INFO_STATE).data
    if len(drawn) != len(PATTERN) or len(state) != 4:
        return UNDECIDED
    return "shown" if state[1] & STATE_SEED_UPDATED else "hidden"


def _errors_clear_temp_key(chip: Dialogue) -> Any:
    chip.load()
    loaded = chip.has_temp_key()
    if _bad_block_code(chip) is UNDECIDED or not loaded:
        return UNDECIDED
    return not chip.has_temp_key()


def _other_commands_clear_temp_key(chip: Dialogue) -> Any:
    cleared = set()
    for opcode, mode in ((Opcode.COUNTER, COUNTER_READ), (Opcode.SELF_TEST, SELF_TEST_RNG)):
        chip.load()
        if chip.has_temp_key() and chip.ask(opcode, mode).status in _DONE:
            cleared.add(not chip.has_temp_key())
    return cleared.pop() if len(cleared) == 1 else UNDECIDED


def _sha_order_code(chip: Dialogue) -> Any:
    return refusal(chip.ask(Opcode.SHA, SHA_END).status)


def _mac_otp_fields(chip: Dialogue) -> Any:
    status = chip.ask(Opcode.MAC, MAC_OTP_88, _ANY_SLOT, PATTERN).status
    return "refuse" if status == Status.PARSE_ERROR else "hash" if status is not None else UNDECIDED


def _gen_key_digest_bits(chip: Dialogue) -> Any:
    chip.load()
    status = chip.ask(Opcode.GEN_KEY, _DIGEST_OF_STORED_KEY, _ANY_SLOT, bytes(3)).status
    return "refuse" if status == Status.PARSE_ERROR else "ignore" if status is not None else UNDECIDED


def _nonce_before_lock(chip: Dialogue) -> Any:
    return len(chip.ask(Opcode.NONCE, NONCE_RANDOM, 0, PATTERN[:20]).data) == len(PATTERN)


def _gendig_before_lock(chip: Dialogue) -> Any:
    chip.load()
    return chip.ask(Opcode.GEN_DIG, Zone.CONFIG, 0).granted


def _offcurve_ecdh(chip: Dialogue) -> Any:
    if not chip.ask(Opcode.GEN_KEY, GEN_KEY_CREATE, TEMP_KEY_SLOT).granted:
        return UNDECIDED
    return refusal(chip.ask(Opcode.ECDH, ECDH_TO_BUS | ECDH_KEY_IN_TEMP_KEY, TEMP_KEY_SLOT, 2 * PATTERN).status)


def _io_protection_off_code(chip: Dialogue) -> Any:
    chip.load()
    details = (len(PATTERN) << KDF_LENGTH_SHIFT | KDF_MESSAGE_FROM_INPUT).to_bytes(4, "little")
    return refusal(chip.ask(Opcode.KDF, KDF_HKDF | KDF_TO_BUS_ENCRYPTED, 0, details + PATTERN).status)


def _aes_disabled_code(chip: Dialogue) -> Any:
    chip.load()
    return refusal(chip.ask(Opcode.AES, AES_ENCRYPT, TEMP_KEY_SLOT, PATTERN[:16]).status)


def _partial_block_fill(slot: int) -> Ask:
    """Return the question for a slot that can be read in clear and whose last block is partial."""

    def ask(chip: Dialogue) -> Any:
        size = SLOT_SIZES[slot]
        content = chip.ask(Opcode.READ, _DATA, slot << SLOT_SHIFT | size // BLOCK_SIZE << BLOCK_SHIFT).data
        behind = set(content[size % BLOCK_SIZE :])
        return behind.pop() if len(content) == BLOCK_SIZE and behind in ({0x00}, {0xFF}) else UNDECIDED

    return ask


def _readable_slots(chip: Dialogue) -> dict[int, int]:
    """Return a slot that can be read in clear, for each size of slots with a partial last block."""
    slots: dict[int, int] = {}
    for slot, size in enumerate(SLOT_SIZES):
        secret = word_le(chip.config, SLOT_CONFIG + 2 * slot) & _SECRET or key_config(chip.config, slot) & _PRIVATE
        if not secret and size % BLOCK_SIZE:
            slots.setdefault(size, slot)
    return slots


def _is_unlimited(chip: Dialogue, slot: int) -> bool:
    return not word_le(chip.config, SLOT_CONFIG + 2 * slot) & _LIMITED_USE


_ALWAYS: Final[dict[str, Ask]] = {
    "surplus_data": _surplus_data,
    "bad_block_code": _bad_block_code,
    "info_state_seed": _info_state_seed,
    "errors_clear_temp_key": _errors_clear_temp_key,
    "other_commands_clear_temp_key": _other_commands_clear_temp_key,
    "sha_order_code": _sha_order_code,
    "gen_key_digest_bits": _gen_key_digest_bits,
}
_OPEN: Final[dict[str, Ask]] = {
    "nonce_before_lock": _nonce_before_lock,
    "gendig_before_lock": _gendig_before_lock,
}
_LOCKED: Final[dict[str, Ask]] = {
    "offcurve_ecdh": _offcurve_ecdh,
}
