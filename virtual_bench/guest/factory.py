"""A signer module on HID and the Provisioning Server that uses it, as programs; clients in the test's own process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov import (
    CertInfo,
    DataZoneWriter,
    Device,
    Profile,
    Provisioned,
    Provisioner,
    Stage,
    StageStatus,
    TcpClient,
    verify_chain,
)
from atcaprov.chip.memory_map import LOCK_CONFIG, LOCK_VALUE, SLOT_LOCKED, UNLOCKED
from tests.support.late_files import arrived
from tests.support.server import ServerAddress, server_program
from virtual_bench.guest.signer_modules import CHEAP_PASSWORDS, QUOTA, ModuleMaker, password_descriptor, run_tool
from virtual_bench.machine import PATIENCE
from virtual_bench.plugboard import ChipState, Plugboard
from virtual_bench.ways import Way

LOCKED_SLOT = 13
PRODUCT_SLOT = 8
PRODUCT_DATA = bytes(range(32))


class WatchedClient(TcpClient):
    """A client that lets a test act at the beginning of a stage."""

    def __init__(self, address: ServerAddress) -> None:
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
class BenchFactory:
    """One server with one signer module on HID."""

    address: ServerAddress
    cert_info_file: Path
    data: Path
    """The server's folder."""

    @cached_property
    def cert_info(self) -> CertInfo:
        """What a client has to know of the module."""
        return CertInfo.parse(self.cert_info_file.read_text())

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

    def verify_kept_certificates(self, serial_number: bytes) -> None:
        """Check the certificates that the server keeps of a chip (9 bytes of serial number), down to the root."""
        name = serial_number.hex().upper()
        device, signer = (_der(arrived(self.data / "certs" / f"{name}_{whose}.pem")) for whose in ("device", "signer"))
        verify_chain(device, signer, self.cert_info.root_public_key)


@contextmanager
def running_factory(folder: Path, plugboard: Plugboard) -> Iterator[BenchFactory]:
    """A factory in a folder, with its module at the plugboard."""
    maker = ModuleMaker(folder, plugboard)
    module = maker.make("0034")
    cert_info_file = maker.export(module)
    url = Way.HIDRAW.url(plugboard.node(module.board))
    data = folder / "server"
    with (
        password_descriptor() as descriptor,
        server_program(
            *("--module", url, "--password-fd", descriptor, "--data", data),
            start=CHEAP_PASSWORDS,
            pass_fds=(descriptor,),
            patience=PATIENCE,
        ) as server,
    ):
        address = server.address()
        server.wait_for("password accepted, ready.")
        reader = server.drain()
        yield BenchFactory(address, cert_info_file, data)
        server.process.terminate()
        reader.join()
    _require_counted(url, data)


def _der(path: Path) -> bytes:
    return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)


def _require_counted(url: str, data: Path) -> None:
    """Check that the module counted each certificate that the server recorded, and nothing else."""
    (log,) = (data / "logs").glob("signing-*.tsv")
    issued = len(log.read_text().splitlines()) - 1
    (line,) = (line for line in run_tool("info", "--device", url).splitlines() if line.startswith("signatures left"))
    assert issued > 0
    assert int(line.rpartition(" ")[2]) == QUOTA - issued


def require_finished(chip: ChipState) -> None:
    """Check that a chip went through all stages."""
    assert chip.config[LOCK_CONFIG] != UNLOCKED
    assert chip.config[LOCK_VALUE] != UNLOCKED
    assert int.from_bytes(chip.config[SLOT_LOCKED], "little") == 0xFFFF & ~(1 << LOCKED_SLOT)
