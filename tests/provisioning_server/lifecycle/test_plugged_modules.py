"""Signer modules at the server: software chips in a folder that are plugged in and out while the program runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pytest

from atcaprov import Code, Device
from atcaprov.wire.messages import AnyMessage, CertificatesReply, CertificatesRequest, ErrorReply, SignerRequest
from signer_module.on_chip.creation.module_builder import ModuleOrder
from signer_module.on_chip.module import SignerModule
from signer_module.on_files.root_folder import RootFolder
from tests.support.server import PATIENCE, WireClient, server_command, server_environment, server_program
from tests.support.server_parts import config_zone, key_of
from tests.support.signer_modules import PASSWORD, make, open_order, program_order, root_folder

pytestmark = pytest.mark.slow

OTHER_PASSWORD = b"another horse"


@dataclass(frozen=True)
class Made:
    """A module in a file that lies in a drawer."""

    path: Path
    serial: str
    name: str
    public_key: bytes

    @property
    def label(self) -> str:
        return f"Signer ({self.serial}, {self.name})"

    def plug_into(self, folder: Path) -> Path:
        """Put a copy into the folder at once, as a whole."""
        folder.mkdir(exist_ok=True)
        fresh = folder / f"{self.path.name}.new"
        fresh.write_bytes(self.path.read_bytes())
        return fresh.rename(folder / self.path.name)


def made(folder: Path, root: RootFolder, number: int, wanted: ModuleOrder) -> Made:
    path = folder / f"module{number}.json"
    with Device.open(f"emulator:{path}") as device:
        make(device, root, wanted, number.to_bytes(2, "big"))
    with SignerModule.open(f"emulator:{path}") as module:
        return Made(path, module.serial.hex().upper(), module.name, module.public_key)


@pytest.fixture(scope="module")
def drawer(tmp_path_factory: pytest.TempPathFactory) -> list[Made]:
    """Modules of one product: without password, another one, with a password, with another, with a quota of 2."""
    folder = tmp_path_factory.mktemp("drawer")
    root = root_folder(folder / "root")
    orders = [open_order(), open_order(), program_order(PASSWORD), program_order(OTHER_PASSWORD), open_order(quota=2)]
    return [made(folder, root, number + 1, wanted) for number, wanted in enumerate(orders)]


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    folder = tmp_path / "hub"
    folder.mkdir()
    return folder


def request(module: Made, number: int = 1, *, any_of_group: bool = False) -> CertificatesRequest:
    return CertificatesRequest(config_zone(number), key_of(number), module.public_key, any_of_group=any_of_group)


def code(reply: AnyMessage) -> str:
    assert isinstance(reply, ErrorReply), reply
    return reply.code


def known_for_good(wire: WireClient, message: CertificatesRequest) -> AnyMessage:
    """Ask until the server has looked at everything that was plugged in when it started."""
    while isinstance(reply := wire.ask(message), ErrorReply) and reply.code == Code.SIGNER_NOT_READY:
        assert reply.retryable
    return reply


def test_modules_come_and_go_while_the_server_runs(drawer: list[Made], hub: Path, tmp_path: Path) -> None:
    first, second = drawer[:2]
    with server_program("--module-folder", hub, "--data", tmp_path / "data") as server:
        with WireClient(server.address()) as wire:
            assert code(known_for_good(wire, request(first))) == Code.SIGNER_UNKNOWN
            plugged = first.plug_into(hub)
            server.wait_for(f"{first.label} ready.")
            reply = wire.certificates(request(first))
            plugged.unlink()
            server.wait_for(f"{first.label} unplugged.")
            assert code(wire.ask(request(first, 2))) == Code.SIGNER_UNPLUGGED
            assert wire.certificates(request(first)) == reply
            second.plug_into(hub)
            server.wait_for(f"{second.label} ready.")
            assert code(wire.ask(request(first, 2))) == Code.SIGNER_UNPLUGGED
            other = wire.ask(request(first, 2, any_of_group=True))
            assert isinstance(other, CertificatesReply)
            first.plug_into(hub)
            server.wait_for(f"{first.label} ready.")
            assert isinstance(wire.ask(request(first, 3)), CertificatesReply)
        assert server.stop() == 0
    assert server.errors == ""


def test_unusable_module_is_logged_once_and_others_go_on(drawer: list[Made], hub: Path, tmp_path: Path) -> None:
    (hub / "garbage.json").write_text("garbage")
    with Device.open(f"emulator:{hub / 'blank.json'}"):
        pass
    damaged = drawer[1].plug_into(hub)
    document = json.loads(damaged.read_text())
    document["data"] = bytes(len(document["data"]) // 2).hex()
    damaged.write_text(json.dumps(document))
    good = drawer[0].plug_into(hub).rename(hub / "z.json")
    with server_program("--module-folder", hub, "--data", tmp_path / "data") as server:
        with WireClient(server.address()) as wire:
            server.wait_for("ready.")
            assert isinstance(wire.ask(request(drawer[0])), CertificatesReply)
        server.stop()
    for name in ("garbage", "blank", damaged.stem):
        assert sum(f"{name}.json" in line for line in server.lines) == 1, server.lines
    assert good.exists()


def test_used_up_quota_has_its_own_code(drawer: list[Made], hub: Path, tmp_path: Path) -> None:
    spent, other = drawer[4], drawer[0]
    spent.plug_into(hub)
    with server_program("--module-folder", hub, "--data", tmp_path / "data") as server:
        address = server.address()
        server.wait_for(f"{spent.label} can issue 2 more.")
        with WireClient(address) as wire:
            assert isinstance(wire.ask(request(spent, 1)), CertificatesReply)
            server.wait_for(f"{spent.label} can issue 1 more.")
            assert isinstance(wire.ask(request(spent, 2)), CertificatesReply)
            assert code(wire.ask(SignerRequest(spent.public_key))) == Code.QUOTA_USED_UP
            assert code(wire.ask(request(spent, 3))) == Code.QUOTA_USED_UP
            server.wait_for(f"{spent.label} quota used up.")
            assert code(wire.ask(SignerRequest(spent.public_key))) == Code.QUOTA_USED_UP
            other.plug_into(hub)
            server.wait_for(f"{other.label} ready.")
            assert isinstance(wire.ask(request(spent, 3, any_of_group=True)), CertificatesReply)
        server.stop()


def test_credentials_of_systemd_open_each_module_with_its_own_password(
    drawer: list[Made], hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = drawer[2:4]
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / f"signer-{first.serial}").write_bytes(PASSWORD)
    (credentials / "signer-passwords").write_bytes(second.serial.lower().encode() + b"=" + OTHER_PASSWORD + b"\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    for module in (first, second):
        module.plug_into(hub)
    options = ("--module", f"emulator:{hub / first.path.name}", "--module", f"emulator:{hub / second.path.name}")
    with server_program(*options, "--data", tmp_path / "data") as server:
        address = server.address()
        accepted = {f"{module.label} password accepted, ready." for module in (first, second)}  # in any order
        while accepted:
            line = server.wait_for(*accepted)
            accepted = {text for text in accepted if text not in line}
        with WireClient(address) as wire:
            assert isinstance(wire.ask(request(second)), CertificatesReply)
        server.stop()
    for log in (tmp_path / "data" / "logs").iterdir():
        assert PASSWORD not in log.read_bytes()
        assert OTHER_PASSWORD not in log.read_bytes()


def test_without_a_console_a_module_that_waits_is_an_error_at_the_start(
    drawer: list[Made], hub: Path, tmp_path: Path
) -> None:
    drawer[2].plug_into(hub)
    with server_program("--module-folder", hub, "--data", tmp_path / "data") as server:
        assert server.finish() == 2
    assert "no console" in server.errors


@pytest.fixture
def console(hub: Path, tmp_path: Path) -> Iterator[pexpect.spawn]:
    program, *options = server_command("--module-folder", hub, "--data", tmp_path / "data", "--port", 0)
    child = pexpect.spawn(program, options, env=server_environment(), timeout=PATIENCE)
    child.delaybeforesend = None
    child.setwinsize(24, 200)
    yield child
    child.close(force=True)


def test_the_password_is_asked_again_after_the_module_was_unplugged(
    drawer: list[Made], hub: Path, console: pexpect.spawn
) -> None:
    module, other = drawer[2], drawer[3]
    console.expect_exact("Server listening")
    plugged = module.plug_into(hub)
    console.expect_exact(f"{module.label} requires password.\r\n")
    console.expect_exact(f"{module.label} password: ")
    console.send(PASSWORD + b"\r")
    console.expect_exact(f"{module.label} password accepted, ready.\r\n")
    plugged.unlink()
    console.expect_exact(f"{module.label} unplugged.\r\n")
    plugged = module.plug_into(hub)
    console.expect_exact(f"{module.label} requires password.\r\n")
    console.expect_exact(f"{module.label} password: ")
    console.send(b"half a pass")
    plugged.unlink()
    console.expect_exact(f"{module.label} unplugged.\r\n")
    other.plug_into(hub)
    console.expect_exact("What was typed before the prompt is ignored")
    console.expect_exact(f"{other.label} password: ")
    console.send(b"word\r")
    console.expect_exact(f"{other.label} password: ")
    console.send(OTHER_PASSWORD + b"\r")
    console.expect_exact(f"{other.label} password accepted, ready.\r\n")
    console.send(b"\x1b")
    console.expect_exact("Provisioning Server stopped.")
    console.expect(pexpect.EOF)
    console.wait()
    assert console.exitstatus == 0


def test_module_that_claims_another_key_does_not_keep_its_owner_out(
    drawer: list[Made], hub: Path, tmp_path: Path
) -> None:
    real = drawer[0]
    document = json.loads(real.path.read_text())
    data = bytearray.fromhex(document["data"])
    data[0:36] = bytes(4) + bytes([7] * 32)  # slot 0: another private key under the same certificate
    document["data"] = data.hex()
    (hub / "fake.json").write_text(json.dumps(document))
    with server_program("--module-folder", hub, "--data", tmp_path / "data") as server:
        address = server.address()
        server.wait_for("key is not that of its certificate")
        real.plug_into(hub)
        server.wait_for(f"{real.label} ready.")
        with WireClient(address) as wire:
            assert isinstance(wire.ask(request(real)), CertificatesReply)
        assert server.stop() == 0
