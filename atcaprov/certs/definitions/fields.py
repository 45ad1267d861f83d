"""The fields of a certificate definition, before anything is checked.

They are those of atcacert_def_t (cryptoauthlib lib/atcacert/atcacert_def.h), with a name, the role, and the highest
format version that certificates may be issued in.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from atcaprov.certs import dates
from atcaprov.certs.dates import DateFormat
from atcaprov.certs.serial_number import SerialSource
from atcaprov.certs.unit_rule import UnitRule
from atcaprov.certs.x509_layout import CertificateLayout, certificate_layout
from atcaprov.errors import CertificateError, Code

MAX_TRANSFORMED: Final = 256
"""The vendor's buffer for one transformed element."""


class CertificateType(enum.IntEnum):
    """atcacert_cert_type_t; only X509 is supported here."""

    X509 = 0
    CUSTOM = 1
    X509_FULL_STORED = 2


class DeviceZone(enum.IntEnum):
    """atcacert_device_zone_t."""

    CONFIG = 0
    OTP = 1
    DATA = 2
    GENKEY = 3
    DEDICATED = 4
    NONE = 7


class StdElement(enum.IntEnum):
    """Index into std_cert_elements (atcacert_std_cert_element_t)."""

    PUBLIC_KEY = 0
    SIGNATURE = 1
    ISSUE_DATE = 2
    EXPIRE_DATE = 3
    SIGNER_ID = 4
    CERT_SN = 5
    AUTH_KEY_ID = 6
    SUBJ_KEY_ID = 7


class Transform(enum.IntEnum):
    """atcacert_transform_t: how the chip's bytes are converted for the certificate."""

    NONE = 0
    REVERSE = 1
    BIN2HEX_UC = 2
    BIN2HEX_LC = 3
    HEX2BIN_UC = 4
    HEX2BIN_LC = 5
    BIN2HEX_SPACE_UC = 6
    BIN2HEX_SPACE_LC = 7
    HEX2BIN_SPACE_UC = 8
    HEX2BIN_SPACE_LC = 9


@dataclass(frozen=True, slots=True)
class CertLocation:
    """Bytes of the certificate; count 0 = the certificate has no such element."""

    offset: int = 0
    count: int = 0

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.offset + self.count


@dataclass(frozen=True, slots=True)
class DeviceLocation:
    """Bytes on the chip; zone NONE or count 0 = nowhere. `is_genkey`: asked by GenKey instead of Read."""

    zone: DeviceZone = DeviceZone.NONE
    slot: int = 0
    is_genkey: bool = False
    offset: int = 0
    count: int = 0

    @property
    def present(self) -> bool:
        """Whether it names any bytes."""
        return self.zone is not DeviceZone.NONE and self.count > 0

    @property
    def by_gen_key(self) -> bool:
        """Whether the chip computes it from a private key."""
        return self.zone is DeviceZone.GENKEY or self.is_genkey

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.offset + self.count


NOWHERE: Final = DeviceLocation()


def location_of_unit(rule: UnitRule) -> DeviceLocation:
    """Return where a chip holds the unit's name."""
    zone = DeviceZone.OTP if rule.slot is None else DeviceZone.DATA
    return DeviceLocation(zone, rule.slot or 0, False, rule.offset, rule.size)


@dataclass(frozen=True, slots=True)
class CertElement:
    """An element beyond the standard ones: bytes of the chip that are in the certificate, transformed."""

    id: str
    """At most 24 ASCII characters."""
    device_loc: DeviceLocation
    cert_loc: CertLocation
    transforms: tuple[Transform, Transform] = (Transform.NONE, Transform.NONE)

    def certificate_bytes(self, data: bytes) -> bytes:
        """Return the certificate's bytes for the chip's `data`; raises CertificateError if they do not fit."""
        for transform in self.transforms:
            if transform is not Transform.NONE:
                data = _TRANSFORMED[transform](data)
        if len(data) != self.cert_loc.count:
            raise CertificateError(
                f"Element {self.id} gives {len(data)} bytes for {self.cert_loc.count} in the certificate.",
                code=Code.DEFINITION_INVALID,
            )
        return data


def _from_hex(data: bytes) -> bytes:
    try:
        return bytes.fromhex(data.decode("ascii"))
    except ValueError as error:
        raise CertificateError("The chip holds no hexadecimal text where the certificate definition expects it.") from (
            error
        )


_TRANSFORMED: Final[tuple[Callable[[bytes], bytes], ...]] = (
    lambda data: data,
    lambda data: data[::-1],
    lambda data: data.hex().upper().encode(),
    lambda data: data.hex().encode(),
    _from_hex,
    _from_hex,
    lambda data: data.hex(" ").upper().encode(),
    lambda data: data.hex(" ").encode(),
    _from_hex,
    _from_hex,
)
"""In the order of Transform: an index is found faster than a key, whose hash an enumeration computes each time."""

Role = Literal["signer", "device"]


@dataclass(frozen=True)
class DefinitionFields:
    """The fields of a definition; `CertificateDefinition` is the checked one."""

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
    unit: UnitRule | None = None
    """What the unit's own name is, which elements take from its place on the chip; None if no element does."""

    @functools.cached_property
    def unit_location(self) -> DeviceLocation:
        """Where the chip holds the unit's name; nowhere if the certificate has none."""
        return NOWHERE if self.unit is None else location_of_unit(self.unit)

    def is_of_unit(self, location: DeviceLocation) -> bool:
        """Tell whether a location lies wholly in the unit's name."""
        name = self.unit_location
        same = (location.zone, location.slot, location.by_gen_key) == (name.zone, name.slot, False)
        return name.present and same and name.offset <= location.offset and location.end <= name.end

    @functools.cached_property
    def spans(self) -> tuple[slice, ...]:
        """Where each standard element is, in the order of StdElement; an empty slice if there is none."""
        return tuple(slice(location.offset, location.end) for location in self.std_cert_elements)

    def element(self, element: StdElement) -> CertLocation:
        """Return the location of a standard element in the certificate."""
        return self.std_cert_elements[element]

    @functools.cached_property
    def layout(self) -> CertificateLayout:
        """Locations of the template's fields."""
        return certificate_layout(self.cert_template)

    @functools.cached_property
    def first_issue_year(self) -> int:
        """The first year in which the date formats of this definition are those that RFC 5280 demands."""
        first = dates.FIRST_YEAR
        if self.issue_date_format is DateFormat.RFC5280_GEN:
            first = dates.LAST_UTC_TIME_YEAR + 1
        if self.expire_date_format is DateFormat.RFC5280_GEN and self.expire_years:
            first = max(first, dates.LAST_UTC_TIME_YEAR + 1 - self.expire_years)
        return first

    @functools.cached_property
    def last_issue_year(self) -> int:
        """The last year in which certificates of this definition can be issued."""
        last = dates.LAST_ISSUE_YEAR[self.format_version]
        if self.issue_date_format is DateFormat.RFC5280_UTC:
            last = min(last, dates.LAST_UTC_TIME_YEAR)
        if self.expire_date_format is DateFormat.RFC5280_UTC:
            last = min(last, dates.LAST_UTC_TIME_YEAR - self.expire_years)
        return last
