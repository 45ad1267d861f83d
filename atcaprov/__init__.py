"""Secure provisioning of ATECC608 chips: the library's public names.

docs/reference/python-api.md explains them and says what stays stable; every other module is internal. A name is loaded
when it is first used. Nothing inside the packages imports from here.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # checkers take it for True; `typing` would cost more time than the rest of this module
if TYPE_CHECKING:
    from typing import Final

    from atcaprov.certs.cert_info import CertInfo
    from atcaprov.certs.chain import verify_chain
    from atcaprov.certs.key_files.public_key import read_public_key
    from atcaprov.config_zone.check import check_config_zone
    from atcaprov.config_zone.findings import Allow, Finding
    from atcaprov.config_zone.zone import ConfigZone, Part
    from atcaprov.config_zone.zone_file import read_zone_file
    from atcaprov.device.command_guard import Act
    from atcaprov.device.device import Device
    from atcaprov.device.zones.data_zone import DataZoneWriter
    from atcaprov.emulator.chip import Chip as SoftwareChip
    from atcaprov.errors import (
        AtcaProvError,
        Board,
        CertificateError,
        Code,
        DeviceError,
        ProtocolError,
        ProvisioningError,
        ServerRejected,
        TransportError,
        UsageError,
    )
    from atcaprov.hal.base import Hal
    from atcaprov.hal.emulated import EmulatedHal
    from atcaprov.hal.registry import open_hal, register_hal
    from atcaprov.hal.tracing.trace_file import read_trace
    from atcaprov.provisioning.board_report import Acknowledgement, BoardReport
    from atcaprov.provisioning.profile import DeliveredPart, Profile
    from atcaprov.provisioning.provision import Provisioned, Provisioner
    from atcaprov.provisioning.server_exchange import send_report
    from atcaprov.provisioning.tcp_client import TcpClient
    from atcaprov.provisioning.user_functions import UserFunctions
    from atcaprov.stages import Stage, StageStatus

__version__ = "0.1.0"

__all__ = [
    "Acknowledgement",
    "Act",
    "Allow",
    "AtcaProvError",
    "Board",
    "BoardReport",
    "CertInfo",
    "CertificateError",
    "Code",
    "ConfigZone",
    "DataZoneWriter",
    "DeliveredPart",
    "Device",
    "DeviceError",
    "EmulatedHal",
    "Finding",
    "Hal",
    "Part",
    "Profile",
    "ProtocolError",
    "Provisioned",
    "Provisioner",
    "ProvisioningError",
    "ServerRejected",
    "SoftwareChip",
    "Stage",
    "StageStatus",
    "TcpClient",
    "TransportError",
    "UsageError",
    "UserFunctions",
    "check_config_zone",
    "open_hal",
    "read_public_key",
    "read_trace",
    "read_zone_file",
    "register_hal",
    "send_report",
    "verify_chain",
]

_HOMES: Final = {
    "CertInfo": "atcaprov.certs.cert_info",
    "verify_chain": "atcaprov.certs.chain",
    "read_public_key": "atcaprov.certs.key_files.public_key",
    "check_config_zone": "atcaprov.config_zone.check",
    "Allow": "atcaprov.config_zone.findings",
    "Finding": "atcaprov.config_zone.findings",
    "ConfigZone": "atcaprov.config_zone.zone",
    "Part": "atcaprov.config_zone.zone",
    "read_zone_file": "atcaprov.config_zone.zone_file",
    "Device": "atcaprov.device.device",
    "Act": "atcaprov.device.command_guard",
    "SoftwareChip": "atcaprov.emulator.chip",
    "AtcaProvError": "atcaprov.errors",
    "Board": "atcaprov.errors",
    "CertificateError": "atcaprov.errors",
    "Code": "atcaprov.errors",
    "DeviceError": "atcaprov.errors",
    "ProtocolError": "atcaprov.errors",
    "ProvisioningError": "atcaprov.errors",
    "ServerRejected": "atcaprov.errors",
    "TransportError": "atcaprov.errors",
    "UsageError": "atcaprov.errors",
    "Hal": "atcaprov.hal.base",
    "EmulatedHal": "atcaprov.hal.emulated",
    "open_hal": "atcaprov.hal.registry",
    "register_hal": "atcaprov.hal.registry",
    "read_trace": "atcaprov.hal.tracing.trace_file",
    "DataZoneWriter": "atcaprov.device.zones.data_zone",
    "Acknowledgement": "atcaprov.provisioning.board_report",
    "BoardReport": "atcaprov.provisioning.board_report",
    "DeliveredPart": "atcaprov.provisioning.profile",
    "Profile": "atcaprov.provisioning.profile",
    "Provisioned": "atcaprov.provisioning.provision",
    "Provisioner": "atcaprov.provisioning.provision",
    "send_report": "atcaprov.provisioning.server_exchange",
    "TcpClient": "atcaprov.provisioning.tcp_client",
    "UserFunctions": "atcaprov.provisioning.user_functions",
    "Stage": "atcaprov.stages",
    "StageStatus": "atcaprov.stages",
}
"""Where each name is defined."""
_OTHER_NAMES: Final = {"SoftwareChip": "Chip"}


if not TYPE_CHECKING:  # a checker that saw it would take every misspelt name

    def __getattr__(name):
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(_HOMES[name]), _OTHER_NAMES.get(name, name))
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
