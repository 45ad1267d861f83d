"""The list of checks before stage 1: what it finds on read-only chips, and that a run stops at the first failure."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov import (
    Act,
    Board,
    CertificateError,
    Code,
    Device,
    Profile,
    Provisioner,
    ProvisioningError,
    ServerRejected,
    UsageError,
)
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.device.read_only import open_read_only
from atcaprov.device.zones.config_zone import lock_config, write_config
from atcaprov.emulator.images import load_image
from atcaprov.emulator.random_source import SeededRandom
from atcaprov.emulator.trust_chain import root_certificate
from atcaprov.provisioning.checks import CHIP_CHECKS, TRUST_FLEX_CHECKS, CheckFinding, Outcome, findings
from atcaprov.provisioning.preflight import Preflight
from atcaprov.provisioning.station_checks import STATION_CHECKS
from atcaprov.wire.messages import SignerReply, SignerRequest
from tests.support.chips_by_use import hal_of
from tests.support.in_memory_server import InMemory, MemoryCa
from tests.support.scripted_hal import ScriptedHal

NAMES = [check.name for check in (*STATION_CHECKS, *CHIP_CHECKS)]


CRITICAL_USAGE = bytes.fromhex("0603551D0F0101FF040403020388")
"""keyUsage, critical, digitalSignature and keyAgreement, in DER."""


@pytest.fixture(scope="module")
def authority() -> MemoryCa:
    return MemoryCa()


class NotReady(InMemory):
    def require_ready(self) -> None:
        raise UsageError("The disk is full.", code=Code.FILE_UNWRITABLE)


def found(
    url: str, functions: InMemory, profile: Profile | None = None, leave_out: tuple[str, ...] = ()
) -> dict[str, CheckFinding]:
    flight = Preflight(profile or Profile(), functions.authority.cert_info, functions)
    with open_read_only(url) as device:
        flight.device = device
        return {each.check.name: each for each in findings(flight, (*STATION_CHECKS, *CHIP_CHECKS), leave_out)}


def test_every_check_needs_only_checks_before_it() -> None:
    checks = (*STATION_CHECKS, *CHIP_CHECKS)
    for number, check in enumerate(checks):
        assert set(check.needs) <= {earlier.name for earlier in checks[:number]}
    assert len(NAMES) == len(set(NAMES))


def test_the_page_explains_every_check() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "plan.md").read_text(encoding="utf-8")
    explained = re.findall(r"^\| `([a-z-]+)` \| ", page.partition("## Checks")[2].partition("## ")[0], re.MULTILINE)
    assert set(explained) == {check.name for check in (*STATION_CHECKS, *CHIP_CHECKS, *TRUST_FLEX_CHECKS)}


def test_a_blank_chip_passes_every_check_of_a_read_only_device(authority: MemoryCa) -> None:
    outcomes = {name: finding.outcome for name, finding in found("emulator:", InMemory(authority)).items()}
    assert outcomes == dict.fromkeys(NAMES, Outcome.PASSED)


def test_without_a_server_the_chip_is_checked_all_the_same(authority: MemoryCa) -> None:
    functions = InMemory(authority)
    outcomes = {name: each.outcome for name, each in found("emulator:", functions, leave_out=("signer",)).items()}
    assert outcomes["signer"] is outcomes["clocks"] is outcomes["earlier-run"] is Outcome.NOT_CHECKED
    assert outcomes["part"] is outcomes["configuration"] is outcomes["address"] is Outcome.PASSED
    assert functions.requests == []


def test_a_failed_check_leaves_out_those_that_need_it(authority: MemoryCa) -> None:
    results = found("emulator:?image=atecc508a", InMemory(authority))
    part = results["part"].error
    assert part is not None
    assert part.code == Code.WRONG_PART
    assert results["configuration"].outcome is results["earlier-run"].outcome is Outcome.NOT_CHECKED


def test_a_station_that_is_not_ready_stops_the_run_before_the_chip(authority: MemoryCa, tmp_path: Path) -> None:
    functions = NotReady(authority)
    chip = tmp_path / "chip.json"
    with Device.open(f"emulator:{chip}") as device, pytest.raises(UsageError) as caught:
        Provisioner(Profile(), authority.cert_info, functions).provision(device)
    assert caught.value.board is Board.UNTOUCHED
    assert not functions.requests
    assert not functions.notices


@pytest.mark.slow
def test_every_board_is_checked_and_not_only_the_first(authority: MemoryCa, tmp_path: Path) -> None:
    functions = InMemory(authority)
    provisioner = Provisioner(Profile(), authority.cert_info, functions)
    provisioner.prepare()
    with Device.open(f"emulator:{tmp_path / 'first.json'}") as device:
        provisioner.provision(device)
    functions.authority = MemoryCa()  # another signer than the one of the start
    with Device.open(f"emulator:{tmp_path / 'second.json'}") as device:
        with pytest.raises(Exception, match="No such signer"):
            provisioner.provision(device)
        assert device.read_config()[16:] != DEFAULT_608A[16:]


def test_a_quota_that_is_too_small_for_the_batch_is_found_at_the_start(authority: MemoryCa) -> None:
    functions = InMemory(authority)
    functions.tamper = lambda reply: replace(reply, certificates_left=4) if isinstance(reply, SignerReply) else reply
    provisioner = Provisioner(Profile(), authority.cert_info, functions)
    provisioner.prepare(boards=4)
    with pytest.raises(ProvisioningError) as caught:
        provisioner.prepare(boards=5)
    assert (caught.value.code, caught.value.board) == (Code.QUOTA_TOO_SMALL, Board.UNTOUCHED)
    assert "4 more" in caught.value.what
    assert "--count 4" in caught.value.advice
    with Device.open("emulator:") as device:
        provisioner.provision(device)


def test_a_server_that_tells_no_quota_is_accepted(authority: MemoryCa) -> None:
    Provisioner(Profile(), authority.cert_info, InMemory(authority)).prepare(boards=1_000_000)


# The proof that a part is genuine


def genuine_result(image: str, root: bytes | None, *, issued: bool = False) -> CheckFinding:
    memory = load_image(image).make(SeededRandom(b"genuine"))
    before = memory.image()
    authority = MemoryCa()
    profile = Profile(require_genuine=True, genuine_root=root)
    with Device(hal_of(memory)) as device:
        flight = Preflight(profile, authority.cert_info, InMemory(authority))
        flight.device = device
        flight.issued = object() if issued else None  # type: ignore[assignment]
        check = next(check for check in CHIP_CHECKS if check.name == "genuine")
        (result,) = findings(flight, [check._replace(needs=())])
    assert memory.image() == before
    return result


def test_blank_part_is_refused_untouched_where_proof_is_demanded() -> None:
    result = genuine_result("atecc608b", root_certificate().public_bytes(Encoding.DER))
    assert result.outcome is Outcome.FAILED
    assert result.error is not None
    assert (result.error.code, result.error.board) == (Code.GENUINE_UNPROVABLE, Board.UNTOUCHED)
    assert "a blank part holds no certificate of the maker" in result.error.what


@pytest.mark.slow
def test_trust_part_passes_under_a_test_root_and_not_under_microchips() -> None:
    assert genuine_result("tflxtls", root_certificate().public_bytes(Encoding.DER)).outcome is Outcome.PASSED
    result = genuine_result("tflxtls", None)
    assert result.error is not None
    assert (result.error.code, result.error.board) == (Code.NOT_GENUINE, Board.SET_ASIDE)


def test_part_that_the_server_has_certified_is_not_asked_again() -> None:
    assert genuine_result("atecc608b", None, issued=True).outcome is Outcome.PASSED


def test_run_that_demands_proof_changes_no_blank_chip() -> None:
    memory, authority = load_image("atecc608a").make(SeededRandom(b"run")), MemoryCa()
    before = memory.image()
    functions = InMemory(authority)
    with Device(hal_of(memory)) as device, pytest.raises(ProvisioningError) as caught:
        Provisioner(Profile(require_genuine=True), authority.cert_info, functions).provision(device)
    assert (caught.value.code, caught.value.board) == (Code.GENUINE_UNPROVABLE, Board.UNTOUCHED)
    assert (functions.notices, memory.image()) == ([], before)


def test_trust_flex_part_is_asked_for_the_proof_too() -> None:
    assert "genuine" in [check.name for check in TRUST_FLEX_CHECKS]


# What would be found only behind a lock


@pytest.mark.slow
@pytest.mark.parametrize("is_same", [True, False])
def test_a_chip_with_a_certificate_for_another_key_is_refused_before_stage_1(
    authority: MemoryCa, tmp_path: Path, is_same: bool
) -> None:
    """Also if the board was exchanged since its serial number was read: the server is asked about this one."""
    functions = InMemory(authority)
    functions.tamper = lambda reply: replace(reply, new_key_refused=True) if isinstance(reply, SignerReply) else reply
    chip = tmp_path / "chip.json"
    Device.open(f"emulator:{chip}").close()
    before = chip.read_bytes()
    provisioner = Provisioner(Profile(), authority.cert_info, functions)
    with Device.open(f"emulator:{chip}") as device:
        serial_number = device.serial_number()
        with pytest.raises(ServerRejected) as caught:
            provisioner.provision(device, serial_number if is_same else bytes(9))
    assert (caught.value.code, caught.value.board) == (Code.CHIP_HAS_OTHER_KEY, Board.SET_ASIDE)
    assert (functions.notices, chip.read_bytes()) == ([], before)
    asked = functions.requests[-1]
    assert isinstance(asked, SignerRequest)
    assert asked.chip_serial == serial_number


def changed(definition: CertificateDefinition, old: bytes, new: bytes) -> CertificateDefinition:
    """Return a definition in whose template some bytes are others of the same length."""
    assert len(old) == len(new)
    assert old in definition.cert_template
    return replace(definition, cert_template=definition.cert_template.replace(old, new))


@pytest.mark.parametrize(
    ("role", "old", "new", "code"),
    [
        ("device", b"Example Organization", b"Another Organization", Code.CHAIN_INVALID),
        ("signer", b"Example Organization", b"Another Organization", Code.CERTIFICATE_MISMATCH),
        ("device", CRITICAL_USAGE, CRITICAL_USAGE[:-1] + b"\x08", Code.CHAIN_INVALID),  # not for signatures
    ],
)
def test_definitions_that_give_no_good_certificate_are_found_at_the_start(
    role: str, old: bytes, new: bytes, code: Code
) -> None:
    authority = MemoryCa()
    assert authority.signer  # issued by the definition as it was
    if role == "device":
        authority.device_definition = changed(authority.device_definition, old, new)
    else:
        authority.signer_definition = changed(authority.signer_definition, old, new)
    with pytest.raises(CertificateError) as caught:
        Provisioner(Profile(), authority.cert_info, InMemory(authority)).prepare()
    assert (caught.value.code, caught.value.board) == (code, Board.UNTOUCHED)


def test_a_certificate_that_does_not_fit_its_slot_is_found_at_the_start(authority: MemoryCa) -> None:
    place = authority.device_definition.comp_cert_dev_loc
    odd = replace(authority.device_definition, comp_cert_dev_loc=replace(place, slot=8, offset=8))
    other = MemoryCa()
    other.device_definition = odd
    with pytest.raises(UsageError, match="multiple of 32") as caught:
        Provisioner(Profile(certificate_slots=frozenset({8, 11, 12})), other.cert_info, InMemory(other)).prepare()
    assert caught.value.board is Board.UNTOUCHED


@pytest.mark.slow
def test_a_damaged_certificate_is_found_before_a_slot_is_locked(authority: MemoryCa, tmp_path: Path) -> None:
    url = f"emulator:{tmp_path / 'chip.json'}"
    functions = InMemory(authority)
    with Device.open(url) as device:
        Provisioner(Profile(), authority.cert_info, functions).provision(device)
    hal = ScriptedHal(url)
    hal.memory.write_slot(10, 0, bytes(8))
    functions.notices.clear()
    with Device(hal) as device, pytest.raises(CertificateError) as caught:
        Provisioner(Profile(slots_to_lock=(13,)), authority.cert_info, functions).provision(device)
    assert caught.value.board is Board.SCRAP
    assert functions.notices == []


@pytest.mark.slow
def test_a_locked_slot_that_would_have_to_be_filled_is_found_before_stage_1(
    authority: MemoryCa, tmp_path: Path
) -> None:
    url = f"emulator:{tmp_path / 'chip.json'}"
    with Device.open(url) as device:
        with device.permit(Act.WRITE_CONFIG, Act.LOCK_CONFIG):
            lock_config(device, write_config(device, device.read_config(), DEFAULT_608A))
        with device.permit(Act.WRITE_DATA, Act.LOCK_SLOT):
            device.write_slot_block(5, 0, bytes(32))
            device.lock_slot(14)
    functions = Plain(authority)
    with Device.open(url) as device, pytest.raises(ProvisioningError) as caught:
        Provisioner(Profile(fill_unwritten=True), authority.cert_info, functions).provision(device)
    assert (caught.value.code, caught.value.board) == (Code.SLOT_LOCKED, Board.SET_ASIDE)
    assert functions.notices == []


class Plain(InMemory):
    @property
    def writes_data_zone(self) -> bool:
        return False
