"""Certificate definitions as the vendor's C structures, and the library's certificate functions over one chip.

The layout is that of atcacert_def.h in cryptoauthlib 3.8 on 64-bit platforms; the sizes that the library itself exports
are compared. Its certificate functions share one static buffer: one thread only.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_char, c_int, c_size_t, c_uint8, c_uint16, c_uint32, c_void_p
from typing import Any, Final

from atcaprov.certs.definitions.definition import CertElement, CertificateDefinition, CertLocation, DeviceLocation
from tests.support.stock_cryptoauthlib import LIBRARY, Wheel

MAX_CERTIFICATE: Final = 2048


class DeviceLoc(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"  # Python 3.14 requires it; without bit fields every compiler does so
    _fields_ = (
        ("zone", c_uint32),
        ("slot", c_uint16),
        ("is_genkey", c_uint8),
        ("offset", c_uint16),
        ("count", c_uint16),
    )


class CertLoc(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"  # Python 3.14 requires it; without bit fields every compiler does so
    _fields_ = (("offset", c_uint16), ("count", c_uint16))


class Element(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"  # Python 3.14 requires it; without bit fields every compiler does so
    _fields_ = (("id", c_char * 25), ("device_loc", DeviceLoc), ("cert_loc", CertLoc), ("transforms", c_uint32 * 2))


class Definition(ctypes.Structure):
    """atcacert_def_t."""


Definition._fields_ = (
    ("type", c_uint32),
    ("comp_cert_dev_loc", DeviceLoc),
    ("private_key_slot", c_uint16),
    ("template_id", c_uint8),
    ("chain_id", c_uint8),
    ("std_sig_size", c_uint16),
    ("sn_source", c_uint32),
    ("cert_sn_dev_loc", DeviceLoc),
    ("issue_date_format", c_uint8),
    ("expire_date_format", c_uint8),
    ("tbs_cert_loc", CertLoc),
    ("expire_years", c_uint8),
    ("public_key_dev_loc", DeviceLoc),
    ("std_cert_elements", CertLoc * 8),
    ("cert_elements", POINTER(Element)),
    ("cert_elements_count", c_uint8),
    ("cert_template", POINTER(c_uint8)),
    ("cert_template_size", c_uint16),
    ("ca_cert_def", POINTER(Definition)),
)


class CalBuffer(ctypes.Structure):
    _fields_ = (("len", c_size_t), ("buf", POINTER(c_uint8)))


def _exported_size(name: str) -> int:
    function = getattr(LIBRARY, name)
    function.restype = c_size_t
    return int(function())


def check_layout() -> None:
    """Compare the sizes of the structures here with those of the library."""
    assert ctypes.sizeof(Definition) == _exported_size("atcacert_def_t_size")
    assert ctypes.sizeof(Element) == _exported_size("atcacert_cert_element_t_size")
    assert ctypes.sizeof(DeviceLoc) == _exported_size("atcacert_device_loc_t_size")
    assert ctypes.sizeof(CertLoc) == _exported_size("atcacert_cert_loc_t_size")


def c_definition(definition: CertificateDefinition) -> Any:
    """Return the definition as atcacert_def_t; the structure keeps what it points at."""
    template = (c_uint8 * len(definition.cert_template))(*definition.cert_template)
    elements = (Element * len(definition.cert_elements))(*map(_element, definition.cert_elements))
    return Definition(
        type=definition.type,
        comp_cert_dev_loc=_device(definition.comp_cert_dev_loc),
        private_key_slot=definition.private_key_slot,
        template_id=definition.template_id,
        chain_id=definition.chain_id,
        std_sig_size=definition.std_sig_size,
        sn_source=definition.sn_source,
        cert_sn_dev_loc=_device(definition.cert_sn_dev_loc),
        issue_date_format=definition.issue_date_format,
        expire_date_format=definition.expire_date_format,
        tbs_cert_loc=_cert(definition.tbs_cert_loc),
        expire_years=definition.expire_years,
        public_key_dev_loc=_device(definition.public_key_dev_loc),
        std_cert_elements=(CertLoc * 8)(*map(_cert, definition.std_cert_elements)),
        cert_elements=elements,
        cert_elements_count=len(elements),
        cert_template=template,
        cert_template_size=len(template),
    )


def fields(definition: Any) -> dict[str, object]:
    """Return the contents of an atcacert_def_t, what it points at included, to compare two."""
    found = _plain(definition, skip=("cert_elements", "cert_template", "ca_cert_def"))
    found["cert_elements"] = [
        _plain(definition.cert_elements[number]) for number in range(definition.cert_elements_count)
    ]
    found["cert_template"] = bytes(definition.cert_template[: definition.cert_template_size])
    return found


def _plain(structure: Any, skip: tuple[str, ...] = ()) -> dict[str, object]:
    values: dict[str, object] = {}
    for name, *_ in structure._fields_:
        value = getattr(structure, name)
        if name in skip:
            continue
        if isinstance(value, ctypes.Structure):
            value = _plain(value)
        elif isinstance(value, ctypes.Array):
            value = [_plain(item) if isinstance(item, ctypes.Structure) else item for item in value]
        values[name] = value
    return values


def _device(location: DeviceLocation) -> DeviceLoc:
    return DeviceLoc(location.zone, location.slot, location.is_genkey, location.offset, location.count)


def _cert(location: CertLocation) -> CertLoc:
    return CertLoc(location.offset, location.count)


def _element(element: CertElement) -> Element:
    return Element(
        element.id.encode(), _device(element.device_loc), _cert(element.cert_loc), (c_uint32 * 2)(*element.transforms)
    )


def _function(name: str, *arguments: Any) -> Any:
    function = getattr(LIBRARY, name)
    function.argtypes = list(arguments)
    function.restype = c_int
    return function


_read_cert = _function("atcacert_read_cert_ext", c_void_p, c_void_p, c_void_p, c_void_p, c_void_p)
_write_cert = _function("atcacert_write_cert_ext", c_void_p, c_void_p, c_void_p, c_size_t)
_get_comp_cert = _function("atcacert_get_comp_cert", c_void_p, c_void_p, c_size_t, c_void_p)


def read_certificate(wheel: Wheel, definition: Any, ca_public_key: bytes) -> bytes:
    """Return the certificate that the library rebuilds from the chip; `ca_public_key` is X||Y."""
    key = (c_uint8 * 64)(*ca_public_key)
    key_buffer = CalBuffer(64, key)
    certificate = (c_uint8 * MAX_CERTIFICATE)()
    size = c_size_t(MAX_CERTIFICATE)
    status = _read_cert(wheel._handle, byref(definition), byref(key_buffer), certificate, byref(size))
    assert status == 0, f"atcacert_read_cert_ext: {status} ({wheel.chip.last_refusal})"
    return bytes(certificate[: size.value])


def write_certificate(wheel: Wheel, definition: Any, certificate: bytes) -> None:
    """Let the library write a certificate's parts to the chip."""
    status = _write_cert(wheel._handle, byref(definition), certificate, len(certificate))
    assert status == 0, f"atcacert_write_cert_ext: {status} ({wheel.chip.last_refusal})"


def compress(definition: Any, certificate: bytes) -> bytes:
    """Return the library's compressed form of a certificate, 72 bytes."""
    out = (c_uint8 * 144)()
    status = _get_comp_cert(byref(definition), certificate, len(certificate), out)
    assert status == 0, f"atcacert_get_comp_cert: {status}"
    return bytes(out[:72])
