"""The folder that `signer-module export` writes, for a CA in memory."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.in_memory_server import MemoryCa


def export_of(authority: MemoryCa, folder: Path) -> Path:
    """Write definitions, certificates and cert info of a CA's signer; return the folder."""
    folder.mkdir()
    (folder / "device_definition.json").write_text(authority.device_definition.to_json())
    (folder / "signer_definition.json").write_text(authority.signer_definition.to_json())
    (folder / "root.pem").write_bytes(_pem(authority.root_certificate))
    (folder / "signer.pem").write_bytes(_pem(authority.signer.der))
    (folder / "atcaprov_cert_info_0.c").write_text(authority.cert_info.to_c())
    return folder


def _pem(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)
