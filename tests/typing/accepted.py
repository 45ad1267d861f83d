"""A user's program that type-checks: the public names, used as the page of the API says."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

from cryptography import x509

import atcaprov
from atcaprov import (
    Acknowledgement,
    Act,
    Allow,
    AtcaProvError,
    Board,
    BoardReport,
    CertificateError,
    CertInfo,
    Code,
    ConfigZone,
    DataZoneWriter,
    DeliveredPart,
    Device,
    DeviceError,
    EmulatedHal,
    Finding,
    Hal,
    Part,
    Profile,
    Provisioned,
    Provisioner,
    SoftwareChip,
    Stage,
    StageStatus,
    TcpClient,
    UserFunctions,
    check_config_zone,
    open_hal,
    read_public_key,
    read_trace,
    read_zone_file,
    register_hal,
    send_report,
    verify_chain,
)


class OwnWay(Hal):
    def __init__(self) -> None:
        self.url = "own:"

    def wake(self) -> None: ...

    def idle(self) -> None: ...

    def sleep(self) -> None: ...

    def exchange(self, packet: bytes) -> bytes:
        return packet


class OwnFunctions(UserFunctions):
    def certreq_send(self, data: bytes) -> None: ...

    def certreq_recv(self, expected: int) -> bytes:
        return bytes(expected)

    def write_data_zone(self, writer: DataZoneWriter) -> None:
        writer.write(8, 0, writer.serial_number)

    def notify(self, stage: Stage, status: StageStatus) -> None:
        assert_type(stage.label, str)
        assert_type(status is StageStatus.DONE, bool)

    def warning(self, warning: AtcaProvError) -> None:
        assert_type(warning.advice, str)

    def report(self, report: BoardReport) -> None:
        acknowledgement = send_report(self, report)
        assert_type(acknowledgement, Acknowledgement)
        assert_type(acknowledgement.proven, bool)
        assert_type(BoardReport.from_bytes(report.to_bytes()).fate, Board)


def provision(device: Device, functions: UserFunctions, cert_info: CertInfo) -> Provisioned:
    profile = Profile(slots_to_lock=(13,), allow=frozenset({Allow.I2C_ADDRESS}), part=DeliveredPart.BLANK)
    provisioner = Provisioner(profile, cert_info, functions, order="WO-7", product="lamp")
    provisioner.prepare()
    return provisioner.provision(device)


def look_at(result: Provisioned, cert_info: CertInfo) -> None:
    assert_type(result.device_certificate, bytes)
    assert_type(result.device_x509, x509.Certificate)
    assert_type(result.signer_x509, x509.Certificate)
    assert_type(result.root_x509, x509.Certificate)
    assert_type(result.was_done_before, bool)
    assert_type((result.request_id, result.server), tuple[bytes, str])
    verify_chain(result.device_certificate, result.signer_certificate, cert_info.root_public_key, at=None)
    assert_type(read_public_key(result.device_certificate, "device.crt"), bytes)


def tell(error: AtcaProvError) -> str:
    assert_type(error.stage, Stage | None)
    assert_type(error.serial_number, bytes | None)
    assert_type(error.board, Board)
    assert_type(error.exit_code, int)
    if isinstance(error, DeviceError):
        return f"{error.command} {error.status:02X}"
    if isinstance(error, CertificateError) and error.code == Code.CLOCK_WRONG:
        return error.advice
    return error.stage.label if error.stage is not None else str(error)


def use_a_device(folder: Path) -> None:
    with Device.open("emulator:", trace=folder / "trace.jsonl") as device:
        assert_type(device, Device)
        assert_type(device.sign(0, bytes(32)), bytes)
        with device.permit(Act.WRITE_DATA):
            device.write_slot_block(8, 0, bytes(32))
    trace = read_trace(folder / "trace.jsonl")
    assert_type(trace.complete, bool)
    assert_type([event.sent for event in trace.events], list[str])
    assert_type(open_hal("emulator:"), Hal)
    register_hal("bench", lambda rest: open_hal("emulator:"))
    Device(OwnWay()).close()
    Device(EmulatedHal(SoftwareChip(), "emulator:")).close()


def check(path: Path) -> list[Finding]:
    zone = read_zone_file(path).zone
    assert_type(zone, ConfigZone)
    assert_type(zone.config_locked, bool)
    found = check_config_zone(zone, Part.ATECC608, certificate_slots=[10, 11, 12])
    return [finding for finding in found if finding.level == "error" and finding.slot is None]


def whole(url: str) -> None:
    assert_type(atcaprov.__version__, str)
    functions = TcpClient(servers=["ca1.example", "ca2.example:11236"])
    assert_type(functions.servers, tuple[str, ...])
    try:
        with atcaprov.Device.open(url) as device:
            look_at(provision(device, functions, CertInfo.parse("")), CertInfo.parse(""))
    except atcaprov.AtcaProvError as error:
        tell(error)
    finally:
        functions.close()
