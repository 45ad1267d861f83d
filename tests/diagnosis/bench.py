"""What a finding is provoked and cured with: a machine without hardware, chips in files, a server."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from atcaprov import CertInfo, Device, Profile, Provisioner, SoftwareChip, TcpClient
from atcaprov.cli.main import atcaprov
from atcaprov.emulator.images import load_image
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.random_source import SystemRandom
from atcaprov.emulator.state_file import StateFile
from atcaprov.hal.kit.line_port import KitTimeouts
from tests.support.fake_machine import FakeMachine
from tests.support.in_memory_server import InMemory, MemoryCa
from tests.support.programs import run_in_process
from tests.support.server import ServerAddress, running_server
from tests.support.signer_folders import make_signer_folder

LOCK = """
import os, sys
from pathlib import Path
from atcaprov.hal.bus_lock import BusLock
path = Path(sys.argv[1])
lock = BusLock(os.path.realpath(path), path.parent)
lock.acquire()
print("open", flush=True)
sys.stdin.read()
"""
HOLD = "import sys; file = open(sys.argv[1], 'rb'); print('open', flush=True); sys.stdin.read()"


class Bench:
    """The surroundings of one examination."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.patch = monkeypatch
        self.machine = FakeMachine()
        self.machine.replace_devices(monkeypatch)
        self.left_behind = contextlib.ExitStack()
        """What ends with the test."""
        self.chip = str(folder / "chip.json")
        self._authority: MemoryCa | None = None
        monkeypatch.setattr("atcaprov.hal.bus_lock._folder", lambda: folder)
        for waits, seconds in (("scan.AWAKE_SECONDS", 0.01), ("probe.BUSY_SECONDS", 0.0)):
            monkeypatch.setattr(f"atcaprov.hal.i2c.{waits}", seconds)
        monkeypatch.setattr("atcaprov.hal.kit.board.KitTimeouts", lambda: KitTimeouts(greeting=0.01, control=0.1))

    @property
    def authority(self) -> MemoryCa:
        if self._authority is None:
            self._authority = MemoryCa()
        return self._authority

    def store(self, memory: Memory) -> str:
        """Write a chip file; return its URL."""
        StateFile(Path(self.chip)).keep(memory)
        return f"emulator:{self.chip}"

    def new_chip(self, image: str = "atecc608a") -> Memory:
        return load_image(image).make(SystemRandom())

    def faulty(self, plan: str) -> str:
        """Return the URL of a new chip in memory with a fault plan."""
        (self.folder / "plan.toml").write_text(plan)
        return f"emulator:?faults={self.folder / 'plan.toml'}"

    def provision(self, url: str) -> None:
        with Device.open(url) as device:
            Provisioner(Profile(), self.authority.cert_info, InMemory(self.authority)).provision(device)

    def provision_at(self, url: str, address: ServerAddress, cert_info: str) -> None:
        """Provision a chip with the certificates of a running server."""
        with Device.open(url) as device, closing(TcpClient(*address)) as client:
            Provisioner(Profile(), CertInfo.parse(Path(cert_info).read_text()), client).provision(device)

    def server(self, name: str = "a", **options: Any) -> tuple[ServerAddress, str]:
        """Run a server with a signer of its own until the test ends; return its address and cert info file."""
        home = self.folder / name
        home.mkdir()
        signer = make_signer_folder(home)
        address = self.left_behind.enter_context(running_server(signer.path, home / "data", **options))
        return address, str(signer.path / "atcaprov_cert_info_0.c")

    def cert_info(self) -> str:
        path = self.folder / "cert_info.c"
        path.write_text(self.authority.cert_info.to_c())
        return str(path)

    def other_process_has(self, path: Path) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
        """Let another process have a file open."""
        return _process(HOLD, path)

    def other_process_locks(self, path: Path) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
        """Let another process use a chip file."""
        return _process(LOCK, path)


@contextlib.contextmanager
def _process(program: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        try:
            yield process
        finally:
            process.kill()


def examined(*words: str) -> dict[str, Any]:
    """Run `atcaprov chip doctor` and return its JSON object; check that its exit code fits."""
    done = run_in_process(atcaprov, "chip", "doctor", "--json", *words)
    found: dict[str, Any] = json.loads(done.out)
    problems = [finding for finding in found["findings"] if finding["weight"] == "problem"]
    assert done.code == (1 if problems else 0)
    return found


def codes(found: dict[str, Any]) -> list[str]:
    return [finding["code"] for finding in found["findings"]]


def chip_at(address: int, chip: SoftwareChip) -> SoftwareChip:
    """Move a chip to another I2C address, 8-bit form."""
    chip.memory.config[16] = address
    chip.power_cycle()
    return chip
