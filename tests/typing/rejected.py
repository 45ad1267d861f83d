"""Mistakes that a type checker finds: each line marked as ignored must have an error, or the marks are reported."""

from __future__ import annotations

from pathlib import Path

import atcaprov
from atcaprov import Act, AtcaProvError, Device, Hal, Profile, Provisioned, Stage, TcpClient, UserFunctions


class Silent(UserFunctions):
    """Lacks certreq_recv."""

    def certreq_send(self, data: bytes) -> None: ...


class TakesText(TcpClient):
    def certreq_send(self, data: str) -> None: ...  # type: ignore[override]


def mistakes(device: Device, result: Provisioned, error: AtcaProvError) -> None:
    Silent()  # type: ignore[abstract]
    Hal()  # type: ignore[abstract]
    print(atcaprov.Provisionner)  # type: ignore[attr-defined]
    Device("emulator:")  # type: ignore[arg-type]
    Device.open(Path("emulator:"))  # type: ignore[arg-type]
    device.sign("0", bytes(32))  # type: ignore[arg-type]
    device.permit("write the data zone")  # type: ignore[arg-type]
    device.permit(Act.EVERYTHING)  # type: ignore[attr-defined]
    Profile(b"", slots_to_lock=[13])  # type: ignore[arg-type]
    result.serial_number = b""  # type: ignore[misc]
    print(result.device_certificate.subject)  # type: ignore[attr-defined]
    print(error.stage.label)  # type: ignore[union-attr]
    error.serial_number.hex()  # type: ignore[union-attr]
    print(Stage.BURN)  # type: ignore[attr-defined]
    print(atcaprov.rebuild)  # type: ignore[attr-defined]
