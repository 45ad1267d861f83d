"""Read product profiles from TOML files; every error names file, line and field, and has the code profile-invalid."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from atcaprov.bounded_reading import MalformedError, is_folder, parse_toml, paths_in, read_text
from atcaprov.certs.certificate_files import read_certificate
from atcaprov.certs.descriptions.description import CertificateDescription
from atcaprov.certs.document_reader import Fault
from atcaprov.certs.unit_rule import UnitRule
from atcaprov.certs.x509_layout import authority_layout
from atcaprov.config_zone.defaults import DEFAULT_608A, DEFAULT_CERTIFICATE_SLOTS
from atcaprov.config_zone.findings import Allow
from atcaprov.config_zone.toml_fields import ZoneFieldError
from atcaprov.config_zone.toml_file import build
from atcaprov.config_zone.zone import ConfigZone
from atcaprov.config_zone.zone_file import read_zone_file
from atcaprov.errors import AtcaProvError, Code, UsageError
from atcaprov.product_profile.profile import ProductProfile, ProofPolicy, ProofRule, SignerRule
from atcaprov.product_profile.profile_keys import PROFILE
from atcaprov.product_profile.toml_lines import key_lines, line_of
from atcaprov.product_profile.trial_certificate import TrialCertificate
from atcaprov.provisioning.profile import DeliveredPart, Profile
from atcaprov.terminal.printable import printable

MAX_SIZE: Final = 65_536
MOST_PROFILES: Final = 256


def read_profile(path: Path) -> ProductProfile:
    """Return the profile of a file; raises UsageError (profile-invalid, or file-unreadable for `path` itself)."""
    return profile_from_toml(read_text(path, MAX_SIZE), path)


def is_profile(text: str) -> bool:
    """Tell whether a TOML text is a product profile and not a certificate description; false if it is not TOML."""
    try:
        contents = parse_toml(text)
    except MalformedError:
        return False
    return "role" not in contents and bool({"certificate", "description"} & set(contents))


def read_profiles(paths: Iterable[Path]) -> list[ProductProfile]:
    """Return the profiles of files, and of all `*.toml` in folders; their names must differ.

    Raises:
        UsageError: as `read_profile`; a folder without profiles; two profiles of one name.
    """
    files = [file for path in paths for file in _files(path)]
    if len(files) > MOST_PROFILES:
        raise _invalid(f"{len(files)} product profiles are given; at most {MOST_PROFILES} are read.")
    found: dict[str, ProductProfile] = {}
    for file in files:
        profile = read_profile(file)
        if profile.name in found:
            raise _invalid(f"{file} and {found[profile.name].path} are both profiles of the product '{profile.name}'.")
        found[profile.name] = profile
    return list(found.values())


def _files(path: Path) -> Sequence[Path]:
    if not is_folder(path):
        return [path]
    files = paths_in(path, "*.toml")
    if not files:
        raise _invalid(f"The folder {path} holds no product profile: no file there ends in .toml.")
    return files


def profile_from_toml(text: str, path: Path) -> ProductProfile:
    """Return the profile of a TOML text; files that it names are relative to the folder of `path`."""
    located = _LocatedToml(text, path)
    values = PROFILE.check(located.contents, "", located.fault)
    certificate = _certificate(values, located)
    chip = _chip(values.get("chip", {}), certificate, located)
    try:
        trial = TrialCertificate(certificate)
        trial.require_compressible()
        trial.require_room(chip)
    except AtcaProvError as error:
        raise located.refused("certificate" if "certificate" in values else "description", error.what) from error
    return ProductProfile(
        name=values["name"],
        title=values.get("title", values["name"]),
        path=path,
        certificate=certificate,
        chip=chip,
        signers=_signers(values.get("signers", {}), located),
        proof=_proof(values.get("proof", {})),
    )


class _LocatedToml:
    """The contents of a TOML text, and errors that name its file and the line of a field."""

    def __init__(self, text: str, path: Path) -> None:
        self._path = path
        try:
            self.contents: Mapping[str, Any] = parse_toml(text)
        except MalformedError as error:
            raise _invalid(f"{path} is not TOML: {error}.") from error
        self._lines = key_lines(text)

    def fault(self, field: str, rule: str) -> UsageError:
        """Return the error of a field, such as `chip.config`, that breaks a rule."""
        return self.refused(field, f"{printable(field) or 'the profile'} {rule}.")

    def refused(self, field: str, what: str, advice: str = "") -> UsageError:
        """Return an error at the line of a field, in words of its own."""
        return _invalid(f"{self._path}, line {line_of(self._lines, field)}: {what}", advice)

    def beside(self, name: str) -> Path:
        """Return the path of a file that the profile names."""
        return self._path.parent / name


def _certificate(values: Mapping[str, Any], located: _LocatedToml) -> CertificateDescription:
    if "description" in values:
        return _described(values, located)
    contents = {"role": "device"} | dict(located.contents["certificate"])
    return _with_unit(contents, values, lambda key, rule: located.fault(f"certificate.{key}", rule), located)


def _described(values: Mapping[str, Any], located: _LocatedToml) -> CertificateDescription:
    path = located.beside(values["description"])
    try:
        other = _LocatedToml(read_text(path, MAX_SIZE), path)
    except UsageError as error:
        raise located.refused("description", error.what, error.advice) from error
    if "unit" in values and "unit" in other.contents:
        raise located.fault("unit", f"cannot stand beside the one of {path}: give one of them")
    found = _with_unit(other.contents, values, other.fault, located)
    if found.role != "device":
        raise located.fault("description", f"names the description of a {found.role}; a device's is needed")
    return found


def _with_unit(
    contents: Mapping[str, Any], values: Mapping[str, Any], fault: Fault, located: _LocatedToml
) -> CertificateDescription:
    """Read a description to which the profile's [unit] table belongs, if it has one."""
    if "unit" not in values:
        return CertificateDescription.from_document(contents, fault)

    def of_either(key: str, rule: str) -> AtcaProvError:
        return located.fault(key, rule) if key.partition(".")[0] == "unit" else fault(key, rule)

    return CertificateDescription.from_document({**contents, "unit": located.contents["unit"]}, of_either)


