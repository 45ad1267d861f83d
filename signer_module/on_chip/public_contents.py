"""What anyone can read of a finished module without a password, checked as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field

from atcaprov.certs.chain import verify_root, verify_under_root
from atcaprov.certs.compressed_form import CompressedCertificate
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.keys import unpadded_public_key
from atcaprov.certs.rebuild import rebuild
from atcaprov.chip.memory_map import SLOT_SIZES, serial_number
from atcaprov.config_zone.layouts import belongs_to
from atcaprov.config_zone.locks import is_config_locked, is_data_locked
from atcaprov.device.device import Device
from atcaprov.errors import Code, ProvisioningError
from signer_module.on_chip import slot_layout
from signer_module.on_chip.description import invalid, unpack_root, unpack_signer
from signer_module.on_chip.header import ModuleHeader
from signer_module.on_chip.password_keys import AskChip, PasswordScheme, PasswordSecrets
from signer_module.on_chip.quota import STORED_SIZE, decode_limit
from signer_module.on_chip.slot_layout import Variant, variant_of
from signer_module.on_files.root_folder import common_name
from signer_module.on_files.signer_folder import split_name
from signer_module.signer_description import SignerDocument


@dataclass(frozen=True)
class ModuleContents:
    """What root and signer modules have in common. `limit` is where Counter 0 stops; None without quota.

    `made_for` is the quota of the new module; None without quota, and in modules of older versions.
    """

    serial: bytes
    """Serial number of the chip, 9 bytes."""
    variant: Variant
    scheme: PasswordScheme
    public_key: bytes
    """X||Y, 64 bytes."""
    certificate: bytes
    """DER."""
    limit: int | None
    made_for: int | None

    def secrets(self, password: bytes | None, ask_chip: AskChip) -> PasswordSecrets:
        """Return what a password is for this module; None: before one was set. Raises as `PasswordScheme.secrets`."""
        return self.scheme.secrets(password, ask_chip if self.variant.has_chip_secret else None)


@dataclass(frozen=True)
class RootModuleContents(ModuleContents):
    """A root module."""

    @property
    def name(self) -> str:
        """The common name."""
        return common_name(self.certificate)


@dataclass(frozen=True)
class SignerModuleContents(ModuleContents):
    """A signer module."""

    name: str
    signer_id: bytes
    compressed: bytes
    """The certificate's compressed form, 72 bytes."""
    root_certificate: bytes
    root_public_key: bytes
    document: SignerDocument = field(repr=False)
    signer_definition: CertificateDefinition = field(repr=False)
    device_definition: CertificateDefinition = field(repr=False)


def read_module(device: Device) -> RootModuleContents | SignerModuleContents:
    """Read and check a module.

    Raises:
        ProvisioningError: the chip is not a module, or not a finished one (code NOT_A_MODULE).
        CertificateError: its parts are damaged (MODULE_INVALID) or do not belong together.
        TransportError, ProtocolError, DeviceError: the chip does not answer as a chip.
    """
    config = device.read_config()
    variant = require_finished(config)
    header = ModuleHeader.parse(_slot(device, slot_layout.HEAD_SLOT))
    if header.version != variant.layout:
        raise invalid(f"its header is of version {header.version}, its configuration of {variant.layout}")
    stored = b"".join(_needed_description(device, variant, header.description_size))
    limit, made_for = None, None
    if variant.quota:
        limit, made_for = decode_limit(device.read_slot(slot_layout.LIMIT_SLOT, 0, STORED_SIZE))
    common = ModuleContents(
        serial=serial_number(config),
        variant=variant,
        scheme=header.scheme,
        public_key=unpadded_public_key(_slot(device, slot_layout.PUBLIC_KEY_SLOT)),
        certificate=b"",
        limit=limit,
        made_for=made_for,
    )
    description = header.description(stored)
    if header.role == "root":
        return _root(common, description)
    return _signer(device, common, description)


def require_finished(config: bytes) -> Variant:
    """Return the variant of a module whose zones are locked; raises ProvisioningError (not-a-module)."""
    variant = variant_of(config)
    if variant is None:
        owner = belongs_to(config)
        what = "it is not configured as one" if owner is None else f"it is {owner}"
        raise _no_module(what, "Give the URL of a root or signer module.")
    if not (is_config_locked(config) and is_data_locked(config)):
        raise _no_module("it is not finished", "Run the command that began it again.")
    return variant


def _root(common: ModuleContents, description: bytes) -> RootModuleContents:
    certificate = unpack_root(description, common.public_key)
    verify_root(certificate, common.public_key)
    return RootModuleContents(
        common.serial, common.variant, common.scheme, common.public_key, certificate, common.limit, common.made_for
    )


def _signer(device: Device, common: ModuleContents, description: bytes) -> SignerModuleContents:
    root_public_key = unpadded_public_key(_slot(device, slot_layout.ROOT_KEY_SLOT))
    document = unpack_signer(description, root_public_key)
    compressed = _slot(device, slot_layout.CERTIFICATE_SLOT)
    return signer_contents(common, document, compressed, root_public_key)


def signer_contents(
    common: ModuleContents, document: SignerDocument, compressed: bytes, root_public_key: bytes
) -> SignerModuleContents:
    """Put a signer's parts together; raises CertificateError when they do not belong together."""
    signer, device = document.definitions()
    certificate = rebuild(signer, compressed=compressed, public_key=common.public_key, ca_public_key=root_public_key)
    verify_under_root(certificate, document.root_certificate)
    name, signer_id = split_name(common_name(certificate))
    if CompressedCertificate.parse(compressed).signer_id != signer_id:
        raise invalid("its compressed certificate has another signer id than the certificate")
    device.require_issuable()
    return SignerModuleContents(
        common.serial,
        common.variant,
        common.scheme,
        common.public_key,
        certificate,
        common.limit,
        common.made_for,
        name=name,
        signer_id=signer_id,
        compressed=compressed,
        root_certificate=document.root_certificate,
        root_public_key=root_public_key,
        document=document,
        signer_definition=signer,
        device_definition=device,
    )


def _slot(device: Device, slot: int) -> bytes:
    return device.read_slot(slot, 0, SLOT_SIZES[slot])


def _needed_description(device: Device, variant: Variant, size: int) -> list[bytes]:
    parts = []
    for slot, room in variant.description_parts:
        count = min(size, room)
        if count:
            parts.append(device.read_otp(0, count) if slot is None else device.read_slot(slot, 0, count))
        size -= count
    return parts


def _no_module(why: str, advice: str) -> ProvisioningError:
    return ProvisioningError(f"The chip is not a signer module: {why}.", advice=advice, code=Code.NOT_A_MODULE)
