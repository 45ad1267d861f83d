"""Open points that a part can be asked without harm: nothing is written, locked, counted or used up.

Each question is put only where it is harmless and has an answer: some need an open, some a locked part.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from atcaprov.chip.commands import GEN_KEY_CREATE, P1_32_BYTES, TEMP_KEY_SLOT, Opcode, Status, Zone
from atcaprov.chip.memory_map import BLOCK_SIZE, CHIP_OPTIONS, SLOT_CONFIG, SLOT_SIZES, key_config, word_le
from atcaprov.recording.dialogue import PATTERN, Dialogue
from atcaprov.recording.questions import UNDECIDED, Ask, Question, refusal

_DATA: Final = P1_32_BYTES | Zone.DATA
_ANY_SLOT: Final = 0
_RNG_TEST: Final = 0x01
_DONE: Final = (Status.SUCCESS, Status.MISMATCH)
"""SelfTest answers with a map of what failed: 01 is the random number generator."""
_AES_ENABLED: Final = 13
_LIMITED_USE: Final = 0x20
_SECRET: Final = 0xC0
_PRIVATE: Final = 0x01
_IO_PROTECTION: Final = 0x02
_HKDF_TEMP_KEY_TO_BUS: Final = 0x50
_FROM_INPUT: Final = 2
_DIGEST_OF_STORED_KEY: Final = 0x18
"""GenKey with bit 3 beside bit 4. Bit 2 would make a new key on a part that obeys it, so it is left alone."""


def harmless_questions(dialogue: Dialogue) -> Iterator[Question]:
    """Give the questions for a part in the state that its configuration zone tells."""
    for point, ask in _ALWAYS.items():
        yield Question(point, ask)
    for point, ask in (_LOCKED if dialogue.config_locked else _OPEN).items():
        yield Question(point, ask)
    for size, slot in _readable_slots(dialogue).items() if dialogue.data_locked else ():
        yield Question(f"partial_block_fill.{size}", _partial_block_fill(slot))
    if dialogue.config_locked and not dialogue.config[CHIP_OPTIONS][0] & _IO_PROTECTION:
        yield Question("io_protection_off_code", _io_protection_off_code)
    if _is_unlimited(dialogue, _ANY_SLOT):  # else one reading would cost a use
        yield Question("mac_otp_fields", _mac_otp_fields)
    if dialogue.config_locked and not dialogue.config[_AES_ENABLED] & 1:
        yield Question("aes_disabled_code", _aes_disabled_code)


def _surplus_data(part: Dialogue) -> Any:
    reply = part.ask(Opcode.INFO, 0, 0, PATTERN[:4])
    if reply.status == Status.PARSE_ERROR:
        return "refuse"
    return "ignore" if reply.granted and len(reply.data) == 4 else UNDECIDED


def _bad_block_code(part: Dialogue) -> Any:
    return refusal(part.ask(Opcode.READ, P1_32_BYTES | Zone.CONFIG, 4 << 3).status)


def _info_state_seed(part: Dialogue) -> Any:
    drawn = part.ask(Opcode.NONCE, 0, 0, PATTERN[:20]).data  # refused, it updates no seed
    state = part.ask(Opcode.INFO, 2).data
    if len(drawn) != len(PATTERN) or len(state) != 4:
        return UNDECIDED
    return "shown" if state[1] & 1 else "hidden"


def _errors_clear_temp_key(part: Dialogue) -> Any:
    part.load()
    loaded = part.has_temp_key()
    if _bad_block_code(part) is UNDECIDED or not loaded:
        return UNDECIDED
    return not part.has_temp_key()


def _other_commands_clear_temp_key(part: Dialogue) -> Any:
    cleared = set()
    for opcode, mode in ((Opcode.COUNTER, 0), (Opcode.SELF_TEST, _RNG_TEST)):
        part.load()
        if part.has_temp_key() and part.ask(opcode, mode).status in _DONE:
            cleared.add(not part.has_temp_key())
    return cleared.pop() if len(cleared) == 1 else UNDECIDED


def _sha_order_code(part: Dialogue) -> Any:
    return refusal(part.ask(Opcode.SHA, 0x02).status)


def _mac_otp_fields(part: Dialogue) -> Any:
    status = part.ask(Opcode.MAC, 0x10, _ANY_SLOT, PATTERN).status
    return "refuse" if status == Status.PARSE_ERROR else "hash" if status is not None else UNDECIDED


def _gen_key_digest_bits(part: Dialogue) -> Any:
    part.load()
    status = part.ask(Opcode.GEN_KEY, _DIGEST_OF_STORED_KEY, _ANY_SLOT, bytes(3)).status
    return "refuse" if status == Status.PARSE_ERROR else "ignore" if status is not None else UNDECIDED


def _nonce_before_lock(part: Dialogue) -> Any:
    return len(part.ask(Opcode.NONCE, 0, 0, PATTERN[:20]).data) == len(PATTERN)


def _gendig_before_lock(part: Dialogue) -> Any:
    part.load()
    return part.ask(Opcode.GEN_DIG, Zone.CONFIG, 0).granted


def _offcurve_ecdh(part: Dialogue) -> Any:
    if not part.ask(Opcode.GEN_KEY, GEN_KEY_CREATE, TEMP_KEY_SLOT).granted:
        return UNDECIDED
    return refusal(part.ask(Opcode.ECDH, 0x0D, TEMP_KEY_SLOT, 2 * PATTERN).status)


def _io_protection_off_code(part: Dialogue) -> Any:
    part.load()
    details = (len(PATTERN) << 24 | _FROM_INPUT).to_bytes(4, "little")
    return refusal(part.ask(Opcode.KDF, _HKDF_TEMP_KEY_TO_BUS | 0x04, 0, details + PATTERN).status)


def _aes_disabled_code(part: Dialogue) -> Any:
    part.load()
    return refusal(part.ask(Opcode.AES, 0, TEMP_KEY_SLOT, PATTERN[:16]).status)


def _partial_block_fill(slot: int) -> Ask:
    """Return the question for a slot that everyone may read and whose last block is not whole."""

    def ask(part: Dialogue) -> Any:
        size = SLOT_SIZES[slot]
        content = part.ask(Opcode.READ, _DATA, slot << 3 | size // BLOCK_SIZE << 8).data
        behind = set(content[size % BLOCK_SIZE :])
        return behind.pop() if len(content) == BLOCK_SIZE and behind in ({0x00}, {0xFF}) else UNDECIDED

    return ask


def _readable_slots(part: Dialogue) -> dict[int, int]:
    """Return for each size of slots with a partial block one that everybody may read."""
    slots: dict[int, int] = {}
    for slot, size in enumerate(SLOT_SIZES):
        secret = word_le(part.config, SLOT_CONFIG + 2 * slot) & _SECRET or key_config(part.config, slot) & _PRIVATE
        if not secret and size % BLOCK_SIZE:
            slots.setdefault(size, slot)
    return slots


def _is_unlimited(part: Dialogue, slot: int) -> bool:
    return not word_le(part.config, SLOT_CONFIG + 2 * slot) & _LIMITED_USE


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
