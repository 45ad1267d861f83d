"""How much of the chip's time one provisioning run takes, counted in commands: the line's time is the chip's time."""

from __future__ import annotations

from collections import Counter

from atcaprov import Device, Profile, Provisioner, UserFunctions
from atcaprov.chip.commands import MAX_EXECUTION_MS_M0, Opcode
from tests.benchmarks.report import Figure, report
from tests.hal.ways import CdcWay, HidWay, standing
from tests.support.counted_requests import commands_of, keep_requests, opening_of
from tests.support.in_memory_server import InMemory, MemoryCa
from tests.support.scripted_hal import ScriptedHal


def test_commands_of_a_run_on_a_blank_chip() -> None:
    authority = MemoryCa()
    hal = ScriptedHal()
    with Device(hal) as device:
        Provisioner(Profile(), authority.cert_info, InMemory(authority)).provision(device)
    opcodes = [Opcode(packet[1]) for packet in hal.packets]
    counts = Counter(opcode.name for opcode in opcodes)
    listing = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    total = sum(MAX_EXECUTION_MS_M0[opcode] for opcode in opcodes)
    report(
        Figure("run.commands", len(opcodes), "commands", listing),
        Figure("run.max_ms_m0", total, "ms", f"maximum execution times at clock divider M0: {_by_command(counts)}"),
    )
    assert counts["LOCK"] == 2
    assert counts["GEN_KEY"] == 1


def _by_command(counts: Counter[str]) -> str:
    return " + ".join(f"{count} x {MAX_EXECUTION_MS_M0[Opcode[name]]} {name}" for name, count in counts.most_common())


class OnKit(InMemory):
    """An integrator without data of his own."""

    write_data_zone = UserFunctions.write_data_zone


def test_requests_to_a_kit_in_a_run_on_a_blank_chip() -> None:
    """At the chip's virtual time; the host takes none, so that the counts are those of the chip's time alone."""
    counts = [_kit_requests(way) for way in (CdcWay, HidWay)]
    assert [_word(request) for request in counts[0]] == [_word(request) for request in counts[1]]
    requests = counts[0]
    commands, opening = len(commands_of(requests)), len(opening_of(requests))
    overhead = len(requests) - opening - commands
    report(
        Figure("run.kit_requests", commands + overhead, "requests", f"{commands} commands, {overhead} wake and sleep"),
        Figure(
            "run.kit_opening",
            opening,
            "requests",
            "version, device table, way of talking, first sleep and wake; once a board",
        ),
        Figure("run.overhead", 100 * overhead / commands, "%", "requests that carry no command, CDC and HID the same"),
    )
    assert overhead / commands < 0.1


def _kit_requests(make: type[CdcWay] | type[HidWay]) -> list[bytes]:
    authority = MemoryCa()
    with standing(make()) as way:
        requests = keep_requests(way.board)
        with Device(way.open(), now=lambda: 0.0) as device:
            Provisioner(Profile(), authority.cert_info, OnKit(authority)).provision(device)
    return requests


def _word(request: bytes) -> bytes:
    return request.partition(b"(")[0]
