"""The layouts of atcacert_def_t in the vendor's releases, as tests/certs/atcacert_def.h has them."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char, c_uint8, c_uint16, c_uint32
from typing import Any, Final

from atcaprov.certs.dates import DateFormat
from tests.support import atcacert

YEARS: Final = (2016, 2017, 2018, 2019, 2024, 2026)
TODAY: Final = YEARS[-1]
FIRST_WITH_CA_CERT_DEF: Final = 2018
FIRST_WITH_TRANSFORMS: Final = 2019
_NEW_ORDER: Final = 2024
_WITHOUT_LITTLE_ENDIAN_DATES: Final = 2016
_OLD_GENERALIZED_TIME: Final = 3


def layout(year: int) -> Any:
    """Return the ctypes class of atcacert_def_t of that year."""
    slot = c_uint16 if year >= _NEW_ORDER else c_uint8
    date_format = c_uint8 if year >= _NEW_ORDER else c_uint32
    location = _packed(zone=c_uint32, slot=slot, is_genkey=c_uint8, offset=c_uint16, count=c_uint16)
    id_size = 25 if year >= FIRST_WITH_TRANSFORMS else 16
    element: dict[str, Any] = {"id": c_char * id_size, "device_loc": location, "cert_loc": atcacert.CertLoc}
    if year >= FIRST_WITH_TRANSFORMS:
        element["transforms"] = c_uint32 * 2
    numbers: dict[str, Any] = {"template_id": c_uint8, "chain_id": c_uint8}
    compressed: dict[str, Any] = {"comp_cert_dev_loc": location}
    if year >= _NEW_ORDER:
        head = {**compressed, "private_key_slot": slot, **numbers}
    else:
        head = {**numbers, "private_key_slot": slot}
    if year == TODAY:
        head["std_sig_size"] = c_uint16
    fields = {
        "type": c_uint32,
        **head,
        "sn_source": c_uint32,
        "cert_sn_dev_loc": location,
        "issue_date_format": date_format,
        "expire_date_format": date_format,
        "tbs_cert_loc": atcacert.CertLoc,
        "expire_years": c_uint8,
        "public_key_dev_loc": location,
        **({} if year >= _NEW_ORDER else compressed),
        "std_cert_elements": atcacert.CertLoc * 8,
        "cert_elements": POINTER(_packed(**element)),
        "cert_elements_count": c_uint8,
        "cert_template": POINTER(c_uint8),
        "cert_template_size": c_uint16,
    }
    if year >= FIRST_WITH_CA_CERT_DEF:
        fields["ca_cert_def"] = ctypes.c_void_p
    return _structure(fields, pack=1 if year < _NEW_ORDER else 0)


def as_today(definition: Any, year: int) -> Any:
    """Return a structure of another year as today's, which the library takes; `ca_cert_def` stays out."""
    count = definition.cert_elements_count
    elements = (atcacert.Element * count)()
    for number in range(count):
        _copy(definition.cert_elements[number], elements[number])
    today = atcacert.Definition(cert_elements=elements)
    _copy(definition, today, skip=("cert_elements", "ca_cert_def"))
    if year == _WITHOUT_LITTLE_ENDIAN_DATES and today.expire_date_format == _OLD_GENERALIZED_TIME:
        today.expire_date_format = DateFormat.RFC5280_GEN
    if year == _WITHOUT_LITTLE_ENDIAN_DATES and today.issue_date_format == _OLD_GENERALIZED_TIME:
        today.issue_date_format = DateFormat.RFC5280_GEN
    return today


def _copy(source: Any, target: Any, skip: tuple[str, ...] = ()) -> None:
    for name, *_ in source._fields_:
        value = getattr(source, name)
        if name in skip:
            continue
        if isinstance(value, ctypes.Structure):
            _copy(value, getattr(target, name))
        elif isinstance(value, ctypes.Array):
            getattr(target, name)[:] = value[:]
        else:
            setattr(target, name, value)


def _packed(**fields: Any) -> Any:
    return _structure(fields, pack=1)


def _structure(fields: dict[str, Any], *, pack: int) -> Any:
    members: dict[str, Any] = {"_fields_": tuple(fields.items())}
    if pack:
        members |= {"_pack_": pack, "_layout_": "ms"}
    return type("Layout", (ctypes.Structure,), members)
