"""Transfers and supply: many short reads, then commands that need current. Neither changes the chip."""

from __future__ import annotations

import enum
from collections import Counter
from typing import Final

from atcaprov.chip.commands import GEN_KEY_PUBLIC, P1_32_BYTES, WAKE_TOKEN, Opcode, Status, Zone
from atcaprov.chip.crc import with_crc
from atcaprov.chip.modes import SELF_TEST_ALL
from atcaprov.chip.parts import is_608
from atcaprov.device.read_only import ReadOnlyHal
from atcaprov.device.replies import STATUS_REPLY_SIZE, check_reply, command_name
from atcaprov.diagnosis.examination import Examination, StepBlockedError
from atcaprov.diagnosis.finding import DiagnosticFinding, FindingCode, finding
from atcaprov.errors import AtcaProvError, Code, ProtocolError, TransportError

TRANSFERS: Final = 32
_GIVEN_UP_AFTER: Final = 4
"""Failures in a row without any success before: the rest would take long and show no more."""
_RANDOM_NUMBERS: Final = 8
_SELF_TESTS: Final = {0x01: "random numbers", 0x02: "ECDSA", 0x08: "ECDH", 0x10: "AES", 0x20: "SHA-256"}
"""By bit of the answer of SelfTest."""


def _packet(opcode: Opcode, mode: int = 0, parameter: int = 0) -> bytes:
    return with_crc(bytes((7, opcode, mode)) + parameter.to_bytes(2, "little"))


_READ_CONFIG: Final = _packet(Opcode.READ, Zone.CONFIG | P1_32_BYTES)
_INFO: Final = _packet(Opcode.INFO)


class Transfer(enum.Enum):
    """How one exchange ended."""

    GOOD = "good"
    REPLY_DAMAGED = "the reply was damaged"
    COMMAND_DAMAGED = "the chip received a damaged command"
    LOST = "no reply"
    RESTARTED = "the reply to a wake"


def check_transfers(examination: Examination) -> None:
    """Read the same 32 bytes many times; blocked if no read succeeds."""
    counts, last = _transfers(examination.chip)
    if not counts[Transfer.GOOD] and last is not None and counts[Transfer.LOST] == counts.total():
        raise last
    found = list(_transfer_findings(counts))
    if found and not counts[Transfer.GOOD]:
        examination.findings += found[:-1]
        raise StepBlockedError(found[-1])
    examination.findings += found
    if not found:
        examination.good.append(f"{counts.total()} transfers were undamaged.")


def _transfers(chip: ReadOnlyHal) -> tuple[Counter[Transfer], AtcaProvError | None]:
    counts: Counter[Transfer] = Counter()
    last: AtcaProvError | None = None
    shown = b""
    for _ in range(TRANSFERS):
        try:
            outcome, reply = _exchange(chip, _READ_CONFIG)
        except TransportError as error:
            if error.code != Code.DEVICE_NO_REPLY:
                raise
            outcome, reply, last = Transfer.LOST, b"", error
        if outcome is Transfer.GOOD:
            shown = shown or reply
            outcome = outcome if reply == shown else Transfer.REPLY_DAMAGED
        counts[outcome] += 1
        if counts.total() == _GIVEN_UP_AFTER and not counts[Transfer.GOOD]:
            break
    return counts, last


def _exchange(chip: ReadOnlyHal, packet: bytes) -> tuple[Transfer, bytes]:
    """Send a packet to the chip, woken before; a chip that refuses was reached, too."""
    try:
        chip.wake()
        reply = chip.exchange(packet)
        if reply != WAKE_TOKEN:
            chip.idle()
        check_reply(packet, reply)
    except ProtocolError as error:
        return (Transfer.RESTARTED if error.code == Code.CHIP_RESTARTED else Transfer.REPLY_DAMAGED), b""
    is_crc_error = len(reply) == STATUS_REPLY_SIZE and reply[1] == Status.CRC_ERROR
    return (Transfer.COMMAND_DAMAGED if is_crc_error else Transfer.GOOD), reply


def _transfer_findings(counts: Counter[Transfer]) -> list[DiagnosticFinding]:
    found, count = [], counts.total()
    replies, commands = counts[Transfer.REPLY_DAMAGED], counts[Transfer.COMMAND_DAMAGED]
    if counts[Transfer.RESTARTED]:
        found.append(finding(FindingCode.SUPPLY_SAGS, where=f"at {counts[Transfer.RESTARTED]} of {count} reads"))
    if counts[Transfer.LOST]:
        found.append(finding(FindingCode.LOST_REPLIES, lost=counts[Transfer.LOST], count=count))
    if replies or commands:
        numbers = {"damaged": replies + commands, "replies": replies, "commands": commands}
        found.append(finding(FindingCode.DAMAGED_TRANSFERS, count=count, **numbers))
    return found


def check_supply(examination: Examination) -> None:
    """Let the chip compute: self test, random numbers, public keys. A supply that sags restarts it there."""
    chip = examination.chip
    packets = _hungry_packets(examination)
    for number, packet in enumerate(packets, 1):
        if not _survives(chip, packet, examination):
            where = f"at {command_name(packet)}, command {number} of {len(packets)} that need current"
            raise StepBlockedError(finding(FindingCode.SUPPLY_SAGS, where=where))
    examination.good.append(f"The supply holds at {len(packets)} commands that need current.")


def _hungry_packets(examination: Examination) -> list[bytes]:
    snapshot = examination.snapshot
    slots = sorted(snapshot.public_keys) if snapshot is not None else []
    tests = [_packet(Opcode.SELF_TEST, SELF_TEST_ALL)] if is_608(examination.revision) else []
    keys = [_packet(Opcode.GEN_KEY, GEN_KEY_PUBLIC, slot) for slot in slots]
    return [*tests, *[_packet(Opcode.RANDOM)] * _RANDOM_NUMBERS, *keys]


def _survives(chip: ReadOnlyHal, packet: bytes, examination: Examination) -> bool:
    """Send a packet; return False if the chip restarted. Damaged and refused replies are other steps' findings."""
    try:
        outcome, reply = _exchange(chip, packet)
    except TransportError as error:
        if error.code != Code.DEVICE_NO_REPLY:
            raise
        outcome, _ = _exchange(chip, _INFO)  # if the chip is gone, this tells
        return outcome is not Transfer.GOOD
    if packet[1] == Opcode.SELF_TEST and outcome is Transfer.GOOD and reply[1] & ~SELF_TEST_ALL == 0 != reply[1]:
        tests = ", ".join(name for bit, name in _SELF_TESTS.items() if reply[1] & bit)
        examination.findings.append(finding(FindingCode.SELF_TEST_FAILED, tests=tests))
    return outcome is not Transfer.RESTARTED