def _chip(values: Mapping[str, Any], certificate: CertificateDescription, located: _LocatedToml) -> Profile:
    assert certificate.slots is not None
    assert certificate.slots.private_key is not None
    part = DeliveredPart(values.get("part", DeliveredPart.BLANK))
    slots = frozenset(values.get("certificate_slots", DEFAULT_CERTIFICATE_SLOTS))
    if certificate.slots.compressed_certificate not in slots:
        slot = certificate.slots.compressed_certificate
        raise located.fault("chip.certificate_slots", f"must hold slot {slot}, where the certificate goes")
    zone = _zone(values, located)
    unit = certificate.unit
    if unit is not None and part is DeliveredPart.BLANK:
        _require_place_of_unit(unit, ConfigZone(zone), slots, located)
    try:
        return Profile(
            config_zone=zone,
            device_key_slot=certificate.slots.private_key,
            certificate_slots=slots,
            slots_to_lock=tuple(values.get("lock_slots", ())),
            allow=frozenset(map(Allow, values.get("allow", ()))),
            part=part,
            unit_slots=frozenset() if unit is None or unit.slot is None else frozenset({unit.slot}),
        )
    except UsageError as error:
        advice = "" if error.code == Code.CONFIG_ZONE_UNSAFE else error.advice
        raise located.refused("chip", error.what, advice) from error


def _require_place_of_unit(
    unit: UnitRule, zone: ConfigZone, certificate_slots: Collection[int], located: _LocatedToml
) -> None:
    """Refuse a slot for the unit's name that no reader of the certificate can read, or that holds something else."""
    if unit.slot is None:
        return
    if unit.slot in certificate_slots:
        raise located.fault("unit.slot", f"is {unit.slot}, which is one of chip.certificate_slots")
    slot = zone.slots[unit.slot]
    if slot.private or not slot.clear_read:
        why = "holds a private key" if slot.private else "cannot be read in clear"
        raise located.fault("unit.slot", f"is {unit.slot}, which {why} in this configuration zone")


def _zone(values: Mapping[str, Any], located: _LocatedToml) -> bytes:
    if "zone" in values:
        try:
            return build(values["zone"])
        except ZoneFieldError as error:
            what = f"chip.zone.{printable(error.what)}"
            raise located.refused(f"chip.zone.{error.path}", what, error.advice) from error
    if "config" not in values:
        return DEFAULT_608A
    try:
        return read_zone_file(located.beside(values["config"])).zone.data
    except UsageError as error:
        raise located.refused("chip.config", error.what, error.advice) from error


def _signers(values: Mapping[str, Any], located: _LocatedToml) -> SignerRule:
    return SignerRule(
        root_public_key=_root_key(values["root"], located) if "root" in values else b"",
        name=values.get("name", ""),
        ids=frozenset(bytes.fromhex(each) for each in values.get("ids", ())),
    )


def _root_key(name: str, located: _LocatedToml) -> bytes:
    """Return X||Y (64 bytes) of the root's key."""
    try:
        root = read_certificate(located.beside(name))
        return authority_layout(root).public_key.of(root)
    except AtcaProvError as error:
        raise located.refused("signers.root", error.what, error.advice) from error


def _proof(values: Mapping[str, Any]) -> ProofRule:
    usual = ProofRule()
    return ProofRule(
        policy=ProofPolicy(values.get("policy", usual.policy)),
        within_hours=values.get("within_hours", usual.within_hours),
        most_overdue=values.get("most_overdue", usual.most_overdue),
    )


def _invalid(what: str, advice: str = "") -> UsageError:
    return UsageError(what, advice=advice, code=Code.PROFILE_INVALID)
