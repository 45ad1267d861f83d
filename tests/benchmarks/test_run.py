"""How much of the chip's time one provisioning run takes, counted in commands: the line's time is the chip's time."""

from __future__ import annotations

from collections import Counter

from atcaprov.chip.commands import MAX_EXECUTION_MS_M0, Opcode
from atcaprov.device.device import Device
from atcaprov.provisioning.profile import Profile
from atcaprov.provisioning.provision import Provisioner
from tests.benchmarks.report import Figure, report
from tests.support.in_memory_server import Authority, InMemory
from tests.support.scripted_hal import ScriptedHal


def test_commands_of_a_run_on_a_blank_chip() -> None:
    authority = Authority()
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
