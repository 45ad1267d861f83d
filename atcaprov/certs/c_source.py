"""Certificate definitions as C source for firmware with cryptoauthlib.

The order of the fields of atcacert_def_t has changed over the years, so the initialisers name each field. The symbols
follow the published ones: g_cert_def_1_signer, g_cert_template_1_signer, g_signer_1_ca_public_key.

One source serves every release (release notes and atcacert_def.h of cryptoauthlib): `ca_cert_def` came on 2018-07-18
as a pointer without const, `transforms` on 2019-05-17 together with the macro ATCA_MAX_TRANSFORMS, which therefore
tells that both are there, that `ca_cert_def` points to const, and that an element's id has 25 bytes instead of 16.
`std_sig_size` came with 3.7.7 and is not written: 0 stands for the 64 bytes that every definition here has. In recent
releases, 3.7.7 among them, ATCACERT_COMPCERT_EN=0 removes the fields of compressed certificates, and
ATCACERT_INTEGRATION_EN adds `parsed`, which stays NULL.
"""

from __future__ import annotations

from typing import Final

from atcaprov.certs.definitions.definition import (
    CertElement,
    CertificateDefinition,
    CertLocation,
    DeviceLocation,
    StdElement,
)
from atcaprov.certs.definitions.fields import Transform
from atcaprov.errors import CertificateError, Code

Issuer = CertificateDefinition | None
INCLUDE: Final = "atcacert/atcacert_def.h"
CA_CERT_DEF: Final = "ATCAPROV_CA_CERT_DEF"
"""Macro for a library before 20190517: 1 if it has ca_cert_def (since 20180718), 0 if not."""
_TRANSFORMS: Final = "ATCA_MAX_TRANSFORMS"
_COMPRESSED: Final = "ATCACERT_COMPCERT_EN"
_OLD_ID: Final = 15
"""Characters of an element's id before 20190517, without the zero at its end."""
# Guessing would compile, and firmware would rebuild a certificate with the authority key id of the template.
_QUESTIONS: Final = f"""\
#if defined({_COMPRESSED}) && !{_COMPRESSED}
#error "Compressed certificates are switched off in cryptoauthlib: set {_COMPRESSED} to 1"
#endif
#if !defined({_TRANSFORMS}) && !defined({CA_CERT_DEF})
#error "Add -D{CA_CERT_DEF}=1 if atcacert_def_t has ca_cert_def (cryptoauthlib 20180718 and later), else =0"
#endif"""


def stem(definition: CertificateDefinition) -> str:
    """Return the name that files and symbols share, for example cert_def_1_signer."""
    return f"cert_def_{_suffix(definition)}"


def header_name(definition: CertificateDefinition) -> str:
    """Return the name of the header file."""
    return f"{stem(definition)}.h"


def source_name(definition: CertificateDefinition) -> str:
    """Return the name of the source file."""
    return f"{stem(definition)}.c"


def header(definition: CertificateDefinition, *, ca_public_key: bool = True) -> str:
    """Return the text of the header file; `ca_public_key`: whether a signer's source has the root's key."""
    guard = f"{stem(definition)}_h".upper()
    lines = [f"#ifndef {guard}", f"#define {guard}", "", f'#include "{INCLUDE}"', ""]
    lines += ["#ifdef __cplusplus", 'extern "C" {', "#endif", ""]
    if definition.role == "signer" and ca_public_key:
        lines.append(f"extern const uint8_t {_ca_key_symbol(definition)}[64];")
    lines.append(f"extern const atcacert_def_t g_{stem(definition)};")
    lines += ["", "#ifdef __cplusplus", "}", "#endif", "", "#endif"]
    return "\n".join(lines) + "\n"


def source(definition: CertificateDefinition, *, issuer: Issuer = None, ca_public_key: bytes | None = None) -> str:
    """Return the text of the source file.

    `issuer` is the definition that `ca_cert_def` points to, exported to a file of its own; `ca_public_key` (X||Y) is
    the root's key, written with a signer's definition.
    """
    if (issuer.name if issuer is not None else "") != definition.ca_cert_def:
        raise CertificateError(
            f"The definition {definition.name} names the issuer '{definition.ca_cert_def}', which was not given.",
            code=Code.DEFINITION_INVALID,
        )
    includes = [f'#include "{header_name(each)}"' for each in (definition, issuer) if each is not None]
    parts = ["\n".join([*includes, "#include <stddef.h>"])]
    if ca_public_key is not None:
        parts.append(f"const uint8_t {_ca_key_symbol(definition)}[64] = {byte_array(ca_public_key)};")
    template = definition.cert_template
    parts.append(f"static const uint8_t {_template_symbol(definition)}[{len(template)}] = {byte_array(template)};")
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
    rows = [_element(element) for element in definition.cert_elements]
    symbol = _elements_symbol(definition)
    array = f"static const atcacert_cert_element_t {symbol}[{len(rows)}] = {{\n" + ",\n".join(rows) + "\n};"
    long = any(len(element.id) > _OLD_ID for element in definition.cert_elements)
    if not long and not any(map(_is_transformed, definition.cert_elements)):
        return array
    # Without transforms the library would build another certificate, whose signature fails.
    what = "long ids" if long else "transforms"
    reason = f"{definition.name} needs the {what} of cryptoauthlib 20190517 or later"
    return f'#ifndef {_TRANSFORMS}\n#error "{reason}"\n#endif\n\n{array}'


def _element(element: CertElement) -> str:
    lines = [
        f".id = {c_string(element.id)},",
        f".device_loc = {_device_location(element.device_loc)},",
        f".cert_loc = {_cert_location(element.cert_loc)},",
    ]
    if _is_transformed(element):
        lines.append(f".transforms = {{ {', '.join(f'TF_{transform.name}' for transform in element.transforms)} }}")
    return "    {\n" + "".join(f"        {line}\n" for line in lines) + "    }"


def _is_transformed(element: CertElement) -> bool:
    return any(transform is not Transform.NONE for transform in element.transforms)


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
    text = f"const atcacert_def_t g_{stem(definition)} = {{\n{_initialisers(fields)}\n{_ca_cert_def(issuer)}\n}};"
    return f"{_QUESTIONS}\n\n{text}"


def _ca_cert_def(issuer: Issuer) -> str:
    address = f"&g_{stem(issuer)}" if issuer is not None else "NULL"
    new, old = _initialisers({"ca_cert_def": address}), _initialisers({"ca_cert_def": f"(void *){address}"})
    return f"#if defined({_TRANSFORMS})\n{new}\n#elif {CA_CERT_DEF}\n{old}\n#endif"


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


_PER_LINE: Final = 16


def byte_array(data: bytes, indent: str = "    ") -> str:
    """Return the initialiser of an array of bytes, 16 on a line."""
    lines = [data[start : start + _PER_LINE] for start in range(0, len(data), _PER_LINE)]
    rows = [indent + ", ".join(f"0x{byte:02x}" for byte in line) for line in lines]
    return "{\n" + ",\n".join(rows) + "\n}"


def c_string(text: str) -> str:
    """Return a C string literal of the UTF-8 bytes; special characters become three octal digits."""
    return '"' + "".join(_escaped(byte) for byte in text.encode()) + '"'


def _escaped(byte: int) -> str:
    if byte in b'"\\':
        return "\\" + chr(byte)
    # A question mark too: two of them could begin a trigraph.
    return chr(byte) if 0x20 <= byte < 0x7F and byte != 0x3F else f"\\{byte:03o}"
