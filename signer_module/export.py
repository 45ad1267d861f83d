"""What leaves the signer module: certificates, cert info and definitions; never a private key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from atcaprov.certs import c_source as export_c
from signer_module.on_files import folder_files
from signer_module.on_files.signer_folder import CHAIN_FILE
from signer_module.signer_description import PublicSigner


def export_signer(signer: PublicSigner, out: Path, index: int = 0, chain: Sequence[bytes] = ()) -> list[str]:
    """Write the export into a new folder and return the names of its files; `chain` as `export_contents` takes it."""
    contents = export_contents(signer, index, chain)
    with folder_files.new_folder(out, 0o755) as folder:
        folder_files.write_all(
            folder, {name: (data, folder_files.PUBLIC) for name, data in contents.items()}, named=out
        )
    return list(contents)


def export_contents(signer: PublicSigner, index: int, chain: Sequence[bytes] = ()) -> dict[str, bytes]:
    """Return the files of an export: name -> bytes.

    `chain` are the CA certificates (DER) from the signer's issuer to the root, where an external CA made it.
    """
    info = signer.cert_info(index)
    found = {
        "signer.pem": folder_files.pem_certificate(signer.certificate),
        "root.pem": folder_files.pem_certificate(signer.root_certificate),
        info.file_name: info.to_c().encode(),
    }
    if chain:
        found[CHAIN_FILE] = b"".join(folder_files.pem_certificate(der) for der in chain)
    for definition in (signer.signer_definition, signer.device_definition):
        key = signer.root_public_key if definition.role == "signer" else None
        found[export_c.header_name(definition)] = export_c.header(definition).encode()
        source = export_c.source(definition, issuer=_issuer(signer, definition.role), ca_public_key=key)
        found[export_c.source_name(definition)] = source.encode()
        found[f"{definition.role}_definition.json"] = definition.to_json().encode()
    return found


def _issuer(signer: PublicSigner, role: str) -> export_c.Issuer:
    return signer.signer_definition if role == "device" else None
