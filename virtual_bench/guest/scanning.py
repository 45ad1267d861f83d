"""A Provisioning Server with `--scan`, two signer modules of one product, and a kit that another program uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from atcaprov import Device
from atcaprov.wire.messages import AnyMessage, CertificatesReply, CertificatesRequest, ErrorReply
from tests.support.server import ServerProgram, WireClient, server_program
from tests.support.server_parts import chip_serial, config_zone, key_of
from virtual_bench.boards import BoardKind, BoardPlan
from virtual_bench.guest.factory import BenchFactory
from virtual_bench.guest.signer_modules import CHEAP_PASSWORDS, HidSignerModule, ModuleMaker, password_descriptor
from virtual_bench.machine import PATIENCE
from virtual_bench.plugboard import Node, Plugboard
from virtual_bench.ways import Way

_HELD = "held"


@dataclass(frozen=True)
class ScanningLine:
    """The server, its clients, and the modules, which are unplugged before and after each test."""

    plugboard: Plugboard
    server: ServerProgram
    factory: BenchFactory
    first: HidSignerModule
    second: HidSignerModule

    def plug(self, module: HidSignerModule) -> Node:
        """Plug a module in; return when the server can use it."""
        node = self.plugboard.plug(module.board)
        self.server.wait_for(f"{self._label(module)} password accepted, ready.")
        return node

    def unplug(self, module: HidSignerModule) -> None:
        """Pull a module that is idle; return when the server has seen it."""
        self.plugboard.unplug(module.board)
        label = self._label(module)
        # The latter if it was just being asked whether it is there.
        self.server.wait_for(f"{label} unplugged.", f"{label} no longer answers")

    def request(self, number: int, *, any_of_group: bool = False) -> CertificatesRequest:
        """Return the request of a device with that number, which names the first module."""
        key = self.factory.cert_info.signer_public_key
        return CertificatesRequest(config_zone(number), key_of(number), key, any_of_group=any_of_group)

    def ask(self, number: int) -> AnyMessage:
        """Ask for a certificate of the first module."""
        with self.client() as wire:
            return wire.ask(self.request(number))

    @contextmanager
    def client(self) -> Iterator[WireClient]:
        """Yield a client; if its reply does not come, stop the server and fail with what the server has said."""
        try:
            with WireClient(self.factory.address, PATIENCE) as wire:
                yield wire
        except TimeoutError as error:
            raise AssertionError(f"no reply in {PATIENCE:.0f} s: {self.server.said()}") from error

    def require_certified(self, number: int, reply: AnyMessage) -> None:
        """Check the certificate that the server keeps of a device, down to the root."""
        assert isinstance(reply, CertificatesReply), reply
        self.factory.verify_kept_certificates(chip_serial(number))

    def _label(self, module: HidSignerModule) -> str:
        return f"Signer ({self.plugboard.serial_number(module.board).hex().upper()}, {module.name})"


def code_of_retryable(reply: AnyMessage) -> str:
    """Return the code of a refusal after which the client may ask again."""
    assert isinstance(reply, ErrorReply), reply
    assert reply.retryable
    return reply.code


@contextmanager
def scanning_line(folder: Path, plugboard: Plugboard) -> Iterator[ScanningLine]:
    """Make modules, unplug them, start the server; check its end, and that it did not touch the kit in use."""
    maker = ModuleMaker(folder, plugboard)
    first, second = maker.make("0034"), maker.make("0035")
    cert_info_file = maker.export(first)
    for module in (first, second):
        plugboard.unplug(module.board)
    data = folder / "server"
    serial_numbers = [plugboard.serial_number(module.board) for module in (first, second)]
    with (
        _kit_in_use(plugboard) as url,
        password_descriptor(*serial_numbers) as descriptor,
        server_program(
            *("--scan", "--password-fd", descriptor, "--data", data),
            start=CHEAP_PASSWORDS,
            pass_fds=(descriptor,),
            patience=PATIENCE,
        ) as server,
    ):
        factory = BenchFactory(server.address(), cert_info_file, data)
        server.wait_for(f"No signer answers at {url}: ")
        yield ScanningLine(plugboard, server, factory, first, second)
        assert server.stop() == 0
    assert server.errors == ""


@contextmanager
def _kit_in_use(plugboard: Plugboard) -> Iterator[str]:
    """Yield a kit that this process holds open; check that no byte went there that this process did not send."""
    plugboard.make(BoardPlan(_HELD, BoardKind.HID))
    url = Way.HIDRAW.url(plugboard.plug(_HELD))
    with Device.open(url) as device:
        device.info()
        carried = plugboard.carried(_HELD)
        yield url
        assert plugboard.carried(_HELD) == carried
        assert device.serial_number() == plugboard.serial_number(_HELD)
    plugboard.unplug(_HELD)
