"""The acts of a trial, done by hand on a `Hand`."""

from __future__ import annotations

import hmac
from collections.abc import Container
from hashlib import sha256
from typing import Final

from atcaprov import Part
from atcaprov.rehearsal.needs import Need, NeedKind
from tests.support.independent_host import CHALLENGE, Everything, Hand, point, private_key, xor


class Acts:
    """The acts of a trial by hand; each returns whether the chip did it."""

    def __init__(self, hand: Hand, number: int) -> None:
        self.hand = hand
        self.number = number

    def read(self) -> bool:
        return len(self.hand.ask(0x02, 0x02, self.number << 3)) == 4

    def read_encrypted(self) -> bool:
        hand, key = self.hand, self.hand.read_key(self.number)
        if Need(NeedKind.GEN_DIG, key) in hand.met:
            hand.gen_dig(key, random=True)
        answer = hand.ask(0x02, 0x82, self.number << 3)
        return len(answer) == 32 and xor(answer, hand.temp_key) == hand.content(self.number)[:32]

    def write(self) -> bool:
        if Need(NeedKind.NOT_VALIDATED, self.number) not in self.hand.met:
            self.hand.met = Everything()
            self.hand.validate(self.number)
        return self.hand.granted(0x12, 0x82, self.number << 3, CHALLENGE)

    def write_encrypted(self) -> bool:
        return self._encrypted(0x12, 0xC2, self.number << 3, CHALLENGE, 25, b"")

    def priv_write(self) -> bool:
        return self._encrypted(0x46, 0x40, self.number, bytes(4) + CHALLENGE, 21, b"more")

    def _encrypted(self, opcode: int, p1: int, p2: int, plain: bytes, zeros: int, more: bytes) -> bool:
        hand, key = self.hand, self.hand.write_key(self.number)
        if Need(NeedKind.GEN_DIG, key) in hand.met:
            hand.gen_dig(key)
        header = bytes((opcode, p1, p2 & 0xFF, p2 >> 8))
        mac = sha256(hand.temp_key + header + hand.serial + bytes(zeros) + plain).digest()
        stream = hand.temp_key + (sha256(hand.temp_key).digest()[:4] if more else b"")
        return hand.granted(opcode, p1, p2, xor(plain, stream) + mac)

    def make_key(self) -> bool:
        self.hand.before_use(self.number)
        return self.hand.granted(0x40, 4, self.number)

    def derive(self) -> bool:
        hand, write_config = self.hand, self.hand.slot_config(self.number) >> 12
        key = hand.write_key(self.number)
        parent = key if write_config & 1 else self.number
        hand.before_use(parent, *([key] if write_config & 8 else []))
        hand.nonce_for(parent)
        p1 = 4 if hand.from_input else 0
        mac = sha256(hand.secret(key) + bytes((0x1C, p1, self.number, 0)) + hand.serial).digest()
        shown = write_config & 8 and Need(NeedKind.MAC, key) in hand.met
        return hand.granted(0x1C, p1, self.number, mac if shown else b"")

    def take_ecdh(self) -> bool:
        for source in (self.number - 1, self.number):
            if Need(NeedKind.ECDH_BY, source) in self.hand.met:
                self.hand.before_use(source)
                mode = 0 if self.hand.read_key(source) & 8 else 4
                return self.hand.granted(0x43, mode, source, point(private_key(99)))
        return False

    def take_kdf(self) -> bool:
        self.hand.nonce(random=False)
        return self.hand.granted(0x56, 0x48, self.number << 8, (32 << 24 | 2).to_bytes(4, "little") + CHALLENGE)

    def be_validated(self) -> bool:
        self.hand.met = _Also(self.hand.met, Need(NeedKind.VALIDATED, self.number))
        return self.hand.validate(self.number)

    def public_key(self) -> bool:
        self.hand.before_use(self.number)
        return self.hand.ask(0x40, 0, self.number) == point(private_key(self.number))

    def sign(self) -> bool:
        self.hand.before_use(self.number)
        self.hand.nonce(random=False)
        answer = self.hand.ask(0x41, 0x80, self.number)
        return len(answer) == 64

    def sign_inside(self) -> bool:
        hand = self.hand
        hand.before_use(self.number)
        sources = [slot for slot in range(16) if Need(NeedKind.GEN_KEY, slot) in hand.met]
        mixed = [slot for slot in range(16) if Need(NeedKind.GEN_DIG, slot) in hand.met]
        if mixed:
            hand.gen_dig(mixed[0])
        else:
            hand.nonce_for(*sources) if sources else hand.nonce(random=True)
        for source in sources:
            private = hand.zone.slots[source].private
            hand.gen_key_digest(source, 0x08 if private else 0x10, b"" if private else bytes(3))
        return len(hand.ask(0x41, 0, self.number)) == 64

    def ecdh(self) -> bool:
        hand = self.hand
        hand.before_use(self.number)
        mode = 0x0C if hand.part is not Part.ATECC508A else 0
        if Need(NeedKind.IO_KEY, hand.zone.data[91] >> 4) in hand.met:
            mode = 0x0E
        elif Need(NeedKind.IN_TEMP_KEY) in hand.met:
            mode = 0x08
        elif Need(NeedKind.IN_SLOT, self.number | 1) in hand.met:
            mode = 0 if hand.read_key(self.number) & 8 else 4
        else:
            return len(hand.ask(0x43, mode, self.number, point(private_key(99)))) == 32
        return hand.granted(0x43, mode, self.number, point(private_key(99)))

    def verify(self) -> bool:
        self.hand.validate(self.number)
        self.hand.before_use(self.number)
        self.hand.nonce_for(self.number)
        return self.hand.verify(self.number)

    def gen_dig(self) -> bool:
        return self.hand.gen_dig(self.number)

    def _random_challenge(self) -> bool:
        self.hand.before_use(self.number)
        random = bool(self.hand.key_config(self.number) & 0x40) and Need(NeedKind.RANDOM_NONCE) in self.hand.met
        if random:
            self.hand.nonce(random=True)
        return random

    def mac(self) -> bool:
        random = self._random_challenge()
        hand = self.hand
        challenge = hand.temp_key if random else CHALLENGE
        header = bytes((0x08, random, self.number, 0))
        tail = bytes(11) + hand.serial[:1] + bytes(4) + hand.serial[1:] + bytes(2)
        answer = hand.ask(0x08, random, self.number, b"" if random else CHALLENGE)
        return answer == sha256(hand.secret(self.number) + challenge + header + tail).digest()

    def check_mac(self) -> bool:
        random = self._random_challenge()
        return self.hand.check_mac(self.number, in_temp_key=random)

    def hmac(self) -> bool:
        self.hand.before_use(self.number)
        if not self.hand.granted(0x47, 0x04, self.number):
            return False
        end = 0x02 if self.hand.part is not Part.ATECC508A else 0x05
        key = self.hand.secret(self.number)
        return self.hand.ask(0x47, end, 3, b"abc") == hmac.digest(key, b"abc", "sha256")

    def aes(self) -> bool:
        self.hand.before_use(self.number)
        return len(self.hand.ask(0x51, 0, self.number, CHALLENGE[:16])) == 16

    def kdf(self) -> bool:
        hand = self.hand
        hand.before_use(self.number)
        target = 0x10
        if Need(NeedKind.IO_KEY, hand.zone.data[91] >> 4) in hand.met:
            target = 0x14
        elif Need(NeedKind.IN_TEMP_KEY) in hand.met:
            target = 0
        return hand.granted(0x56, 0x42 | target, self.number, (32 << 24 | 2).to_bytes(4, "little") + CHALLENGE)

    def lock(self) -> bool:
        return self.hand.granted(0x17, 2 | self.number << 2)


class _Also:
    def __init__(self, others: Container[Need], one: Need) -> None:
        self._others = others
        self._one = one

    def __contains__(self, need: object) -> bool:
        return need == self._one or need in self._others


BY_HAND: Final = {
    "read in clear": Acts.read,
    "read encrypted": Acts.read_encrypted,
    "written in clear": Acts.write,
    "written encrypted": Acts.write_encrypted,
    "given a new key by GenKey": Acts.make_key,
    "given a key by PrivWrite": Acts.priv_write,
    "replaced by DeriveKey": Acts.derive,
    "given a result of ECDH": Acts.take_ecdh,
    "given a result of KDF": Acts.take_kdf,
    "validated by its parent": Acts.be_validated,
    "asked for its public key": Acts.public_key,
    "used to sign a loaded digest": Acts.sign,
    "used to sign inside": Acts.sign_inside,
    "used for ECDH": Acts.ecdh,
    "used to verify signatures": Acts.verify,
    "used as a key by GenDig": Acts.gen_dig,
    "used for MAC": Acts.mac,
    "used for HMAC": Acts.hmac,
    "used by CheckMac": Acts.check_mac,
    "used for AES": Acts.aes,
    "used for KDF": Acts.kdf,
    "locked one by one": Acts.lock,
}
