"""Speed of the software chip in this process and on a virtual clock, beside the bare operations of `cryptography`."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable
from statistics import median

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from atcaprov import SoftwareChip
from atcaprov.chip.commands import Opcode
from atcaprov.emulator.images import BLANK, load_image
from atcaprov.emulator.random_source import SystemRandom
from tests.benchmarks.report import Figure, report
from tests.support.chips import packet, reply_body

ROUNDS = 1500
ECDSA = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
DIGEST = bytes(range(32))


def chip_with_key() -> tuple[SoftwareChip, bytes]:
    chip = SoftwareChip()
    chip.wake()
    chip.exchange(packet(Opcode.LOCK, 0x80))
    public_key = reply_body(chip.exchange(packet(Opcode.GEN_KEY, 4, 0)))
    chip.exchange(packet(Opcode.NONCE, 0x43, 0, DIGEST))
    return chip, public_key


def microseconds(operation: Callable[[], object]) -> float:
    start = time.perf_counter()
    operation()
    return (time.perf_counter() - start) * 1e6


def beside(chip: SoftwareChip, request: bytes, bare: Callable[[], object]) -> tuple[float, float]:
    """Return the medians of the chip's command and of the bare operation, taken in turn."""
    on_chip, alone = [], []
    for _ in range(ROUNDS):
        chip.idle()
        chip.wake()
        on_chip.append(microseconds(lambda: chip.exchange(request)))
        alone.append(microseconds(bare))
        assert chip.last_refusal is None
    return median(on_chip), median(alone)


def test_commands_with_a_key() -> None:
    chip, public_key = chip_with_key()
    key = ec.generate_private_key(ec.SECP256R1())
    der = key.sign(DIGEST, ECDSA)
    public = key.public_key()
    signature = reply_body(chip.exchange(packet(Opcode.SIGN, 0xA0, 0)))
    operations: dict[str, tuple[bytes, Callable[[], object]]] = {
        "sign": (packet(Opcode.SIGN, 0xA0, 0), lambda: key.sign(DIGEST, ECDSA)),
        "verify": (
            packet(Opcode.VERIFY, 0x22, 4, signature + public_key),
            lambda: public.verify(der, DIGEST, ECDSA),
        ),
        "genkey": (packet(Opcode.GEN_KEY, 4, 0), lambda: ec.generate_private_key(ec.SECP256R1())),
    }
    for name, (request, bare) in operations.items():
        took, alone = beside(chip, request, bare)
        note = f"bare operation {alone:.1f} us; limit 1.5 times that + 30 us = {1.5 * alone + 30:.1f} us"
        report(Figure(f"emulator.{name}_us", took, "us", note))


def test_info() -> None:
    chip, _ = chip_with_key()
    request = packet(Opcode.INFO)
    count = 200  # one wake serves 260 of them before the watchdog, in the chip's own time

    def burst() -> None:
        chip.idle()
        chip.wake()
        for _ in range(count):
            chip.exchange(request)

    rate = count / (median(microseconds(burst) for _ in range(100)) / 1e6)
    assert chip.last_refusal is None
    report(Figure("emulator.info_per_s", rate, "1/s", "exchanges of one Info packet; limit 30,000"))


def test_start_and_memory() -> None:
    image, source = load_image(BLANK), SystemRandom()
    start = median(microseconds(lambda: SoftwareChip(image.make(source))) for _ in range(ROUNDS))
    report(Figure("emulator.start_us", start, "us", "a blank ATECC608A from its image; limit 1,000"))
    gc.collect()
    tracemalloc.start()
    chips = [SoftwareChip(image.make(source)) for _ in range(1000)]
    size = tracemalloc.get_traced_memory()[0] / 2**20
    tracemalloc.stop()
    assert len({chip.memory.serial for chip in chips}) == 1000
    report(Figure("emulator.chips_mib_per_1000", size, "MiB", "1,000 blank chips; limit for 10,000: 1,536 MiB"))
