"""What `signer-module info` shows of a folder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from atcaprov.bounded_reading import is_file
from atcaprov.certs import certificate_files
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.keys import key_id
from atcaprov.errors import Code, UsageError
from atcaprov.terminal.printable import printable
from signer_module.expiry_warnings import end_of, of_signer, readers_refusing
from signer_module.on_files import root_folder, signer_folder
from signer_module.on_files.root_folder import RootFolder
from signer_module.on_files.signer_folder import SignerFolder
from signer_module.on_files.signer_register import REGISTER_FILE
from signer_module.signer_description import PublicSigner


def show(folder: Path, *, as_json: bool, now: datetime) -> str:
    """Return the report of a root's or signer's folder as text, or as JSON with the same contents."""
    if is_file(folder / signer_folder.DOCUMENT_FILE):
        facts = _signer_facts(SignerFolder.load(folder), now)
    elif is_file(folder / REGISTER_FILE):
        facts = _root_facts(RootFolder.load(folder))
    else:
        raise UsageError(f"{folder} is not the folder of a root or a signer.", code=Code.FILE_UNREADABLE)
    return formatted(facts, as_json=as_json)


def formatted(facts: dict[str, Any], *, as_json: bool) -> str:
    """Return a report as text, or as JSON with the same contents."""
    return json.dumps(facts, indent=2) if as_json else "\n".join(report_lines(facts))


def _root_facts(root: RootFolder) -> dict[str, Any]:
    return {
        "kind": "root",
        "name": root.name,
        **certificate_facts(root.certificate, root.public_key),
        "key": _key_facts(root.key_is_encrypted) if root.has_key else "on a root module",
        "signer ids given": ", ".join(root.register.issued()) or "none",
    }


def _signer_facts(signer: SignerFolder, now: datetime) -> dict[str, Any]:
    return {
        "kind": "signer",
        "name": signer.name,
        "signer id": signer.signer_id.hex().upper(),
        "serial": signer.serial.hex().upper(),
        **certificate_facts(signer.certificate, signer.public_key),
        "warnings": warning_facts(
            signer, now, [der for path in signer.chain_paths for der in certificate_files.read_certificates(path)]
        ),
        "not accepted by": reader_facts(signer, now),
        "key": "in an HSM" if signer.key_in_hsm else _key_facts(signer.key_is_encrypted),
        "root": root_folder.common_name(signer.root_certificate),
        "root key id": key_id(signer.root_public_key).hex(),
        "signer certificates": definition_facts(signer.signer_definition),
        "device certificates": definition_facts(signer.device_definition),
    }


def certificate_facts(certificate: bytes, public_key: bytes) -> dict[str, Any]:
    """Return what a report says of a certificate (DER) and its key (64 bytes)."""
    parsed = x509.load_der_x509_certificate(certificate)
    return {
        "key id": key_id(public_key).hex(),
        "valid from": parsed.not_valid_before_utc.isoformat(),
        "valid to": parsed.not_valid_after_utc.isoformat(),
    }


def warning_facts(signer: PublicSigner, now: datetime, authorities: Iterable[bytes] = ()) -> str:
    """Return what a report warns of: dates; `authorities` are the CA certificates (DER) above the signer's issuer."""
    return " ".join(f"The signer {text}" for text in of_signer(signer, now, authorities)) or "none"


def reader_facts(signer: PublicSigner, now: datetime) -> str:
    """Return what a report says of programs that refuse the signer's chain or what it issues, for their dates."""
    end = end_of(signer.certificate)
    return readers_refusing(end, signer.signer_definition, signer.device_definition, now) or "no known reader"


def _key_facts(encrypted: bool) -> str:
    return "encrypted" if encrypted else "not encrypted"


def definition_facts(definition: CertificateDefinition) -> dict[str, Any]:
    """Return what a report says of a definition."""
    return {
        "template id": definition.template_id,
        "chain id": definition.chain_id,
        "serial number source": definition.sn_source.name,
        "years of validity": definition.expire_years or "no expiry",
        "issued until end of": definition.last_issue_year,
        "slots": ", ".join(f"{slot} {what}" for slot, what in sorted(definition.write_slots.items())),
        "largest certificate": f"{definition.layout.signature.start + 75} bytes",
    }


def report_lines(facts: dict[str, Any], indent: str = "") -> list[str]:
    """Return a report as lines of text."""
    lines = []
    for name, value in facts.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}:", *report_lines(value, indent + "  ")]
        else:
            lines.append(f"{indent}{name}: {printable(str(value))}")
    return lines
