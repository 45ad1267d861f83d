"""Lock a configuration on a software chip before it is locked on a real one, and see what is left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from atcaprov.chip.commands import (
    GEN_KEY_PUBLIC,
    LOCK_CONFIG,
    LOCK_DATA,
    LOCK_NO_CRC,
    LOCK_SLOT,
    Opcode,
)
from atcaprov.chip.crc import crc16
from atcaprov.chip.memory_map import PUBLIC_KEY_SIZE, SLOT_CONFIG, SLOT_COUNT, USER_EXTRA, USER_EXTRA_ADD
from atcaprov.config_zone.findings import Finding, Level, Product, Rule
from atcaprov.config_zone.model import ConfigZone, Part
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.images import BLANK, load_image
from atcaprov.emulator.random_source import SystemRandom
from atcaprov.rehearsal.filling import CONTENT, fill
from atcaprov.rehearsal.slot_probes import ACTS, CHANGES, SIGN_EXTERNAL
from atcaprov.rehearsal.slot_uses import Needs, needs_of
from atcaprov.rehearsal.trial_chip import Twin

_FIRST_WORD: Final = 4


@dataclass(frozen=True)
class Rehearsal:
    """What came of it: purposes that can't be served, and for each act the slots that it still works on."""

    findings: tuple[Finding, ...]
    twin: Twin
    """The chip after all locks."""

    @cached_property
    def needs(self) -> Mapping[str, Mapping[int, Needs]]:
        """For each act the slots that it works on, and what it needs there."""
        return {act: _working(self.twin, act) for act in ACTS}

    @property
    def slots(self) -> dict[str, tuple[int, ...]]:
        """For each act the slots that it works on."""
        return {act: tuple(found) for act, found in self.needs.items()}

    @property
    def fixed(self) -> tuple[int, ...]:
        """Slots whose content never changes again."""
        changing = {number for act in CHANGES for number in self.needs[act]}
        return tuple(number for number in range(SLOT_COUNT) if number not in changing)

    def lines(self) -> list[str]:
        """Return a line for each act with the slots that it works on, and one for the slots that never change."""
        acts = [f"{act:<30}{slot_list(numbers)}" for act, numbers in self.slots.items()]
        return [*acts, f"{'never changed again':<30}{slot_list(self.fixed)}"]

    def needs_lines(self) -> list[str]:
        """Return a line for each act and slot that need something, with what it is."""
        return [
            f"slot {number} {act}: {', '.join(map(str, needs))}"
            for act, found in self.needs.items()
            for number, needs in found.items()
            if needs
        ]


def rehearse(zone: ConfigZone, product: Product) -> Rehearsal:
    """Take a new software chip through the configuration, the product's writes and all its locks, and try every slot.

    Bytes 0-15 and 86-87 of `zone` don't count. When the slots are tried, what they ask for is met, as by a chip in use,
    and named; the device key is tried without.
    """
    image = BLANK if product.part is Part.ATECC608 else product.part.lower()
    chip = Chip(load_image(image).make(SystemRandom()))
    twin = Twin(chip)
    _configure(twin, zone)
    findings = [*_fill(twin, zone, product), *_lock(twin, product), *_serve(twin, product)]
    return Rehearsal(tuple(findings), twin)


def _configure(twin: Twin, zone: ConfigZone) -> None:
    for word in range(_FIRST_WORD, len(zone.data) // 4):
        if word != USER_EXTRA // 4:
            twin.ask(Opcode.WRITE, 0, word, zone.data[4 * word : 4 * word + 4])
    for mode, byte in enumerate((USER_EXTRA, USER_EXTRA_ADD)):
        twin.ask(Opcode.UPDATE_EXTRA, mode, zone.data[byte])
    twin.ask(Opcode.LOCK, LOCK_CONFIG, crc16(bytes(twin.chip.memory.config)))


def _fill(twin: Twin, zone: ConfigZone, product: Product) -> Iterator[Finding]:
    """Make the keys and write the slots, as it is done while the data zone is open."""
    wanted = product.certificate_slots | (product.written_slots or frozenset())
    for slot in zone.slots:
        number = slot.number
        taken = twin.write(number, CONTENT) if number in product.certificate_slots else fill(twin, number)
        if taken:
            continue
        if slot.private and number == product.device_key_slot:
            yield _failure(Rule.DEVICE_KEY, number, "takes no key before the data lock", twin)
        elif not slot.private and number in wanted:
            rule = Rule.CERTIFICATE_SLOT if number in product.certificate_slots else Rule.UNWRITTEN_SECRET
            yield _failure(rule, number, "cannot be written before the data lock", twin)


def _lock(twin: Twin, product: Product) -> Iterator[Finding]:
    twin.ask(Opcode.LOCK, LOCK_DATA | LOCK_NO_CRC)
    for number in sorted(product.slots_to_lock):
        if not twin.does(Opcode.LOCK, LOCK_SLOT | number << 2):
            yield _failure(Rule.SLOT_TO_LOCK, number, "cannot be locked", twin)


def _serve(twin: Twin, product: Product) -> Iterator[Finding]:
    """Use the device key and read the certificates, as the client and the product do after all locks."""
    number = product.device_key_slot
    if number is not None:
        if len(twin.ask(Opcode.GEN_KEY, GEN_KEY_PUBLIC, number)) != PUBLIC_KEY_SIZE:
            yield _failure(Rule.DEVICE_KEY, number, "does not give the device's public key", twin)
        if not (twin.nonce(random=False) and twin.does(Opcode.SIGN, SIGN_EXTERNAL, number)):
            yield _failure(Rule.DEVICE_KEY, number, "does not sign for the device", twin)
    for number in sorted(product.certificate_slots):
        if twin.read(number, len(CONTENT)) != CONTENT:
            yield _failure(Rule.CERTIFICATE_SLOT, number, "does not give back the certificate that was written", twin)


def _working(twin: Twin, act: str) -> dict[int, Needs]:
    tried = {number: needs_of(twin, act, number) for number in range(SLOT_COUNT)}
    return {number: needs for number, needs in tried.items() if needs is not None}


def _failure(rule: Rule, number: int, what: str, twin: Twin) -> Finding:
    reason = f": {twin.why}" if twin.why else ""
    message = f"slot {number} {what}, as a software chip shows{reason}."
    return Finding(Level.ERROR, rule, SLOT_CONFIG + 2 * number, message, slot=number)


def slot_list(numbers: Iterable[int]) -> str:
    """Return slot numbers as text, such as `0-2, 5`; `none` if there are none."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs) or "none"
