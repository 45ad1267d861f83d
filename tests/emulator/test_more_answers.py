"""Answers in modes that the functions of the vendor's library do not reach."""

from __future__ import annotations

import hmac
from hashlib import sha256

from atcaprov.chip.commands import Opcode
from tests.emulator.test_commands_by_wheel import host_key, host_sign
from tests.emulator.test_refusals import (
    BOOT,
    CASES,
    FIXED,
    GENERATOR,
    PUBLIC,
    SECRET,
    STORED,
    Case,
    prepared,
)
from tests.support.chips import packet, reply_body, send


class TestMoreAnswers:
    """Modes that the library's functions do not reach."""

    def test_sha_takes_in_a_stored_public_key(self) -> None:
        chip = prepared(Case((0, 0, 0, b""), "", slots={9: (0x0F0F, PUBLIC)}, content={9: STORED}))
        send(chip, Opcode.SHA, 0)
        assert send(chip, Opcode.SHA, 3, 9).status == 0
        assert send(chip, Opcode.SHA, 2).body == sha256(GENERATOR).digest()
        assert chip.core.temp_key.key == sha256(GENERATOR).digest()

    def test_key_valid_of_other_slots(self) -> None:
        slots = {5: SECRET, 9: (0x0F0F, PUBLIC), 10: (0x0F0F, PUBLIC), 14: (0x0F0F, 0x0032)}
        chip = prepared(Case((0, 0, 0, b""), "", slots=slots, content={9: STORED, 14: b"\x50" + STORED[1:]}))
        answers = {slot: send(chip, Opcode.INFO, 1, slot).body[0] for slot in slots}
        assert answers == {5: 0, 9: 1, 10: 0, 14: 1}

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
