"""A host that drives a chip in use by itself: it computes every message, key and nonce, and takes none from the chip.

Message layouts: DS20005927A, chapter 9, and cryptoauthlib lib/host/atca_host.c.
"""

from __future__ import annotations

from collections.abc import Container
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature

from atcaprov import ConfigZone, Part, SoftwareChip
from atcaprov.chip.memory_map import SLOT_SIZES
from atcaprov.emulator.images import load_image
from atcaprov.emulator.open_points import OpenPoints
from atcaprov.emulator.random_source import SeededRandom
from atcaprov.rehearsal.needs import Need, NeedKind
from tests.support.chips import packet, reply_body

CHALLENGE: Final = bytes(range(32))
_P256: Final = ec.SECP256R1()
_MOST_USES: Final = 2_097_151


def private_key(slot: int) -> ec.EllipticCurvePrivateKey:
    """Return the key that belongs to a slot: in it if it is private, else its public half is."""
    return ec.derive_private_key(1000 + slot, _P256)


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return X and Y."""
    numbers = key.public_key().public_numbers()
    return numbers.x.to_bytes(32) + numbers.y.to_bytes(32)


def xor(one: bytes, other: bytes) -> bytes:
    return bytes(left ^ right for left, right in zip(one, other, strict=True))


class AllNeeds:
    """Contain every need."""

    def __contains__(self, need: object) -> bool:
        return True


class IndependentHost:
    """Drive a new chip with a configuration, both zones locked and every slot filled.

    Before a use it meets those needs of the use that are in `met`.
    """

    def __init__(
        self,
        zone: bytes,
        part: Part,
        met: Container[Need],
        *,
        uses_left: bool = True,
        open_points: OpenPoints | None = None,
    ) -> None:
        source = SeededRandom(b"by hand")
        memory = load_image(part.lower()).make(source)
        memory.config[16:84] = zone[16:84]
        memory.config[88:] = zone[88:]
        memory.config[84:88] = bytes((zone[84], zone[85], 0, 0))
        self.zone = ConfigZone(bytes(memory.config))
        self.part = part
        self.met = met
        for number, size in enumerate(SLOT_SIZES):
            memory.write_slot(number, 0, self.content(number)[:size])
        if not uses_left:
            memory.config[52:60] = bytes.fromhex("00000001FFFFFFFF")  # 2097151, tests/vectors/counters.json
            memory.config[68:84] = bytes(16) if part is Part.ATECC508A else memory.config[68:84]
        self.serial = memory.serial[8:] + memory.serial[:2]
        self.chip = SoftwareChip(memory, random_source=source, open_points=open_points)
        self.temp_key = bytes(32)
        self.from_input = False
        self.latched = False
        self.valid: set[int] = set()

    def content(self, number: int) -> bytes:
        slot = self.zone.slots[number]
        public = point(private_key(number))
        if slot.private and not self.may_hold_key(number):
            return b"\xff" * 416
        if slot.private:
            return bytes(4) + private_key(number).private_numbers().private_value.to_bytes(32)
        if self.is_public_key(number):
            return bytes(4) + public[:32] + bytes(4) + public[32:]
        if self.part is not Part.ATECC508A and self.zone.data[18] & 1 and self.zone.data[18] >> 4 == number:
            return 2 * _MOST_USES.to_bytes(4, "little") + bytes(416)
        return sha256(b"slot %d" % number).digest() * 13

    # What the configuration says

    def key_config(self, number: int) -> int:
        return int.from_bytes(self.zone.data[96 + 2 * number : 98 + 2 * number], "little")

    def slot_config(self, number: int) -> int:
        return int.from_bytes(self.zone.data[20 + 2 * number : 22 + 2 * number], "little")

    def is_public_key(self, number: int) -> bool:
        return number >= 8 and self.key_config(number) & 1 == 0 and self.key_config(number) >> 2 & 7 == 4

    def may_hold_key(self, number: int) -> bool:
        return self.key_config(number) >> 2 & 7 == 4 and bool(self.slot_config(number) & 0x80)

    def read_key(self, number: int) -> int:
        return self.slot_config(number) & 15

    def write_key(self, number: int) -> int:
        return self.slot_config(number) >> 8 & 15

    def secret(self, number: int) -> bytes:
        return self.content(number)[:32]

    # Commands

    def ask(self, opcode: int, p1: int = 0, p2: int = 0, data: bytes = b"") -> bytes:
        self.chip.wake()
        body = reply_body(self.chip.exchange(packet(opcode, p1, p2, data)))
        self.chip.idle()
        return body

    def granted(self, opcode: int, p1: int = 0, p2: int = 0, data: bytes = b"") -> bool:
        body = self.ask(opcode, p1, p2, data)
        return len(body) > 1 or body == b"\0"

    def nonce(self, *, random: bool) -> None:
        if random:
            answer = self.ask(0x16, 0, 0, bytes(20))
            self.temp_key = sha256(answer + bytes(20) + bytes((0x16, 0, 0))).digest()
        else:
            self.ask(0x16, 3, 0, CHALLENGE)
            self.temp_key = CHALLENGE
        self.from_input = not random

    def nonce_for(self, *numbers: int, random: bool = False) -> None:
        asked = random or any(self.key_config(number) & 0x40 for number in numbers)
        self.nonce(random=asked and Need(NeedKind.RANDOM_NONCE) in self.met)

    def check_mac(self, number: int, *, in_temp_key: bool) -> bool:
        challenge = self.temp_key if in_temp_key else CHALLENGE
        message = (self.secret(number), challenge, bytes(15), self.serial[:1], bytes(4), self.serial[1:], bytes(2))
        response = sha256(b"".join(message)).digest()
        return self.granted(0x28, in_temp_key, number, CHALLENGE + response + bytes(13))

    def signature(self, number: int, digest: bytes) -> bytes:
        r, s = decode_dss_signature(private_key(number).sign(digest, ec.ECDSA(Prehashed(hashes.SHA256()))))
        return r.to_bytes(32) + s.to_bytes(32)

    def verify(self, number: int) -> bool:
        return self.granted(0x45, 0, number, self.signature(number, self.temp_key))

    def gen_key_digest(self, number: int, mode: int, data: bytes = b"") -> None:
        parameters = data or bytes((mode, number, 0))
        done = self.granted(0x40, mode, number, data)
        message = (self.temp_key, b"\x40", parameters, self.serial, bytes(25), point(private_key(number)))
        self.temp_key = sha256(b"".join(message)).digest() if done else self.temp_key

    def gen_dig(self, number: int, *, random: bool = False) -> bool:
        self.before_use(number)
        self.nonce_for(number, random=random)
        header = bytes((0x15, 2, number, 0))
        verify_only = bool(self.slot_config(number) & 0x10)
        other = header if verify_only and Need(NeedKind.OTHER_DATA, number) in self.met else b""
        message = self.secret(number) + header + self.serial + bytes(25) + self.temp_key
        done = self.granted(0x15, 2, number, other)
        self.temp_key = sha256(message).digest() if done else self.temp_key
        return done

    # What a chip in use is given first

    def before_use(self, *numbers: int, open_keys: tuple[int, ...] = ()) -> None:
        """Set the latch and authorize, as far as keys ask for it and it is met."""
        for number in numbers:
            if self.key_config(number) & 0x1000 and not self.latched:
                self.set_latch(open_keys)
        for number in sorted({self.key_config(n) >> 8 & 15 for n in numbers if self.key_config(n) & 0x80}):
            self.authorize(number, open_keys)

    def set_latch(self, open_keys: tuple[int, ...]) -> None:
        number = self.zone.data[69] & 15
        if Need(NeedKind.LATCH, number) in self.met and number not in open_keys:
            self.authorize(number, open_keys)
            self.latched = self.granted(0x30, 4, 3)

    def authorize(self, number: int, open_keys: tuple[int, ...] = ()) -> None:
        if number in open_keys:
            return
        kind = NeedKind.VERIFY if self.is_public_key(number) else NeedKind.CHECK_MAC
        if Need(kind, number) not in self.met:
            return
        if kind is NeedKind.VERIFY:
            self.validate(number, open_keys)
        self.before_use(number, open_keys=(*open_keys, number))
        self.nonce(random=True)
        self.verify(number) if kind is NeedKind.VERIFY else self.check_mac(number, in_temp_key=True)

    def validate(self, number: int, open_keys: tuple[int, ...] = ()) -> bool:
        asks = self.is_public_key(number) and self.key_config(number) & 2
        if not asks or number in self.valid or number in open_keys or Need(NeedKind.VALIDATED, number) not in self.met:
            return False
        parent = self.read_key(number)
        self.validate(parent, (*open_keys, number))
        self.before_use(number, parent, open_keys=(*open_keys, number))
        self.nonce_for(number, parent)
        self.gen_key_digest(number, 0x10, bytes(3))
        signed = bytes((0x41,)) + bytes(10) + self.serial[:1] + bytes(4) + self.serial[1:] + bytes(5)
        signature = self.signature(parent, sha256(self.temp_key + signed).digest())
        if not self.granted(0x45, 3, number, signature + bytes(19)):
            return False
        self.valid.add(number)
        return True
