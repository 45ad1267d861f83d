"""TFLXTLS over TCP with a real server: its records hold for chips that the maker has locked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from atcaprov import (
    Board,
    CertInfo,
    Code,
    DeliveredPart,
    Device,
    Profile,
    Provisioned,
    Provisioner,
    ServerRejected,
    TcpClient,
)
from atcaprov.certs.descriptions.description import default_description
from atcaprov.device.command_guard import act_of
from provisioning_server.products.product import ProductFiles
from provisioning_server.signers.software import SoftwareSigner
from signer_module.on_files.create_signer import create_signer
from signer_module.on_files.key_file import SoftwareKey
from signer_module.on_files.root_folder import create_root
from signer_module.signer_description import SignerDescriptions
from tests.support.scripted_hal import ScriptedHal
from tests.support.server import ServerAddress, running_server

CONFIG = Path(__file__).parents[2] / "configs" / "tflxtls.hex"
SLOT_0 = Profile(part=DeliveredPart.TFLXTLS, replace_certificates=True)
SLOT_2 = replace(SLOT_0, device_key_slot=2)


class Line:
    """A server for TFLXTLS, with a signer for keys in slot 0 and one for keys in slot 2 under one root."""

    def __init__(self, folder: Path) -> None:
        now = datetime.now(UTC)
        root = create_root(folder / "root", default_description("root"), None, now)
        device = default_description("device")
        assert device.slots is not None
        self.folders: list[Path] = []
        for slot in (0, 2):
            descriptions = SignerDescriptions(
                default_description("signer"), replace(device, slots=replace(device.slots, private_key=slot))
            )
            made = create_signer(
                folder / f"signer-{slot}",
                root=root,
                root_key=root.unlock(None),
                descriptions=descriptions,
                key=SoftwareKey.generate(),
                password=None,
                signer_id=bytes((0, slot)),
                now=now,
            )
            self.folders.append(made.path)
        self.address: ServerAddress | None = None

    def run(self, hal: ScriptedHal, profile: Profile) -> Provisioned:
        assert self.address is not None
        folder = self.folders[1 if profile.device_key_slot else 0]
        cert_info = CertInfo.parse((folder / "atcaprov_cert_info_0.c").read_text())
        with closing(TcpClient(*self.address)) as client, Device(hal) as device:
            return Provisioner(profile, cert_info, client).provision(device)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    folder = tmp_path_factory.mktemp("line")
    line = Line(folder)
    with running_server(
        [SoftwareSigner.load(each) for each in line.folders], folder / "data", products=ProductFiles(zones=(CONFIG,))
    ) as line.address:
        yield line


@pytest.mark.slow
@pytest.mark.parametrize("image", ["tflxtls", "tflxtls-608a", "tflxtls-608c"])
@pytest.mark.parametrize("profile", [SLOT_0, SLOT_2], ids=["slot 0", "slot 2"])
def test_a_part_is_certified_once(line: Line, image: str, profile: Profile) -> None:
    hal = ScriptedHal(f"emulator:?image={image}")
    first = line.run(hal, profile)
    hal.packets.clear()
    again = line.run(hal, profile)
    assert again.was_done_before
    assert again.device_certificate == first.device_certificate
    assert not any(act_of(packet) for packet in hal.packets)


@pytest.mark.slow
def test_the_key_in_slot_2_stays_if_the_chip_was_certified_with_that_in_slot_0(line: Line) -> None:
    hal = ScriptedHal("emulator:?image=tflxtls")
    line.run(hal, SLOT_0)
    before = hal.memory.image()
    hal.packets.clear()
    with pytest.raises(ServerRejected) as refused:
        line.run(hal, SLOT_2)
    assert (refused.value.code, refused.value.stage) == (Code.CHIP_HAS_OTHER_KEY, None)
    assert not any(act_of(packet) for packet in hal.packets)
    assert hal.memory.image() == before
    assert refused.value.board is not Board.SCRAP


@pytest.mark.slow
def test_a_blank_line_at_this_server_is_refused_before_its_first_board(line: Line) -> None:
    hal = ScriptedHal()
    with pytest.raises(ServerRejected) as refused:
        line.run(hal, Profile())
    assert refused.value.code == Code.REQUEST_INVALID
    assert not hal.packets
