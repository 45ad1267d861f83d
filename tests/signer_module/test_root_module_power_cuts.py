"""A root module and its folder, cut at every command: the same again finishes both, and nothing is given twice."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from atcaprov import AtcaProvError, Code, Device, UsageError
from atcaprov.certs.descriptions.description import CertificateDescription, default_description, default_text
from atcaprov.chip.commands import Opcode
from signer_module.on_chip.creation import root_module
from signer_module.on_chip.creation.module_builder import ModuleOrder
from signer_module.on_chip.creation.plan import CreatedModule
from signer_module.on_chip.creation.root_module import create_root_module
from signer_module.on_chip.module import RootModule
from signer_module.on_files.root_folder import RootFolder
from tests.support.power_cuts import PowerCut, at_a_command, commands, cut_and_repeat, cutting
from tests.support.scripted_hal import ScriptedHal
from tests.support.signer_modules import open_order, order, replug

DESCRIPTION = default_description("root")
QUOTA = 28
"""Three steps of the counter away from a limit: enough to cut between, and few enough to cut at each."""
_numbers = itertools.count()


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch) -> dict[str, Device]:
    """Devices by their URL in this test."""
    devices: dict[str, Device] = {}

    class Opened(Device):
        @classmethod
        def open(cls, url: str, **_: object) -> Device:  # type: ignore[override]
            return devices[url]

    monkeypatch.setattr(root_module, "Device", Opened)
    return devices


@pytest.fixture
def create(opened: dict[str, Device]) -> Create:
    return Create(opened)


class Create:
    """`root create` on a device that is open."""

    def __init__(self, opened: dict[str, Device]) -> None:
        self._opened = opened

    def __call__(
        self, device: Device, out: Path, wanted: ModuleOrder, description: CertificateDescription = DESCRIPTION
    ) -> CreatedModule[RootModule]:
        url = f"chip {next(_numbers)}"
        self._opened[url] = device
        return create_root_module(url, out, wanted, description, now=datetime.now(UTC), consent=lambda _: None)


@pytest.mark.slow
@at_a_command
@pytest.mark.parametrize("wanted", [open_order(), order(), order(quota=QUOTA)], ids=["open", "password", "quota"])
def test_same_command_finishes_module_and_folder(
    create: Create, tmp_path: Path, wanted: ModuleOrder, reply_lost: bool
) -> None:
    def finish(cut: int) -> None:
        out = tmp_path / f"{cut}"
        hal = cut_and_repeat(lambda device: create(device, out, wanted), cut, reply_lost)
        with Device(hal) as device:
            made = create(device, out, wanted)
            folder = RootFolder.load(out)
            assert made.already
            assert made.module.certificate == folder.certificate
            assert folder.register.issued() == {}
            assert made.module.remaining == wanted.quota

    count = commands(lambda device: create(device, tmp_path / "whole", wanted))
    assert count > 40
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(finish, range(count)))


def begun(create: Create, out: Path) -> ScriptedHal:
    """A chip that was cut at its last lock, when its folder was there."""
    hal = ScriptedHal()
    locks = 0

    def answer(packet: bytes) -> bytes:
        nonlocal locks
        locks += packet[1] == Opcode.LOCK
        if locks == 2:
            raise PowerCut("cut")
        return hal.chip.exchange(packet)

    hal.answer = answer
    with Device(hal) as device, pytest.raises(PowerCut):
        create(device, out, open_order())
    hal.answer = None
    replug(hal)
    hal.packets.clear()
    return hal


@pytest.mark.slow
def test_run_cut_at_the_last_lock_keeps_key_and_certificate(create: Create, tmp_path: Path) -> None:
    hal = begun(create, tmp_path / "root")
    certificate = RootFolder.load(tmp_path / "root").certificate
    with Device(hal) as device:
        made = create(device, tmp_path / "root", open_order())
        assert not made.already
        assert made.module.certificate == certificate
    assert Opcode.GEN_KEY not in {packet[1] for packet in hal.packets if packet[2] & 4}  # 4: a new key


def refused(create: Create, hal: ScriptedHal, out: Path, description: CertificateDescription) -> AtcaProvError:
    with Device(hal) as device, pytest.raises(UsageError) as error:
        create(device, out, open_order(), description)
    assert Opcode.LOCK not in {packet[1] for packet in hal.packets}
    assert not [packet for packet in hal.packets if packet[1] == Opcode.GEN_KEY and packet[2] & 4]
    return error.value


@pytest.mark.slow
def test_begun_folder_is_refused_for_another_chip_or_description(create: Create, tmp_path: Path) -> None:
    hal = begun(create, tmp_path / "root")
    other = CertificateDescription.from_toml(default_text("root").replace("Root CA", "Other CA"))
    assert "begun with another description" in str(refused(create, hal, tmp_path / "root", other))
    assert "folder of another root" in str(refused(create, ScriptedHal(), tmp_path / "root", DESCRIPTION))
    with Device(hal) as device:
        assert not create(device, tmp_path / "root", open_order()).already


@pytest.mark.slow
def test_folder_is_refused_when_its_root_key_was_replaced_by_a_later_run(create: Create, tmp_path: Path) -> None:
    hal = begun(create, tmp_path / "root")
    last = commands(lambda device: create(device, tmp_path / "whole", open_order()))
    for number in range(last):  # up to a new key and its folder
        hal.answer = cutting(hal, number, False)
        with Device(hal) as device, pytest.raises(PowerCut):
            create(device, tmp_path / "other", open_order())
        replug(hal)
        if (tmp_path / "other").exists():
            break
    hal.answer = None
    hal.packets.clear()
    error = refused(create, hal, tmp_path / "root", DESCRIPTION)
    assert error.code == Code.KEY_MISMATCH
    with Device(hal) as device:
        create(device, tmp_path / "other", open_order())
