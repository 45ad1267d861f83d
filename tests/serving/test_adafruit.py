"""Adafruit's CircuitPython driver, unchanged, over a bus whose transactions go to the i2c port."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from atcaprov import SoftwareChip
from atcaprov.chip.execution_times import Times
from atcaprov.emulator.images import load_image
from atcaprov.emulator.random_source import SystemRandom
from atcaprov.serving.chips import ServedClock
from tests.support.served_chips import Client, Served, served

adafruit_atecc = importlib.import_module("adafruit_atecc.adafruit_atecc")


BYTE_SECONDS = 9 / 100_000


class FakeBus:
    """A `busio.I2C` of CircuitPython: a NAK is an OSError."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.naks = 0

    def try_lock(self) -> bool:
        return True

    def unlock(self) -> None:
        """No other program uses the bus."""

    def writeto(self, address: int, buffer: bytes, *, start: int = 0, end: int | None = None) -> None:
        data = bytes(buffer[start:end])
        self._client.send(b"W\0" + bytes((address,)) + len(data).to_bytes(2, "little") + data)
        self._acknowledge()

    def readfrom_into(self, address: int, buffer: bytearray, *, start: int = 0, end: int | None = None) -> None:
        count = len(buffer[start:end])
        self._client.send(b"R\0" + bytes((address,)) + count.to_bytes(2, "little"))
        self._acknowledge()
        buffer[start : start + count] = self._client.take(count)

    def _acknowledge(self) -> None:
        if self._client.take(1) != b"\0":
            self.naks += 1
            raise OSError(19, "No such device")


class SlowBus(FakeBus):
    """A bus at 100 kHz: each byte takes nine bits of the chip's time, and nothing else advances it."""

    def __init__(self, client: Client, chip: SoftwareChip) -> None:
        super().__init__(client)
        self.clock = chip.clock

    def writeto(self, address: int, buffer: bytes, *, start: int = 0, end: int | None = None) -> None:
        self.wait(BYTE_SECONDS)
        super().writeto(address, buffer, start=start, end=end)
        self.wait(len(buffer[start:end]) * BYTE_SECONDS)

    def readfrom_into(self, address: int, buffer: bytearray, *, start: int = 0, end: int | None = None) -> None:
        self.wait(BYTE_SECONDS)
        super().readfrom_into(address, buffer, start=start, end=end)
        self.wait(len(buffer[start:end]) * BYTE_SECONDS)

    def wait(self, seconds: float) -> None:
        self.clock.wait_until(self.clock.now() + seconds)


@pytest.fixture(params=["atecc508a", "atecc608a"])
def chip(request: pytest.FixtureRequest) -> SoftwareChip:
    return SoftwareChip(load_image(request.param).make(SystemRandom()))


@pytest.fixture
def server(chip: SoftwareChip) -> Iterator[Served]:
    with served(chip) as found:
        yield found


@pytest.fixture
def bus(server: Served) -> Iterator[FakeBus]:
    with server.client("i2c") as client:
        yield FakeBus(client)


