"""The chip itself: which part it is, and whether its configuration is locked and the product's."""

from __future__ import annotations

from typing import Final

from atcaprov.chip.parts import part_name
from atcaprov.chip.trust_parts import trust_part_name
from atcaprov.device.zones import config_zone
from atcaprov.diagnosis.examination import Examination
from atcaprov.diagnosis.finding import FindingCode, Weight, finding, of_error
from atcaprov.inspection.identity import Use, identify
from atcaprov.inspection.snapshot import ChipSnapshot, read_snapshot
from atcaprov.provisioning.profile import DeliveredPart
from atcaprov.provisioning.supported_parts import newer_silicon, require_608
from atcaprov.provisioning.trust_flex import require_maker_table

_FOREIGN: Final = frozenset({Use.OTHER_TOOL, Use.FACTORY_LOCKED, Use.UNKNOWN})


def check_part(examination: Examination) -> None:
    """Set `revision` and `snapshot`; blocked if the chip is not of the family."""
    examination.revision = examination.device.info()
    require_608(examination.revision)
    warning = newer_silicon(examination.revision)
    if warning is not None:
        examination.findings.append(of_error(warning, weight=Weight.NOTE))
    examination.snapshot = snapshot = read_snapshot(examination.device)
    name = trust_part_name(snapshot.config)
    if name is not None:
        examination.findings.append(finding(FindingCode.TRUST_PART, name=name))
    serial = snapshot.serial_number.hex().upper()
    examination.good.append(f"The chip is an {part_name(examination.revision)}, serial number {serial}.")


def check_configuration(examination: Examination) -> None:
    """Compare the configuration with the product's, if one was named, and tell which zones are locked."""
    snapshot = _snapshot(examination)
    if not snapshot.zone.config_locked:
        examination.findings.append(finding(FindingCode.CONFIG_OPEN))
    elif not snapshot.zone.data_locked:
        examination.findings.append(finding(FindingCode.DATA_OPEN))
    else:
        examination.good.append("Configuration and data zone are locked.")
    profile = examination.subject.profile
    if profile is None:
        _tell_foreign(examination, snapshot)
        return
    if profile.part is DeliveredPart.TFLXTLS:
        require_maker_table(snapshot.config)
        examination.good.append("The configuration is the maker's for a TFLXTLS.")
    elif snapshot.zone.config_locked:
        config_zone.require_same_config(snapshot.config, profile.config_zone)
        examination.good.append("The configuration is the product's.")
    else:
        config_zone.require_possible_extras(snapshot.config, profile.config_zone)
        examination.good.append("The configuration can become the product's.")


def _tell_foreign(examination: Examination, snapshot: ChipSnapshot) -> None:
    identity = identify(snapshot)
    if identity.use in _FOREIGN:
        url = examination.url
        examination.findings.append(finding(FindingCode.CONFIG_FOREIGN, reason=identity.reason.rstrip("."), url=url))


def _snapshot(examination: Examination) -> ChipSnapshot:
    assert examination.snapshot is not None, "the step needs the part"
    return examination.snapshot
