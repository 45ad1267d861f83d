"""The uses of a slot that a rehearsal reports, made by the independent host."""

from __future__ import annotations

import hmac
from collections.abc import Container
from hashlib import sha256
from typing import Final

from atcaprov import Part
from atcaprov.rehearsal.needs import Need, NeedKind
from tests.support.independent_host import CHALLENGE, AllNeeds, IndependentHost, point, private_key, xor


class IndependentUses:
    """Use one slot; each method returns whether the chip did it."""

    def __init__(self, host: IndependentHost, number: int) -> None:
        self.host = host
        self.number = number

    def read(self) -> bool:
        return len(self.host.ask(0x02, 0x02, self.number << 3)) == 4

    def read_encrypted(self) -> bool:
        host, key = self.host, self.host.read_key(self.number)
        if Need(NeedKind.GEN_DIG, key) in host.met:
            host.gen_dig(key, random=True)
        answer = host.ask(0x02, 0x82, self.number << 3)
        return len(answer) == 32 and xor(answer, host.temp_key) == host.content(self.number)[:32]

    def write(self) -> bool:
        if Need(NeedKind.NOT_VALIDATED, self.number) not in self.host.met:
            self.host.met = AllNeeds()
            self.host.validate(self.number)
        return self.host.granted(0x12, 0x82, self.number << 3, CHALLENGE)

    def write_encrypted(self) -> bool:
        return self._encrypted(0x12, 0xC2, self.number << 3, CHALLENGE, 25, b"")

    def priv_write(self) -> bool:
        return self._encrypted(0x46, 0x40, self.number, bytes(4) + CHALLENGE, 21, b"more")

    def _encrypted(self, opcode: int, p1: int, p2: int, plain: bytes, zeros: int, more: bytes) -> bool:
        host, key = self.host, self.host.write_key(self.number)
        if Need(NeedKind.GEN_DIG, key) in host.met:
            host.gen_dig(key)
        header = bytes((opcode, p1, p2 & 0xFF, p2 >> 8))
        mac = sha256(host.temp_key + header + host.serial + bytes(zeros) + plain).digest()
        stream = host.temp_key + (sha256(host.temp_key).digest()[:4] if more else b"")
        return host.granted(opcode, p1, p2, xor(plain, stream) + mac)

    def make_key(self) -> bool:
        self.host.before_use(self.number)
        return self.host.granted(0x40, 4, self.number)

    def derive(self) -> bool:
        host, write_config = self.host, self.host.slot_config(self.number) >> 12
        key = host.write_key(self.number)
        parent = key if write_config & 1 else self.number
        host.before_use(parent, *([key] if write_config & 8 else []))
        host.nonce_for(parent)
        p1 = 4 if host.from_input else 0
        mac = sha256(host.secret(key) + bytes((0x1C, p1, self.number, 0)) + host.serial).digest()
        shown = write_config & 8 and Need(NeedKind.MAC, key) in host.met
        return host.granted(0x1C, p1, self.number, mac if shown else b"")

    def take_ecdh(self) -> bool:
        for source in (self.number - 1, self.number):
            if Need(NeedKind.ECDH_BY, source) in self.host.met:
                self.host.before_use(source)
                mode = 0 if self.host.read_key(source) & 8 else 4
                return self.host.granted(0x43, mode, source, point(private_key(99)))
        return False

    def take_kdf(self) -> bool:
        self.host.nonce(random=False)
        return self.host.granted(0x56, 0x48, self.number << 8, (32 << 24 | 2).to_bytes(4, "little") + CHALLENGE)

    def be_validated(self) -> bool:
        self.host.met = _Also(self.host.met, Need(NeedKind.VALIDATED, self.number))
        return self.host.validate(self.number)

    def public_key(self) -> bool:
        self.host.before_use(self.number)
        return self.host.ask(0x40, 0, self.number) == point(private_key(self.number))

    def sign(self) -> bool:
        self.host.before_use(self.number)
        self.host.nonce(random=False)
        answer = self.host.ask(0x41, 0x80, self.number)
        return len(answer) == 64

    def sign_inside(self) -> bool:
        host = self.host
        host.before_use(self.number)
        sources = [slot for slot in range(16) if Need(NeedKind.GEN_KEY, slot) in host.met]
        mixed = [slot for slot in range(16) if Need(NeedKind.GEN_DIG, slot) in host.met]
        if mixed:
            host.gen_dig(mixed[0])
        else:
            host.nonce_for(*sources) if sources else host.nonce(random=True)
        for source in sources:
            private = host.zone.slots[source].private
            host.gen_key_digest(source, 0x08 if private else 0x10, b"" if private else bytes(3))
        return len(host.ask(0x41, 0, self.number)) == 64

    def ecdh(self) -> bool:
        host = self.host
        host.before_use(self.number)
        mode = 0x0C if host.part is not Part.ATECC508A else 0
        if Need(NeedKind.IO_KEY, host.zone.data[91] >> 4) in host.met:
            mode = 0x0E
        elif Need(NeedKind.IN_TEMP_KEY) in host.met:
            mode = 0x08
        elif Need(NeedKind.IN_SLOT, self.number | 1) in host.met:
            mode = 0 if host.read_key(self.number) & 8 else 4
        else:
            return len(host.ask(0x43, mode, self.number, point(private_key(99)))) == 32
        return host.granted(0x43, mode, self.number, point(private_key(99)))

    def verify(self) -> bool:
        self.host.validate(self.number)
        self.host.before_use(self.number)
        self.host.nonce_for(self.number)
        return self.host.verify(self.number)

    def gen_dig(self) -> bool:
        return self.host.gen_dig(self.number)

    def _random_challenge(self) -> bool:
        self.host.before_use(self.number)
        random = bool(self.host.key_config(self.number) & 0x40) and Need(NeedKind.RANDOM_NONCE) in self.host.met
        if random:
            self.host.nonce(random=True)
        return random

    def mac(self) -> bool:
        random = self._random_challenge()
        host = self.host
        challenge = host.temp_key if random else CHALLENGE
        header = bytes((0x08, random, self.number, 0))
        tail = bytes(11) + host.serial[:1] + bytes(4) + host.serial[1:] + bytes(2)
        answer = host.ask(0x08, random, self.number, b"" if random else CHALLENGE)
        return answer == sha256(host.secret(self.number) + challenge + header + tail).digest()

    def check_mac(self) -> bool:
        random = self._random_challenge()
        return self.host.check_mac(self.number, in_temp_key=random)

    def hmac(self) -> bool:
        self.host.before_use(self.number)
        if not self.host.granted(0x47, 0x04, self.number):
            return False
        end = 0x02 if self.host.part is not Part.ATECC508A else 0x05
        key = self.host.secret(self.number)
        return self.host.ask(0x47, end, 3, b"abc") == hmac.digest(key, b"abc", "sha256")

    def aes(self) -> bool:
        self.host.before_use(self.number)
        return len(self.host.ask(0x51, 0, self.number, CHALLENGE[:16])) == 16

    def kdf(self) -> bool:
        host = self.host
        host.before_use(self.number)
        target = 0x10
        if Need(NeedKind.IO_KEY, host.zone.data[91] >> 4) in host.met:
            target = 0x14
        elif Need(NeedKind.IN_TEMP_KEY) in host.met:
            target = 0
        return host.granted(0x56, 0x42 | target, self.number, (32 << 24 | 2).to_bytes(4, "little") + CHALLENGE)

    def lock(self) -> bool:
        return self.host.granted(0x17, 2 | self.number << 2)