@pytest.fixture
def driver(bus: FakeBus, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The driver; its fixed delays are left out, because the chips run on virtual time."""
    monkeypatch.setattr(adafruit_atecc.time, "sleep", lambda _seconds: None)
    return adafruit_atecc.ATECC(bus)


@pytest.fixture
def config(chip: SoftwareChip) -> bytearray:
    """The configuration of the part as it comes from the factory."""
    return bytearray(chip.memory.config)


def test_it_finds_the_chip(driver: Any, bus: FakeBus, chip: SoftwareChip) -> None:
    assert driver.version() == (0x5000 if chip.memory.is_508 else 0x6002)
    assert bus.naks, "wake pulses are not acknowledged"
    assert not driver.locked


def test_the_driver_reads_the_serial_number_in_its_own_way(driver: Any, chip: SoftwareChip) -> None:
    """It reads words 0, 2 and 3, so its last byte is byte 12 of the zone."""
    config = chip.memory.config
    assert driver.serial_number == bytes(config[0:4] + config[8:13]).hex().upper()


def test_it_takes_a_chip_from_blank_to_a_signature(driver: Any, config: bytearray) -> None:
    driver.write_config(config)
    driver.lock(0)
    public_key = bytes(driver.gen_key(bytearray(64), 0, private_key=True))
    driver.lock(1)
    assert driver.locked
    assert bytes(driver.gen_key(bytearray(64), 0)) == public_key
    digest = sha256(b"a message").digest()
    signature = bytes(driver.ecdsa_sign(0, bytearray(digest)))
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + public_key)
    der = utils.encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))
    key.verify(der, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))


@pytest.mark.parametrize("image", ["atecc508a", "atecc608a", "atecc608b"])
def test_its_delays_are_long_enough_for_chips_with_typical_times(image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits 1 ms for the wake and 70 for a signature, then asks 20 times and gives up."""
    memory = load_image(image).make(SystemRandom())
    chip = SoftwareChip(memory, clock=ServedClock(1e-9), times=Times.TYPICAL)
    with served(chip) as server, server.client("i2c") as client:
        bus = SlowBus(client, chip)
        monkeypatch.setattr(adafruit_atecc.time, "sleep", bus.wait)
        driver = adafruit_atecc.ATECC(bus)
        driver.write_config(bytearray(memory.config))
        driver.lock(0)
        public_key = bytes(driver.gen_key(bytearray(64), 0, private_key=True))
        driver.lock(1)
        assert bytes(driver.gen_key(bytearray(64), 0)) == public_key
        assert len(driver.ecdsa_sign(0, bytearray(32))) == 64
        assert driver.counter(0, increment_counter=True)
        driver.sha_start()
        assert bytes(driver.sha_digest(bytearray(b"abc"))) == sha256(b"abc").digest()


@pytest.mark.parametrize("size", [0, 1, 63, 64, 127, 200])
def test_its_sha_256_over_several_commands_is_right(driver: Any, size: int) -> None:
    """Whole blocks of 64 bytes and an end of 0 to 63, which the ATECC508A takes, too."""
    message = bytes(range(size))
    driver.sha_start()
    whole = size // 64 * 64
    for start in range(0, whole, 64):
        driver.sha_update(message[start : start + 64])
    assert bytes(driver.sha_digest(bytearray(message[whole:]))) == sha256(message).digest()


def test_a_whole_block_at_the_end_is_for_the_608(driver: Any, chip: SoftwareChip) -> None:
    """DS20005927A section 9.17: the last part has 0 to 63 bytes."""
    driver.sha_start()
    if chip.memory.is_508:
        with pytest.raises(RuntimeError):
            driver.sha_digest(bytearray(64))
    else:
        assert bytes(driver.sha_digest(bytearray(64))) == sha256(bytes(64)).digest()


def test_its_counter_counts(driver: Any, chip: SoftwareChip) -> None:
    found = [int.from_bytes(driver.counter(0, increment_counter=step), "little") for step in (False, True, True)]
    assert found == [0, 1, 2]


def test_its_random_numbers_and_nonces(driver: Any, config: bytearray) -> None:
    driver.write_config(config)
    driver.lock(0)
    assert 0 <= driver.random(0, 1000) < 1000
    nonces = {bytes(driver.nonce(bytearray(20))) for _ in range(4)}
    assert len(nonces) == 4


def test_its_key_agreement_is_the_peers(driver: Any, chip: SoftwareChip, config: bytearray) -> None:
    """The mode of the ATECC608 asks for a clear answer; the ATECC508A knows mode 0 only (DS20005927A section 9.5)."""
    driver.write_config(config)
    driver.lock(0)
    public_key = bytes(driver.gen_key(bytearray(64), 1, private_key=True))
    driver.lock(1)
    peer = ec.generate_private_key(ec.SECP256R1())
    point = peer.public_key().public_numbers()
    mode = {"mode": 0} if chip.memory.is_508 else {}
    secret = bytes(driver.ecdh(1, bytearray(point.x.to_bytes(32) + point.y.to_bytes(32)), **mode))
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + public_key)
    assert secret == peer.exchange(ec.ECDH(), key)


def test_refused_lock_is_reported(driver: Any) -> None:
    driver.lock(0)
    with pytest.raises(AssertionError, match="Failed locking"):
        driver.lock(0)
