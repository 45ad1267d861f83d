"""A supply that sags in a run is named as such, at whichever write, and the next run finishes the chip."""

from __future__ import annotations

from pathlib import Path

import pytest

from atcaprov import Board, Code, Device, Profile, ProtocolError, Provisioner
from atcaprov.chip.commands import Opcode
from tests.support.in_memory_server import InMemory, MemoryCa


@pytest.fixture(scope="module")
def authority() -> MemoryCa:
    return MemoryCa()


@pytest.mark.slow
@pytest.mark.parametrize("command", [Opcode.WRITE, Opcode.GEN_KEY, Opcode.SIGN])
def test_supply_that_sags_is_named_and_the_next_run_finishes(
    command: Opcode, authority: MemoryCa, tmp_path: Path
) -> None:
    chip, plan = tmp_path / "chip.json", tmp_path / "plan.toml"
    plan.write_text(f'[[fault]]\nkind = "brown-out"\nopcode = {int(command)}\n')
    functions = InMemory(authority)
    with Device.open(f"emulator:{chip}?faults={plan}") as device, pytest.raises(ProtocolError) as sagged:
        Provisioner(Profile(), authority.cert_info, functions).provision(device)
    assert (sagged.value.code, sagged.value.board) == (Code.CHIP_RESTARTED, Board.RETRY)
    assert "its supply sagged" in sagged.value.what
    assert "a run continues where it stopped" in sagged.value.advice
    with Device.open(f"emulator:{chip}") as device:
        assert Provisioner(Profile(), authority.cert_info, functions).provision(device).device_certificate
