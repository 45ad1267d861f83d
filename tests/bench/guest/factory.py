"""A signer and the Provisioning Server that uses it, as programs, and clients in the test's own process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from atcaprov.certs.cert_info import CertInfo
from atcaprov.certs.chain import verify_chain
from atcaprov.certs.description import default_description
from atcaprov.chip.memory_map import LOCK_CONFIG, LOCK_VALUE, SLOT_LOCKED, UNLOCKED
from atcaprov.device.device import Device
from atcaprov.provisioning.data_zone import DataZoneWriter
from atcaprov.provisioning.profile import Profile
from atcaprov.provisioning.provision import Provisioned, Provisioner
from atcaprov.provisioning.stages import Stage, StageStatus
from atcaprov.provisioning.tcp_client import TcpClient
from signer_module.key_file import SoftwareKey
from signer_module.root import create_root
from signer_module.signer import SignerDescriptions, create_signer
from tests.bench.plugboard import ChipState
from tests.support.server import Address, server_program

LOCKED_SLOT = 13
PRODUCT_SLOT = 8
PRODUCT_DATA = bytes(range(32))


class WatchedClient(TcpClient):
    """A client that lets a test act at the beginning of a stage."""

    def __init__(self, address: Address) -> None:
        super().__init__(*address)
        self.at_start: dict[Stage, Callable[[], None]] = {}
        self.started: list[Stage] = []
        self.done: list[Stage] = []

    def write_data_zone(self, writer: DataZoneWriter) -> None:
        """Write a block of the product's own."""
        writer.write(PRODUCT_SLOT, 0, PRODUCT_DATA)

    def notify(self, stage: Stage, status: StageStatus) -> None:
        """Note the stage, and act."""
        if status is StageStatus.START:
            self.started.append(stage)
            self.at_start.get(stage, lambda: None)()
        elif status is StageStatus.DONE:
            self.done.append(stage)


@dataclass(frozen=True)
class Factory:
    """One server with one signer."""

    address: Address
    cert_info_file: Path
    cert_info: CertInfo

    def provision(self, url: str, client: WatchedClient) -> Provisioned:
        """Take the chip at `url` through the stages and check its chain; LOCKED_SLOT is locked at the end."""
        provisioner = Provisioner(Profile(slots_to_lock=(LOCKED_SLOT,)), self.cert_info, client)
        try:
            with Device.open(url) as device:
                result = provisioner.provision(device)
        finally:
            client.close()
        verify_chain(result.device_certificate, result.signer_certificate, self.cert_info.root_public_key)
        return result


def _make_signer(folder: Path) -> None:
    now = datetime.now(UTC)
    root = create_root(folder / "root", default_description("root"), None, now)
    create_signer(
        folder / "signer",
        root=root,
        root_key=root.unlock(None),
        descriptions=SignerDescriptions(default_description("signer"), default_description("device")),
        key=SoftwareKey.generate(),
        password=None,
        signer_id=bytes.fromhex("0034"),
        now=now,
    )


@contextmanager
def running_factory(folder: Path) -> Iterator[Factory]:
    """A factory in a folder."""
    _make_signer(folder)
    signer = folder / "signer"
    cert_info_file = signer / "atcaprov_cert_info_0.c"
    with server_program("--signer", signer, "--data", folder / "server") as server:
        address = server.address()
        server.wait_for("ready")
        reader = server.drain()
        yield Factory(address, cert_info_file, CertInfo.parse(cert_info_file.read_text()))
        server.process.terminate()
        reader.join()


def require_finished(chip: ChipState) -> None:
    """Check that a chip went through all stages."""
    assert chip.config[LOCK_CONFIG] != UNLOCKED
    assert chip.config[LOCK_VALUE] != UNLOCKED
    assert int.from_bytes(chip.config[SLOT_LOCKED], "little") == 0xFFFF & ~(1 << LOCKED_SLOT)
