"""One run of a probe, as a product does it: what the keys ask for is provided by commands, and noted as a need."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from atcaprov.chip.commands import Opcode, Zone
from atcaprov.chip.memory_map import VOLATILE_KEY_PERMISSION
from atcaprov.chip.modes import (
    GEN_KEY_STORED_DIGEST,
    INFO_LATCH,
    LATCH_SET,
    MAC_CHALLENGE_IN_TEMP_KEY,
    VERIFY_STORED,
    VERIFY_VALIDATE,
)
from atcaprov.emulator.slot import MemorySlot
from atcaprov.rehearsal.needs import Need, NeedKind
from atcaprov.rehearsal.trial_chip import PATTERN, TrialChip

_CHECK_MAC_OTHER: Final = bytes(13)
_VALIDATION_OTHER: Final = bytes(19)


class ProbeRun:
    """Provides what a use asks for, except the needs in `without`; `needs` lists what was provided, in order."""

    def __init__(self, trial: TrialChip, without: frozenset[Need] = frozenset()) -> None:
        self.trial = trial
        self.needs: list[Need] = []
        self._without = without
        self._asking: list[int] = []
        """Slots whose own needs are being provided: a key that asks for itself is never authorized."""

    def asks(self, kind: NeedKind, slot: int | None = None) -> bool:
        """Note a need; return whether to provide it."""
        if self._goes_without(kind, slot):
            return False
        need = Need(kind, slot)
        if need not in self.needs:
            self.needs.append(need)
        return True

    def _goes_without(self, kind: NeedKind, slot: int | None) -> bool:
        return Need(kind, slot) in self._without

    def use(self, *slots: MemorySlot) -> None:
        """Provide latch and authorization before one command uses these keys. Call it before the nonce is made."""
        if any(slot.persistent_disable for slot in slots):
            self._set_latch()
        for number in sorted({slot.auth_key for slot in slots if slot.req_auth}):
            self._authorize(number)

    def nonce(self, *slots: MemorySlot, random: bool = False) -> bytes:
        """Load TempKey and return it, 32 bytes; the nonce is random if a key, or `random`, asks for that."""
        wanted = random or any(slot.req_random for slot in slots)
        self.trial.nonce(random=wanted and self.asks(NeedKind.RANDOM_NONCE))
        return self.trial.temp_key

    def session_key(self, number: int, *, random: bool = False) -> bool:
        """Let GenDig put the digest of a key into TempKey, for encrypted reads and writes; return whether it did."""
        if self._goes_without(NeedKind.GEN_DIG, number):
            return False
        made = self.gen_dig(self.trial.slot(number), random=random)
        return self.asks(NeedKind.GEN_DIG, number) and made

    def gen_dig(self, key: MemorySlot, *, random: bool = False) -> bool:
        """Mix a key into TempKey; return whether the chip did it."""
        self.use(key)
        self.nonce(key, random=random)
        with_other_data = key.no_mac and self.asks(NeedKind.OTHER_DATA, key.number)
        other_data = bytes((Opcode.GEN_DIG, Zone.DATA, key.number, 0)) if with_other_data else b""
        return self.trial.does(Opcode.GEN_DIG, Zone.DATA, key.number, other_data)

    def check_mac(self, slot: MemorySlot, *, in_temp_key: bool) -> bool:
        """Show the chip a MAC under a slot's key, over TempKey or over a challenge in the packet."""
        challenge = self.trial.temp_key if in_temp_key else PATTERN
        serial = self.trial.serial
        # Key, challenge, OtherData (zeros here) with the serial number between its parts: DS20005927A, chapter 9.
        message = slot.secret() + challenge + bytes(15) + serial[:1] + bytes(4) + serial[1:] + bytes(2)
        data = PATTERN + sha256(message).digest() + _CHECK_MAC_OTHER
        return self.trial.does(Opcode.CHECK_MAC, MAC_CHALLENGE_IN_TEMP_KEY if in_temp_key else 0, slot.number, data)

    def verify(self, slot: MemorySlot) -> bool:
        """Have the chip verify a signature over TempKey by a slot's public key."""
        signature = self.trial.signature(slot.number, self.trial.temp_key)
        return self.trial.does(Opcode.VERIFY, VERIFY_STORED, slot.number, signature)

    def validate(self, slot: MemorySlot) -> bool:
        """Have the public key in a slot validated by its parent if it asks for that; it is noted as a need."""
        if self._goes_without(NeedKind.VALIDATED, slot.number):
            return False
        return self.validates(slot) and self.asks(NeedKind.VALIDATED, slot.number)

    def validates(self, slot: MemorySlot) -> bool:
        """Have the public key in a slot validated by the key that its ReadKey names."""
        if not slot.needs_validation or slot.validated or slot.number in self._asking:
            return False
        parent = self.trial.slot(slot.read_key)
        self._asking.append(slot.number)
        self.validate(parent)
        self.use(slot, parent)
        self._asking.pop()
        self.nonce(slot, parent)
        return self._validated_by(parent, slot)

    def _validated_by(self, parent: MemorySlot, slot: MemorySlot) -> bool:
        self.trial.does(Opcode.GEN_KEY, GEN_KEY_STORED_DIGEST, slot.number, bytes(3))
        serial, other = self.trial.serial, _VALIDATION_OTHER
        message = bytes((Opcode.SIGN,)) + other[:10] + serial[:1] + other[10:14] + serial[1:] + other[14:]
        signature = self.trial.signature(parent.number, sha256(self.trial.temp_key + message).digest())
        return self.trial.does(Opcode.VERIFY, VERIFY_VALIDATE, slot.number, signature + other)

    def _set_latch(self) -> None:
        number = self.trial.chip.memory.config[VOLATILE_KEY_PERMISSION] & 0x0F
        latch_is_set = self.trial.chip.core.powered.latch
        if latch_is_set or number in self._asking or self._goes_without(NeedKind.LATCH, number):
            return
        self._authorize(number)
        self.asks(NeedKind.LATCH, number)
        self.trial.does(Opcode.INFO, INFO_LATCH, LATCH_SET)

    def _authorize(self, number: int) -> None:
        """Prove to the chip that a slot's key is known: by CheckMac, or by Verify if it holds a public key."""
        slot = self.trial.slot(number)
        kind = NeedKind.VERIFY if slot.holds_public_key else NeedKind.CHECK_MAC
        if number in self._asking or self._goes_without(kind, number):
            return
        if kind is NeedKind.VERIFY:
            self.validate(slot)
        self._asking.append(number)
        self.use(slot)
        self._asking.pop()
        self.asks(kind, number)
        self.trial.nonce(random=True)
        self.verify(slot) if kind is NeedKind.VERIFY else self.check_mac(slot, in_temp_key=True)
