"""Certificate definitions as C source for firmware with cryptoauthlib.

The order of the fields of atcacert_def_t has changed over the years, so the initialisers name each field. The symbols
follow the published ones: g_cert_def_1_signer, g_cert_template_1_signer, g_signer_1_ca_public_key.
"""

from __future__ import annotations

from typing import Final

from atcaprov.certs import c_text
from atcaprov.certs.definition import CertificateDefinition, CertLocation, DeviceLocation, StdElement
from atcaprov.errors import CertificateError, Code

Issuer = CertificateDefinition | None
INCLUDE: Final = "atcacert/atcacert_def.h"
OLD_LIBRARY: Final = "ATCAPROV_OLD_ATCACERT"
"""Macro to define when the firmware's library has no std_sig_size and ca_cert_def (before 2020)."""


def stem(definition: CertificateDefinition) -> str:
    """Return the name that files and symbols share, for example cert_def_1_signer."""
    return f"cert_def_{_suffix(definition)}"


def header_name(definition: CertificateDefinition) -> str:
    """Return the name of the header file."""
    return f"{stem(definition)}.h"


def source_name(definition: CertificateDefinition) -> str:
    """Return the name of the source file."""
    return f"{stem(definition)}.c"


def header(definition: CertificateDefinition) -> str:
    """Return the text of the header file."""
    guard = f"{stem(definition)}_h".upper()
    lines = [f"#ifndef {guard}", f"#define {guard}", "", f'#include "{INCLUDE}"', ""]
    lines += ["#ifdef __cplusplus", 'extern "C" {', "#endif", ""]
    if definition.role == "signer":
        lines.append(f"extern const uint8_t {_ca_key_symbol(definition)}[64];")
    lines.append(f"extern const atcacert_def_t g_{stem(definition)};")
    lines += ["", "#ifdef __cplusplus", "}", "#endif", "", "#endif"]
    return "\n".join(lines) + "\n"


def source(definition: CertificateDefinition, *, issuer: Issuer = None, ca_public_key: bytes | None = None) -> str:
    """Return the text of the source file.

    `issuer` is the definition that `ca_cert_def` names, exported to a file of its own; `ca_public_key` (X||Y) is the
    root's key, written with a signer's definition.
    """
    if (issuer.name if issuer is not None else "") != definition.ca_cert_def:
        raise CertificateError(
            f"The definition {definition.name} names the issuer '{definition.ca_cert_def}', which was not given.",
            code=Code.DEFINITION_INVALID,
        )
    includes = [f'#include "{header_name(each)}"' for each in (definition, issuer) if each is not None]
    parts = ["\n".join([*includes, "#include <stddef.h>"])]
    if ca_public_key is not None:
        parts.append(f"const uint8_t {_ca_key_symbol(definition)}[64] = {c_text.byte_array(ca_public_key)};")
    template = definition.cert_template
    parts.append(
        f"static const uint8_t {_template_symbol(definition)}[{len(template)}] = {c_text.byte_array(template)};"
    )
    if definition.cert_elements:
        parts.append(_elements(definition))
    parts.append(_definition(definition, issuer))
    return "\n\n".join(parts) + "\n"


def _suffix(definition: CertificateDefinition) -> str:
    return f"{definition.template_id}_{definition.name}"


def _template_symbol(definition: CertificateDefinition) -> str:
    return f"g_cert_template_{_suffix(definition)}"


def _elements_symbol(definition: CertificateDefinition) -> str:
    return f"g_cert_elements_{_suffix(definition)}"


def _ca_key_symbol(definition: CertificateDefinition) -> str:
    return f"g_{definition.name}_{definition.template_id}_ca_public_key"


def _elements(definition: CertificateDefinition) -> str:
    rows = []
    for element in definition.cert_elements:
        transforms = ", ".join(f"TF_{transform.name}" for transform in element.transforms)
        rows.append(
            "    {\n"
            f"        .id = {c_text.string(element.id)},\n"
            f"        .device_loc = {_device_location(element.device_loc)},\n"
            f"        .cert_loc = {_cert_location(element.cert_loc)},\n"
            f"        .transforms = {{ {transforms} }}\n"
            "    }"
        )
    symbol = _elements_symbol(definition)
    return f"static const atcacert_cert_element_t {symbol}[{len(rows)}] = {{\n" + ",\n".join(rows) + "\n};"


def _definition(definition: CertificateDefinition, issuer: Issuer) -> str:
    elements = ",\n".join(
        f"        [STDCERT_{element.name}] = {_cert_location(definition.element(element))}" for element in StdElement
    )
    fields = {
        "type": f"CERTTYPE_{definition.type.name}",
        "template_id": str(definition.template_id),
        "chain_id": str(definition.chain_id),
        "private_key_slot": str(definition.private_key_slot),
        "sn_source": f"SNSRC_{definition.sn_source.name}",
        "cert_sn_dev_loc": _device_location(definition.cert_sn_dev_loc),
        "issue_date_format": f"DATEFMT_{definition.issue_date_format.name}",
        "expire_date_format": f"DATEFMT_{definition.expire_date_format.name}",
        "tbs_cert_loc": _cert_location(definition.tbs_cert_loc),
        "expire_years": str(definition.expire_years),
        "public_key_dev_loc": _device_location(definition.public_key_dev_loc),
        "comp_cert_dev_loc": _device_location(definition.comp_cert_dev_loc),
        "std_cert_elements": "{\n" + elements + "\n    }",
        "cert_elements": _elements_symbol(definition) if definition.cert_elements else "NULL",
        "cert_elements_count": str(len(definition.cert_elements)),
        "cert_template": _template_symbol(definition),
        "cert_template_size": str(len(definition.cert_template)),
    }
    newer = {
        "std_sig_size": str(definition.std_sig_size),
        "ca_cert_def": f"&g_{stem(issuer)}" if issuer is not None else "NULL",
    }
    guarded = f"#ifndef {OLD_LIBRARY}\n{_initialisers(newer)}\n#endif"
    return f"const atcacert_def_t g_{stem(definition)} = {{\n{_initialisers(fields)}\n{guarded}\n}};"


def _initialisers(fields: dict[str, str]) -> str:
    return "\n".join(f"    .{name} = {value}," for name, value in fields.items())


def _cert_location(location: CertLocation) -> str:
    return f"{{ .offset = {location.offset}, .count = {location.count} }}"


def _device_location(location: DeviceLocation) -> str:
    zone = "DEDICATED_DATA" if location.zone.name == "DEDICATED" else location.zone.name
    return (
        f"{{ .zone = DEVZONE_{zone}, .slot = {location.slot}, .is_genkey = {int(location.is_genkey)}, "
        f".offset = {location.offset}, .count = {location.count} }}"
    )
