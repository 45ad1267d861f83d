"""From a packet to the body of its reply: check the frame, then opcode and parameters, then run the command.

Order of refusals: FF for the frame, 07 in failure mode, 03 for what is illegal in every state, EE if the watchdog
would interrupt the command, then those of the command itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from atcaprov.chip.commands import Opcode, Status, Zone
from atcaprov.chip.crc import crc16
from atcaprov.emulator.address import ZONE_BITS
from atcaprov.emulator.command import CommandSpec
from atcaprov.emulator.commands import (
    aes,
    check_mac,
    counter,
    derive_key,
    ecdh,
    gen_dig,
    gen_key,
    hmac,
    info,
    kdf,
    lock,
    mac,
    nonce,
    pause,
    priv_write,
    random,
    read,
    secure_boot,
    self_test,
    sha,
    sign,
    update_extra,
    verify,
    write,
)
from atcaprov.emulator.core import Core
from atcaprov.emulator.io_buffer import LONGEST_GROUP, SHORTEST_GROUP
from atcaprov.emulator.refusal import Refusal, illegal
from atcaprov.emulator.temp_key_rules import settle_refusal, settle_success

_HEADER: Final = 5
_CRC: Final = 2


def _table(*commands: CommandSpec) -> Mapping[int, CommandSpec]:
    return MappingProxyType({int(command.opcode): command for command in commands})


COMMANDS_608: Final = _table(
    aes.COMMAND,
    check_mac.COMMAND,
    counter.COMMAND,
    derive_key.COMMAND,
    ecdh.COMMAND,
    gen_dig.COMMAND,
    gen_key.COMMAND,
    info.COMMAND,
    kdf.COMMAND,
    lock.COMMAND,
    mac.COMMAND,
    nonce.COMMAND,
    priv_write.COMMAND,
    random.COMMAND,
    read.COMMAND,
    secure_boot.COMMAND,
    self_test.COMMAND,
    sha.COMMAND,
    sign.COMMAND,
    update_extra.COMMAND,
    verify.COMMAND,
    write.COMMAND,
)
COMMANDS_508: Final = _table(
    check_mac.COMMAND,
    counter.COMMAND,
    derive_key.COMMAND,
    # No output but the ones that ReadKey chooses, no TempKey as the key.
    replace(ecdh.COMMAND, p1_mask=0x00),
    gen_dig.COMMAND,
    gen_key.COMMAND_508,
    hmac.COMMAND,
    # Bit 2 of P1 is the latch of the ATECC608.
    replace(info.COMMAND, p1_mask=0x03),
    lock.COMMAND,
    mac.COMMAND,
    # Neither 64 bytes nor the buffers of the ATECC608.
    replace(nonce.COMMAND, p1_mask=0x03),
    pause.COMMAND,
    priv_write.COMMAND,
    random.COMMAND,
    read.COMMAND,
    sha.COMMAND_508,
    # No Message Digest Buffer.
    replace(sign.COMMAND, p1_mask=0xC1),
    update_extra.COMMAND,
    # Neither Message Digest Buffer nor MAC answer.
    replace(verify.COMMAND, p1_mask=0x07),
    write.COMMAND,
)


def check_frame(packet: bytes) -> None:
    """Refuse (FF) a packet whose count byte is not its length, 4 to 155, or whose CRC is wrong."""
    size = len(packet)
    if not SHORTEST_GROUP <= size <= LONGEST_GROUP or packet[0] != size:
        raise Refusal(Status.CRC_ERROR, "the count byte is not the length of the packet")
    if crc16(packet[:-_CRC]) != packet[-2] | packet[-1] << 8:
        raise Refusal(Status.CRC_ERROR, "the CRC of the packet is wrong")


def _require_allowed_after_failure(packet: bytes) -> None:
    """Refuse (07) everything but SelfTest and Read of the configuration zone: the chip is in failure mode."""
    if packet[1] == Opcode.SELF_TEST:
        return
    if packet[1] == Opcode.READ and packet[2] & ZONE_BITS == Zone.CONFIG:
        return
    raise Refusal(Status.SELF_TEST_ERROR, "a self test has failed: only SelfTest and reads of the configuration run")


def find_command(core: Core, packet: bytes) -> tuple[CommandSpec, int, int, bytes]:
    """Return command, P1, P2 and data of a packet with a valid frame; refuse (03) what is illegal in every state."""
    command = (COMMANDS_508 if core.memory.is_508 else COMMANDS_608).get(packet[1])
    if command is None:
        raise illegal(f"opcode {packet[1]:02X} is unknown")
    if len(packet) < _HEADER + _CRC:
        raise illegal("P1 and P2 are missing")
    p1, p2, data = packet[2], packet[3] | packet[4] << 8, packet[_HEADER:-_CRC]
    if p1 & ~command.p1_mask:
        raise illegal(f"P1 {p1:02X} has bits that the command does not have")
    if data and command.has_no_data(core, p1, p2) and core.rules.surplus_data == "ignore":
        data = b""
    command.check(p1, p2, len(data))
    return command, p1, p2, data


def run(core: Core, packet: bytes, admit: Callable[[CommandSpec], None]) -> bytes:
    """Run one packet and return the reply's body; `admit` may refuse a legal command before it starts."""
    check_frame(packet)
    if core.powered.self_test_failed:
        _require_allowed_after_failure(packet)
    opcode = packet[1]
    core.volatile.temp_key.fresh = False
    try:
        command, p1, p2, data = find_command(core, packet)
        admit(command)
        body = command.execute(core, p1, p2, data)
    except Refusal as refusal:
        settle_refusal(core, opcode, refusal.status)
        raise
    settle_success(core, opcode)
    return body
