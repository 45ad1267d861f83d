"""Make a root module: its key and its self-signed certificate."""

from __future__ import annotations

from datetime import datetime

from atcaprov.certs.chain import verify_root
from atcaprov.certs.description import CertificateDescription
from atcaprov.certs.keys import padded_public_key
from atcaprov.certs.unsigned import sign_certificate
from atcaprov.device.device import Device
from signer_module.on_chip import layout
from signer_module.on_chip.description import pack_root
from signer_module.on_chip.making.steps import Making, ModuleOrder
from signer_module.on_files.key_file import SoftwareKey
from signer_module.on_files.root_folder import root_builder


def make_root(device: Device, order: ModuleOrder, description: CertificateDescription, now: datetime) -> None:
    """Make the chip a root module, or finish one that was cut; a key that was not certified before is made anew.

    Raises UsageError, CertificateError before the chip is changed for all that can be known before; ProvisioningError
    when the chip can't become a module.
    """
    _rehearse(description, now)
    making = Making(device, order)
    making.configure()
    public_key = making.key(lambda _: False)
    builder = root_builder(description, public_key, now)
    certificate = sign_certificate(builder, public_key=public_key, sign=making.sign)
    verify_root(certificate, public_key)
    making.write(layout.PUBLIC_KEY_SLOT, padded_public_key(public_key))
    making.finish("root", pack_root(certificate, public_key))


def _rehearse(description: CertificateDescription, now: datetime) -> None:
    """Make the same certificate with a key in memory: it must be valid and fit the module."""
    key = SoftwareKey.generate()
    builder = root_builder(description, key.public_key, now)
    certificate = sign_certificate(builder, public_key=key.public_key, sign=key.sign)
    verify_root(certificate, key.public_key)
    pack_root(certificate, key.public_key)