class _Also:
    def __init__(self, others: Container[Need], one: Need) -> None:
        self._others = others
        self._one = one

    def __contains__(self, need: object) -> bool:
        return need == self._one or need in self._others


INDEPENDENT_USES: Final = {
    "read in clear": IndependentUses.read,
    "read encrypted": IndependentUses.read_encrypted,
    "written in clear": IndependentUses.write,
    "written encrypted": IndependentUses.write_encrypted,
    "given a new key by GenKey": IndependentUses.make_key,
    "given a key by PrivWrite": IndependentUses.priv_write,
    "replaced by DeriveKey": IndependentUses.derive,
    "given a result of ECDH": IndependentUses.take_ecdh,
    "given a result of KDF": IndependentUses.take_kdf,
    "validated by its parent": IndependentUses.be_validated,
    "asked for its public key": IndependentUses.public_key,
    "used to sign a loaded digest": IndependentUses.sign,
    "used to sign inside": IndependentUses.sign_inside,
    "used for ECDH": IndependentUses.ecdh,
    "used to verify signatures": IndependentUses.verify,
    "used as a key by GenDig": IndependentUses.gen_dig,
    "used for MAC": IndependentUses.mac,
    "used for HMAC": IndependentUses.hmac,
    "used by CheckMac": IndependentUses.check_mac,
    "used for AES": IndependentUses.aes,
    "used for KDF": IndependentUses.kdf,
    "locked one by one": IndependentUses.lock,
}
