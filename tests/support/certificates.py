"""Known certificates, software keys and random definitions for the tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from atcaprov.certs import keys
from atcaprov.certs.definitions.definition import (
    CertificateDefinition,
    CertLocation,
    DateFormat,
    DeviceLocation,
    DeviceZone,
    SerialSource,
    StdElement,
)
from atcaprov.certs.descriptions.description import default_description
from atcaprov.certs.descriptions.template import device_definition, signer_definition

VECTORS: Final = Path(__file__).parent.parent / "vectors"
CHIP_SERIAL: Final = bytes.fromhex("01234038d92ca571ee")
NOW: Final = datetime(2026, 6, 1, 8, 30, 5, tzinfo=UTC)
HOUR: Final = datetime(2026, 6, 1, 8, tzinfo=UTC)
ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def vector(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Key:
    """A software key for tests."""

    private: ec.EllipticCurvePrivateKey

    @classmethod
    def of(cls, number: int) -> Key:
        return cls(ec.derive_private_key(number % (ORDER - 1) + 1, ec.SECP256R1()))

    @property
    def public(self) -> bytes:
        return keys.raw_public_key(self.private.public_key())

    def sign(self, digest: bytes) -> bytes:
        return keys.raw_signature(self.private.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()))))


ROOT: Final = Key.of(0xA11CE)
SIGNER: Final = Key.of(0xB0B)
DEVICE: Final = Key.of(0xC0FFEE)
SIGNER_ID: Final = bytes.fromhex("0034")


def default_definitions(at: datetime = NOW) -> tuple[CertificateDefinition, CertificateDefinition]:
    """The signer's and the device's definition of the default descriptions."""
    signer = default_description("signer")
    root_name = default_description("root").subject_name()
    return (
        signer_definition(signer, root_name=root_name, at=at),
        device_definition(default_description("device"), signer=signer, at=at),
    )


_FORMATS: Final = {"UTC": DateFormat.RFC5280_UTC, "GEN": DateFormat.RFC5280_GEN}


def genuine_definition(which: str = "signer") -> CertificateDefinition:
    """The published definition of December 2015 (its source stands in the vector)."""
    case = vector("signer-certificate")[which]
    signer = which == "signer"
    return _definition(
        name=which if signer else "device",
        role="signer" if signer else "device",
        tbs=case["tbs"],
        fields={**case["definition"], "expire_years": 0},
        elements=case["definition"]["elements_offset_count"],
        template=case["der"],
        formats=(DateFormat.RFC5280_UTC, DateFormat.RFC5280_GEN),
    )


def chain_definition(case: dict[str, Any]) -> CertificateDefinition:
    """The definition of one certificate of the synthetic chains."""
    return _definition(
        name=case["role"],
        role=case["role"],
        tbs=case["tbs"],
        fields=case,
        elements=case["elements"],
        template=case["template"],
        formats=(_FORMATS[case["issue_date_format"]], _FORMATS[case["expire_date_format"]]),
    )


def _definition(
    *,
    name: str,
    role: str,
    tbs: list[int],
    fields: dict[str, Any],
    elements: dict[str, list[int]],
    template: str,
    formats: tuple[DateFormat, DateFormat],
) -> CertificateDefinition:
    signer = role == "signer"
    key = (
        DeviceLocation(DeviceZone.DATA, 11, False, 0, 72) if signer else DeviceLocation(DeviceZone.DATA, 0, True, 0, 64)
    )
    return CertificateDefinition(
        name=name,
        role="signer" if signer else "device",
        template_id=fields["template_id"],
        chain_id=fields["chain_id"],
        private_key_slot=0,
        sn_source=SerialSource(int(fields["sn_source"], 16)),
        issue_date_format=formats[0],
        expire_date_format=formats[1],
        tbs_cert_loc=CertLocation(*tbs),
        expire_years=fields["expire_years"],
        public_key_dev_loc=key,
        comp_cert_dev_loc=DeviceLocation(DeviceZone.DATA, 12 if signer else 10, False, 0, 72),
        std_cert_elements=tuple(CertLocation(*elements[element.name]) for element in StdElement),
        cert_template=bytes.fromhex(template),
        format_version=1,
    )
