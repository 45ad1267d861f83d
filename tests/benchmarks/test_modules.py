"""How well the server uses signer modules: emulated chips at the execution times of clock divider M0, virtual seconds.

The limit of a chip is one signature: Nonce and Sign, 20 + 115 ms, and with a password the authorization before it,
Nonce and CheckMac, 20 + 40 ms. 64 stations ask again as soon as they have their reply; nothing here depends on how fast
this machine is.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from atcaprov import Device, EmulatedHal, SoftwareChip
from atcaprov.chip.commands import MAX_EXECUTION_MS_M0, Opcode
from atcaprov.wire.messages import CertificatesReply, CertificatesRequest
from provisioning_server.issuing.requests import Reply
from provisioning_server.signers.module import PluggedModule
from signer_module.on_chip.creation.module_builder import ModuleOrder
from signer_module.on_chip.module import SignerModule
from tests.benchmarks.report import Figure, report
from tests.support.issuing_without_sockets import IssuingLine
from tests.support.server import PATIENCE
from tests.support.server_parts import config_zone, key_of
from tests.support.signer_modules import PASSWORD, make, open_order, order, root_folder
from tests.support.virtual_time import SharedTime

STATIONS = 64
REQUESTS_PER_STATION = 5
SIGNATURES = 10
OPEN_SECONDS = (MAX_EXECUTION_MS_M0[Opcode.NONCE] + MAX_EXECUTION_MS_M0[Opcode.SIGN]) / 1000
AUTHORIZED_SECONDS = OPEN_SECONDS + (MAX_EXECUTION_MS_M0[Opcode.NONCE] + MAX_EXECUTION_MS_M0[Opcode.CHECK_MAC]) / 1000
"""What a chip needs at most for a signature that a password guards: Nonce, CheckMac, Nonce, Sign."""
LEAST_UTILISATION = 0.95


def plugged_modules(folder: Path, count: int, time: SharedTime, wanted: ModuleOrder) -> Iterator[PluggedModule]:
    root = root_folder(folder / "root")
    for number in range(count):
        hal = EmulatedHal(SoftwareChip(clock=time), "emulator:")
        with Device(hal) as device:
            make(device, root, wanted, (number + 1).to_bytes(2, "big"))
        module = PluggedModule(SignerModule.on(Device(hal)))
        module.unlock(PASSWORD)
        yield module


@dataclass
class Stations:
    """Stations that ask for one chip after the other and record in virtual seconds how long each waited."""

    line: IssuingLine
    time: SharedTime
    named: bytes
    modules: int
    waits: list[float] = field(default_factory=list)
    certificates: set[bytes] = field(default_factory=set)
    _open: int = STATIONS
    _all_done: threading.Event = field(default_factory=threading.Event)

    def run(self) -> float:
        """Return how long all of them took."""
        start = self.time.now()
        self.time.set_working(self.modules)
        for station in range(STATIONS):
            self._ask(station, 0, start)
        assert self._all_done.wait(PATIENCE * 4), "the stations wait without end"
        return self.time.now() - start

    def _ask(self, station: int, number: int, now: float) -> None:
        chip = 1 + station * REQUESTS_PER_STATION + number
        request = CertificatesRequest(config_zone(chip), key_of(chip), self.named, any_of_group=True)
        self.line.worker.submit(request, lambda reply: self._take(station, number, now, reply))

    def _take(self, station: int, number: int, asked: float, reply: Reply) -> None:
        now = self.time.now()
        if not isinstance(reply, CertificatesReply):
            self._all_done.set()
            return
        self.waits.append(now - asked)
        self.certificates.add(reply.device_certificate)
        if number + 1 < REQUESTS_PER_STATION:
            self._ask(station, number + 1, now)
        else:
            self._open -= 1
            self.time.set_working(min(self._open, self.modules))
        self.time.release()
        if not self._open:
            self._all_done.set()


def run(folder: Path, modules: int, wanted: ModuleOrder) -> tuple[Stations, float]:
    time = SharedTime()
    signers = list(plugged_modules(folder, modules, time, wanted))
    with IssuingLine(folder / "data", signers, time.hold) as line:
        stations = Stations(line, time, signers[-1].documents.signer_public_key, modules)
        seconds = stations.run()
        line.stop()
    time.set_working(1)
    for signer in signers:
        signer.close()
    assert len(stations.certificates) == STATIONS * REQUESTS_PER_STATION
    return stations, seconds


def test_a_signature_takes_what_its_commands_take(tmp_path: Path) -> None:
    for figure, wanted, limit in (
        ("modules.signature_ms_m0", order(), AUTHORIZED_SECONDS),
        ("modules.signature_ms_m0.no_password", open_order(), OPEN_SECONDS),
    ):
        time = SharedTime()
        (module,) = plugged_modules(tmp_path / figure, 1, time, wanted)
        start = time.now()
        for number in range(SIGNATURES):
            module.sign(bytes([number]) * 32)
        seconds = (time.now() - start) / SIGNATURES
        module.close()
        note = f"virtual ms for each of {SIGNATURES} signatures in a row; its commands take {1000 * limit:.0f} at M0"
        report(Figure(figure, round(1000 * seconds, 2), "ms", note))
        assert limit <= seconds <= limit / LEAST_UTILISATION


@pytest.mark.parametrize("modules", [1, 2, 4])
def test_modules_are_kept_busy(tmp_path: Path, modules: int) -> None:
    limits = {"password": modules / AUTHORIZED_SECONDS, "open": modules / OPEN_SECONDS}
    found = {}
    for name, wanted in (("password", order()), ("open", open_order())):
        stations, seconds = run(tmp_path / name, modules, wanted)
        found[name] = len(stations.waits) / seconds
    used = {name: found[name] / limits[name] for name in found}
    note = (
        f"{found['password']:.2f} certificates per virtual second of {limits['password']:.2f} that {modules} chips can "
        f"authorize and sign at M0; without password {100 * used['open']:.1f} % of {limits['open']:.2f}; {STATIONS} "
        f"stations; at least 95"
    )
    report(Figure(f"modules.utilisation.{modules}", round(100 * used["password"], 2), "%", note))
    assert min(used.values()) >= LEAST_UTILISATION


def test_the_last_of_many_waits_no_longer_than_its_turn(tmp_path: Path) -> None:
    modules = 2
    stations, _ = run(tmp_path, modules, order())
    turn = STATIONS * AUTHORIZED_SECONDS / modules
    longest = max(stations.waits)
    note = (
        f"longest of {len(stations.waits)} waits, {longest:.2f} virtual s, of a fair turn of {turn:.2f} s: {STATIONS} "
        f"stations, {modules} modules; at most {100 / LEAST_UTILISATION:.0f}"
    )
    report(Figure("modules.fairness", round(100 * longest / turn, 2), "%", note))
    assert longest <= turn / LEAST_UTILISATION
