"""Signer folders on the disk, made by the signer module as a user would make them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from atcaprov import CertInfo
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.descriptions.description import CertificateDescription, default_description
from atcaprov.certs.x509_layout import certificate_layout
from signer_module.on_files.create_signer import create_signer
from signer_module.on_files.key_file import SoftwareKey
from signer_module.on_files.root_folder import create_root
from signer_module.on_files.signer_folder import SignerFolder
from signer_module.signer_description import SignerDescriptions
from tests.support.in_memory_signer import MemorySigner
from tests.support.programs import run_signer_module


def make_signer_folder(
    parent: Path, *, password: bytes | None = None, device: CertificateDescription | None = None
) -> SignerFolder:
    """Make a root in parent/root and a signer of it in parent/signer; the root's key is not encrypted.

    `device` describes the devices' certificates, if not the default.
    """
    now = datetime.now(UTC)
    root = create_root(parent / "root", default_description("root"), None, now)
    return create_signer(
        parent / "signer",
        root=root,
        root_key=root.unlock(None),
        descriptions=SignerDescriptions(default_description("signer"), device or default_description("device")),
        key=SoftwareKey.generate(),
        password=password,
        signer_id=bytes.fromhex("0034"),
        now=now,
    )


def make_with_program(*more: object, out: str = "signer") -> int:
    """Make a root folder, if there is none yet, and a signer folder in the current folder; return the exit code."""
    if not Path("root").exists():
        assert run_signer_module("root", "create", "--out", "root", "--no-password") == 0
    return run_signer_module("signer", "create", "--root", "root", "--out", out, "--no-password", *more)


def certinfo_of(signer: MemorySigner) -> str:
    """Return the cert info file of a signer in memory."""
    documents = signer.documents
    device, issuer = documents.device, CertificateDefinition.from_bytes(documents.signer_definition)
    return CertInfo(
        signer_name=signer.name,
        signer_id=signer.signer_id,
        signer_public_key=documents.signer_public_key,
        root_public_key=certificate_layout(documents.root_certificate).public_key.of(documents.root_certificate),
        signer_template_id=issuer.template_id,
        signer_chain_id=issuer.chain_id,
        device_template_id=device.template_id,
        device_chain_id=device.chain_id,
    ).to_c()
