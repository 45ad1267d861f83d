"""A plan says what a run then does, command by command, and neither the chip nor the server is changed by it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from atcaprov import (
    Board,
    Code,
    Device,
    Profile,
    Provisioner,
    ProvisioningError,
    Stage,
    StageStatus,
    TransportError,
)
from atcaprov.chip.commands import LOCK_DATA, Opcode
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.config_zone.hex_file import format_hex
from atcaprov.device.read_only import open_read_only
from atcaprov.inspection.snapshot import read_snapshot
from atcaprov.provisioning.checks import Outcome
from atcaprov.provisioning.plan import Plan, make_plan
from atcaprov.provisioning.profile import DeliveredPart
from atcaprov.provisioning.stage_plan import StageState
from atcaprov.provisioning.trial_run import TrialRun, TrialSituation, try_run
from atcaprov.provisioning.trial_signer import TrialSigner
from atcaprov.wire.messages import CertificatesRequest, SignerRequest
from tests.support.in_memory_server import InMemory, MemoryCa, unreachable
from tests.support.scripted_hal import ScriptedHal

pytestmark = pytest.mark.slow

LOCKING = Profile(slots_to_lock=(13, 14))


@pytest.fixture(scope="module")
def authority() -> MemoryCa:
    return MemoryCa()


class Staged(InMemory):
    """A client without data of its own that notes which commands each stage sends, and may be cut at a stage."""

    def __init__(self, authority: MemoryCa, hal: ScriptedHal, cut: Stage | None = None) -> None:
        super().__init__(authority)
        self._hal = hal
        self._cut = cut
        self.packets: dict[Stage | None, list[bytes]] = {None: []}
        self._stage: Stage | None = None

    @property
    def writes_data_zone(self) -> bool:
        return False

    def notify(self, stage: Stage, status: StageStatus) -> None:
        super().notify(stage, status)
        self.settle()
        if status is StageStatus.START:
            self._stage = stage
            if stage is self._cut:
                raise TransportError("The cable fell out.")

    def settle(self) -> None:
        self.packets.setdefault(self._stage, []).extend(self._hal.packets)
        self._hal.packets.clear()


def planned(url: str, functions: InMemory, profile: Profile = LOCKING) -> Plan:
    with open_read_only(url) as device:
        return make_plan(device, profile, functions.authority.cert_info, functions)


def run_staged(url: str, authority: MemoryCa, cut: Stage | None = None, profile: Profile = LOCKING) -> Staged:
    hal = ScriptedHal(url)
    functions = Staged(authority, hal, cut)
    with Device(hal) as device:
        if cut is None:
            Provisioner(profile, authority.cert_info, functions).provision(device)
        else:
            with pytest.raises(TransportError):
                Provisioner(profile, authority.cert_info, functions).provision(device)
        functions.settle()
    return functions


def shape(packet: bytes) -> bytes:
    """What does not depend on keys: the whole command if it writes or locks the configuration, else P2 or less."""
    if packet[1] in (Opcode.WRITE, Opcode.LOCK) and packet[2] & 3 == 0:
        return packet
    return packet[1:3] if packet[1:3] == bytes((Opcode.LOCK, LOCK_DATA)) else packet[1:5]  # its P2 is a CRC


@pytest.mark.parametrize("cut", [None, *list(Stage)[1:]], ids=str)
def test_the_run_does_what_the_plan_says(authority: MemoryCa, tmp_path: Path, cut: Stage | None) -> None:
    chip = tmp_path / "chip.json"
    url = f"emulator:{chip}"
    Device.open(url).close()  # which makes the file of a blank chip
    if cut is not None:
        run_staged(url, authority, cut)
    before = chip.read_bytes()
    plan = planned(url, Staged(authority, ScriptedHal()))
    assert plan.error is None
    assert chip.read_bytes() == before
    done = run_staged(url, authority)
    assert plan.trial is not None
    for stage in Stage:
        told = [shape(packet) for packet in plan.trial.packets.get(stage, ())]
        assert told == [shape(packet) for packet in done.packets.get(stage, [])], stage
    states = {each.stage: each.state for each in plan.stages}
    skipped = {stage for stage, status in done.notices if status is StageStatus.SKIPPED}
    assert {stage for stage, state in states.items() if state is not StageState.TO_DO} == skipped


def test_plan_of_a_blank_chip(authority: MemoryCa) -> None:
    functions = Staged(authority, ScriptedHal())
    plan = planned("emulator:", functions)
    assert {finding.outcome for finding in plan.findings} == {Outcome.PASSED}
    assert [type(request) for request in functions.requests] == [SignerRequest]
    assert plan.stages[0].writes[0].data == DEFAULT_608A[20 : 20 + len(plan.stages[0].writes[0].data)]
    assert plan.lost[0] == ("given a new key by GenKey", "given a key by PrivWrite")
    assert any("slots locked one by one: 13, 14" in line for line in plan.permanent)
    assert 0 < plan.typical_ms < plan.maximum_ms
    assert plan.commands == 51  # 48 of a plain run, two slot locks, and one reading before them


def test_the_log_tells_stages_of_a_twin_from_those_of_a_chip(
    authority: MemoryCa, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "atcaprov")
    planned("emulator:", Staged(authority, ScriptedHal()))
    lines = [record.getMessage() for record in caplog.records]
    begin = next(n for n, line in enumerate(lines) if line.startswith("Trial on a twin of chip 0123"))
    end = next(n for n, line in enumerate(lines) if line.startswith("End of the trial on a twin of chip 0123"))
    stages = [n for n, line in enumerate(lines) if line.startswith("Stage ")]
    assert stages
    assert begin < min(stages)
    assert max(stages) < end


def test_plan_of_a_done_chip_does_nothing_permanent(authority: MemoryCa, tmp_path: Path) -> None:
    url = f"emulator:{tmp_path / 'chip.json'}"
    run_staged(url, authority)
    plan = planned(url, Staged(authority, ScriptedHal()))
    assert plan.error is None
    assert (plan.permanent, plan.lost) == ((), {})
    assert [each.stage for each in plan.stages if each.state is StageState.TO_DO] == [
        Stage.CONFIG_READ,
        Stage.VALIDATE_CERTS,
    ]


def test_only_what_slot_locks_take_is_lost_on_a_chip_whose_data_zone_is_locked(
    authority: MemoryCa, tmp_path: Path
) -> None:
    url = f"emulator:{tmp_path / 'chip.json'}"
    run_staged(url, authority, profile=Profile())
    plan = planned(url, Staged(authority, ScriptedHal()))
    assert {slot for slot, uses in plan.lost.items() if uses} == {13, 14}
    assert "written in clear" in plan.lost[13]


def test_a_damaged_certificate_is_found_by_the_plan(authority: MemoryCa, tmp_path: Path) -> None:
    chip = tmp_path / "chip.json"
    run_staged(f"emulator:{chip}", authority)
    hal = ScriptedHal(f"emulator:{chip}")
    content = hal.memory.read_slot(10, 0, 72)
    hal.memory.write_slot(10, 0, bytes([content[0] ^ 1]) + content[1:])
    functions = Staged(authority, ScriptedHal())
    with Device(hal) as device:
        plan = make_plan(device, LOCKING, authority.cert_info, functions)
    assert plan.error is not None
    assert (plan.error.code, plan.error.board, plan.trial) == (Code.CERTIFICATE_MISMATCH, Board.SCRAP, None)


@pytest.mark.parametrize(
    ("image", "code"), [("atecc508a", Code.WRONG_PART), ("tngtls", Code.WRONG_PART), ("tflxtls", Code.WRONG_PART)]
)
def test_a_chip_that_cannot_become_this_product_has_no_stages(authority: MemoryCa, image: str, code: Code) -> None:
    plan = planned(f"emulator:?image={image}", Staged(authority, ScriptedHal()))
    assert plan.error is not None
    assert (plan.error.code, plan.error.board) == (code, Board.UNTOUCHED)
    assert (plan.trial, plan.stages) == (None, ())


def test_a_chip_of_another_product_has_the_error_of_a_run(authority: MemoryCa, tmp_path: Path) -> None:
    other = bytearray(DEFAULT_608A)
    other[20 + 2 * 13] ^= 0x80
    url = f"emulator:{tmp_path / 'chip.json'}"
    run_staged(url, authority, Stage.GEN_KEY, Profile(config_zone=bytes(other)))
    plan = planned(url, Staged(authority, ScriptedHal()))
    with Device.open(url) as device, pytest.raises(ProvisioningError) as caught:
        Provisioner(LOCKING, authority.cert_info, InMemory(authority)).provision(device)
    assert plan.error is not None
    assert (plan.error.code, str(plan.error), plan.error.board) == (
        caught.value.code,
        str(caught.value),
        caught.value.board,
    )
    assert format_hex(plan.snapshot.config) != format_hex(DEFAULT_608A)


@pytest.mark.parametrize("cut", [None, Stage.GEN_KEY, Stage.DATA_LOCK])
def test_plan_without_a_server_says_what_is_not_checked(authority: MemoryCa, tmp_path: Path, cut: Stage | None) -> None:
    url = f"emulator:{tmp_path / 'chip.json'}"
    if cut is not None:
        run_staged(url, authority, cut)
    functions = Staged(authority, ScriptedHal())
    functions.raw = unreachable
    plan = planned(url, functions)
    assert plan.error is not None
    assert plan.error.code == Code.SERVER_UNREACHABLE
    outcomes = {finding.check.name: finding.outcome for finding in plan.findings}
    assert outcomes["clocks"] is outcomes["earlier-run"] is Outcome.NOT_CHECKED
    assert "the certificates are the default ones" in plan.assumptions[0]
    assert plan.does(Stage.DATA_LOCK)


@pytest.mark.parametrize(
    ("image", "says"),
    [
        ("atecc608a", "A blank part cannot prove that Microchip made it: a run that demands this proof refuses it."),
        (
            "tflxtls",
            "It is assumed that the part proves that Microchip made it, or that the server has certified its key.",
        ),
    ],
)
def test_plan_without_a_server_says_that_a_genuine_part_was_not_proved(
    authority: MemoryCa, image: str, says: str
) -> None:
    functions = Staged(authority, ScriptedHal())
    functions.raw = unreachable
    profile = Profile(require_genuine=True)
    if image == "tflxtls":
        profile = replace(profile, part=DeliveredPart.TFLXTLS, replace_certificates=True)
    plan = planned(f"emulator:?image={image}", functions, profile)
    (genuine,) = (finding for finding in plan.findings if finding.check.name == "genuine")
    assert genuine.outcome is Outcome.NOT_CHECKED
    assert genuine.check.looks_at.endswith("or the server has certified its key")
    assert says in plan.assumptions
    assert not any("Microchip" in text for text in planned(f"emulator:?image={image}", functions).assumptions)


def test_a_plan_asks_only_for_what_was_issued_before(authority: MemoryCa, tmp_path: Path) -> None:
    url = f"emulator:{tmp_path / 'chip.json'}"
    run_staged(url, authority, Stage.CERTS_REQUEST)
    issued = dict(authority.issued)
    functions = Staged(authority, ScriptedHal())
    plan = planned(url, functions)
    asked = [request for request in functions.requests if isinstance(request, CertificatesRequest)]
    assert asked
    assert all(request.existing_only for request in asked)
    assert authority.issued == issued
    assert any("is lost: a new one" in line for line in plan.permanent)


def test_a_stage_that_fails_on_the_twin_is_the_error_of_the_plan(authority: MemoryCa, tmp_path: Path) -> None:
    """Here the data lock: the chip says of slot 5 that it is not as the maker left it."""
    url = f"emulator:{tmp_path / 'chip.json'}"
    run_staged(url, authority, Stage.GEN_KEY)
    with open_read_only(url) as device:
        situation = TrialSituation(
            read_snapshot(device),
            LOCKING,
            TrialSigner.default(),
            was_certified=False,
            holds_certificates=False,
            untouched={5: False},
        )
    trial: TrialRun = try_run(situation)
    assert trial.error is not None
    assert (trial.error.code, trial.error.stage) == (Code.DATA_UNKNOWN, Stage.DATA_LOCK)
    assert trial.result is None


@pytest.mark.parametrize("cut", [None, Stage.CERTS_REQUEST, Stage.CERTS_WRITE, Stage.VALIDATE_CERTS])
def test_the_plan_of_a_trust_part_is_what_its_run_does(authority: MemoryCa, tmp_path: Path, cut: Stage | None) -> None:
    chip = tmp_path / "chip.json"
    url = f"emulator:{chip}?image=tflxtls"
    profile = Profile(part=DeliveredPart.TFLXTLS, replace_certificates=True)
    Device.open(url).close()
    if cut is not None:
        run_staged(url, authority, cut, profile)
    before = chip.read_bytes()
    plan = planned(url, Staged(authority, ScriptedHal()), profile)
    assert plan.error is None
    assert chip.read_bytes() == before
    states = {each.stage: each.state for each in plan.stages}
    assert states[Stage.CONFIG_LOCK] is states[Stage.DATA_LOCK] is StageState.DONE
    done = run_staged(url, authority, profile=profile)
    skipped = {stage for stage, status in done.notices if status is StageStatus.SKIPPED}
    assert {stage for stage, state in states.items() if state is not StageState.TO_DO} == skipped
