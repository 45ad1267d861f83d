"""The fields of a certificate definition, before anything is checked.

They are those of atcacert_def_t (cryptoauthlib lib/atcacert/atcacert_def.h), with a name, the role, and the highest
format version that certificates may be issued in.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Literal

from atcaprov.certs import dates
from atcaprov.certs.dates import DateFormat
from atcaprov.certs.definitions.elements import (
    NOWHERE,
    CertElement,
    CertificateType,
    CertLocation,
    DeviceLocation,
    StdElement,
)
from atcaprov.certs.layout import CertificateLayout, certificate_layout
from atcaprov.certs.serial_number import SerialSource

Role = Literal["signer", "device"]


@dataclass(frozen=True)
class DefinitionFields:
    """What rules and documents work on; `CertificateDefinition` is the checked one."""

    name: str
    role: Role
    template_id: int
    chain_id: int
    private_key_slot: int
    sn_source: SerialSource
    issue_date_format: DateFormat
    expire_date_format: DateFormat
    tbs_cert_loc: CertLocation
    expire_years: int
    public_key_dev_loc: DeviceLocation
    comp_cert_dev_loc: DeviceLocation
    std_cert_elements: tuple[CertLocation, ...]
    """Eight locations in the order of StdElement."""
    cert_template: bytes
    cert_elements: tuple[CertElement, ...] = ()
    cert_sn_dev_loc: DeviceLocation = NOWHERE
    std_sig_size: int = 64
    ca_cert_def: str = ""
    """Name of the definition of the issuer's certificate, "" for none."""
    format_version: int = 0
    """Highest format version of the compressed form that may be issued; readers before 2024 know 0 only."""
    type: CertificateType = CertificateType.X509

    def element(self, element: StdElement) -> CertLocation:
        """Return where a standard element stands in the certificate."""
        return self.std_cert_elements[element]

    @functools.cached_property
    def layout(self) -> CertificateLayout:
        """Where the fields of the template stand."""
        return certificate_layout(self.cert_template)

    @property
    def first_issue_year(self) -> int:
        """The first year in which the date formats of this definition are those that RFC 5280 demands."""
        first = dates.FIRST_YEAR
        if self.issue_date_format is DateFormat.RFC5280_GEN:
            first = dates.LAST_UTC_TIME_YEAR + 1
        if self.expire_date_format is DateFormat.RFC5280_GEN and self.expire_years:
            first = max(first, dates.LAST_UTC_TIME_YEAR + 1 - self.expire_years)
        return first

    @property
    def last_issue_year(self) -> int:
        """The last year in which certificates of this definition can be issued."""
        last = dates.LAST_ISSUE_YEAR[self.format_version]
        if self.issue_date_format is DateFormat.RFC5280_UTC:
            last = min(last, dates.LAST_UTC_TIME_YEAR)
        if self.expire_date_format is DateFormat.RFC5280_UTC:
            last = min(last, dates.LAST_UTC_TIME_YEAR - self.expire_years)
        return last
