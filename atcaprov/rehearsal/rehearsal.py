"""Lock a configuration on a software chip before a real one is locked, to see what its slots can still do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
    Zone,
)
from atcaprov.chip.crc import crc16
from atcaprov.chip.memory_map import PUBLIC_KEY_SIZE, SLOT_CONFIG, SLOT_COUNT, USER_EXTRA, USER_EXTRA_ADD, WORD_SIZE
from atcaprov.chip.modes import LOCK_SLOT_SHIFT, SIGN_EXTERNAL
from atcaprov.config_zone.findings import Finding, Level, Product, Rule
from atcaprov.config_zone.zone import ConfigZone, Part
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.images import BLANK, load_image
from atcaprov.emulator.random_source import SystemRandom
from atcaprov.rehearsal.slot_probes import CHANGING_USES
from atcaprov.rehearsal.slot_uses import Needs, Uses, uses_of
from atcaprov.rehearsal.trial_chip import CONTENT, TrialChip

_FIRST_WORD: Final = 4


@dataclass(frozen=True)
class SlotRehearsal:
    """What one slot can be used for while the data zone is open, and after all locks; each use with its needs."""

    slot: int
    before: Mapping[str, Needs]
    after: Mapping[str, Needs]

    @property
    def lost(self) -> tuple[str, ...]:
        """The uses that the locks take away."""
        return tuple(use for use in self.before if use not in self.after)


@dataclass(frozen=True)
class Rehearsal:
    """The chip before and after the locks, and the errors: what the product needs and the chip refuses."""

    findings: tuple[Finding, ...]
    open_chip: TrialChip
    """The chip with all slots filled and the data zone open."""
    locked_chip: TrialChip
    """The chip after all locks."""

    @cached_property
    def before(self) -> Uses:
        """What the slots can be used for while the data zone is open."""
        return uses_of(self.open_chip)

    @cached_property
    def needs(self) -> Uses:
        """What the slots can be used for after all locks."""
        return uses_of(self.locked_chip)

    @property
    def slots(self) -> dict[str, tuple[int, ...]]:
        """For each use the slots on which it works after all locks."""
        return {use: tuple(found) for use, found in self.needs.items()}

    @property
    def fixed(self) -> tuple[int, ...]:
        """Slots whose content never changes again."""
        changing = {number for use in CHANGING_USES for number in self.needs[use]}
        return tuple(number for number in range(SLOT_COUNT) if number not in changing)

    def by_slot(self) -> tuple[SlotRehearsal, ...]:
        """Return what each of the 16 slots can be used for."""
        return tuple(
            SlotRehearsal(number, _uses_of_slot(self.before, number), _uses_of_slot(self.needs, number))
            for number in range(SLOT_COUNT)
        )


def _uses_of_slot(uses: Uses, number: int) -> dict[str, Needs]:
    return {use: slots[number] for use, slots in uses.items() if number in slots}


def rehearse(zone: ConfigZone, product: Product) -> Rehearsal:
    """Take a new software chip through the configuration, the product's writes and all its locks.

    Bytes 0-15 and 86-87 of `zone` do not count. The device key is used, and the certificates are read, as the product
    does it; what any slot can be used for is tried when it is asked for.
    """
    image = BLANK if product.part is Part.ATECC608 else product.part.lower()
    trial = TrialChip(Chip(load_image(image).make(SystemRandom())))
    _configure(trial, zone)
    findings = [*_fill(trial, zone, product)]
    open_chip = trial.fork()
    findings += [*_lock(trial, product), *_serve(trial, product)]
    return Rehearsal(tuple(findings), open_chip, trial)


def _configure(trial: TrialChip, zone: ConfigZone) -> None:
    """Write the configuration zone, as far as a chip lets it be written, and lock it."""
    for word in range(_FIRST_WORD, len(zone.data) // WORD_SIZE):
        if word != USER_EXTRA // WORD_SIZE:  # bytes 84 to 87 change by UpdateExtra and Lock only
            start = WORD_SIZE * word
            trial.ask(Opcode.WRITE, Zone.CONFIG, word, zone.data[start : start + WORD_SIZE])
    for mode, byte in enumerate((USER_EXTRA, USER_EXTRA_ADD)):
        trial.ask(Opcode.UPDATE_EXTRA, mode, zone.data[byte])
    trial.ask(Opcode.LOCK, LOCK_CONFIG, crc16(bytes(trial.chip.memory.config)))


def _fill(trial: TrialChip, zone: ConfigZone, product: Product) -> Iterator[Finding]:
    """Make the keys and write the slots, as it is done while the data zone is open."""
    wanted = product.certificate_slots | (product.written_slots or frozenset())
    for slot in zone.slots:
        number = slot.number
        taken = trial.write(number, CONTENT) if number in product.certificate_slots else trial.fill(number)
        if taken:
            continue
        if slot.private and number == product.device_key_slot:
            yield _failure(Rule.DEVICE_KEY, number, "takes no key before the data lock", trial)
        elif not slot.private and number in wanted:
            rule = Rule.CERTIFICATE_SLOT if number in product.certificate_slots else Rule.UNWRITTEN_SECRET
            yield _failure(rule, number, "cannot be written before the data lock", trial)


def _lock(trial: TrialChip, product: Product) -> Iterator[Finding]:
    trial.ask(Opcode.LOCK, LOCK_DATA | LOCK_NO_CRC)
    for number in sorted(product.slots_to_lock):
        if not trial.does(Opcode.LOCK, LOCK_SLOT | number << LOCK_SLOT_SHIFT):
            yield _failure(Rule.SLOT_TO_LOCK, number, "cannot be locked", trial)


def _serve(trial: TrialChip, product: Product) -> Iterator[Finding]:
    """Use the device key and read the certificates, as the client and the product do after all locks."""
    number = product.device_key_slot
    if number is not None:
        if len(trial.ask(Opcode.GEN_KEY, GEN_KEY_PUBLIC, number)) != PUBLIC_KEY_SIZE:
            yield _failure(Rule.DEVICE_KEY, number, "does not give the device's public key", trial)
        if not (trial.nonce(random=False) and trial.does(Opcode.SIGN, SIGN_EXTERNAL, number)):
            yield _failure(Rule.DEVICE_KEY, number, "does not sign for the device", trial)
    for number in sorted(product.certificate_slots):
        if trial.read(number, len(CONTENT)) != CONTENT:
            yield _failure(Rule.CERTIFICATE_SLOT, number, "does not give back the certificate that was written", trial)


def _failure(rule: Rule, number: int, what: str, trial: TrialChip) -> Finding:
    reason = f": {trial.why}" if trial.why else ""
    message = f"slot {number} {what}, as a software chip shows{reason}."
    return Finding(Level.ERROR, rule, SLOT_CONFIG + 2 * number, message, slot=number)
