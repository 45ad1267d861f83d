"""Make a root module: its key and its self-signed certificate."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from atcaprov.certs.chain import verify_root
from atcaprov.certs.descriptions.description import CertificateDescription
from atcaprov.certs.keys import padded_public_key
from atcaprov.certs.unsigned import sign_certificate
from atcaprov.device.device import Device
from atcaprov.errors import Code, UsageError
from signer_module.on_chip import layout
from signer_module.on_chip.creation.module_builder import ModuleBuilder, ModuleOrder
from signer_module.on_chip.description import pack_root
from signer_module.on_files.key_file import SoftwareKey
from signer_module.on_files.root_folder import root_builder


def make_root(
    device: Device,
    order: ModuleOrder,
    description: CertificateDescription,
    now: datetime,
    *,
    keep: Callable[[bytes], object],
    kept: bytes | None = None,
) -> None:
    """Make the chip a root module, or finish one that was cut.

    `keep` gets the root certificate (DER) before the last lock, so that a module is never finished of which nobody has
    it. `kept` is what an earlier run has so kept: key and certificate stay. Without it a key is made anew.

    Raises UsageError, CertificateError before the chip is changed for all that can be known before; ProvisioningError
    when the chip can't become a module; UsageError (key-mismatch) when its key is not that of `kept`.
    """
    _rehearse(description, now)
    kept_key = None if kept is None else verify_root(kept)
    builder = ModuleBuilder(device, order)
    builder.configure()
    if kept_key is not None and builder.present_key() != kept_key:
        raise _other_key()
    public_key = builder.key(lambda key: key == kept_key)
    certificate = kept or _certified(builder, description, public_key, now)
    keep(certificate)
    builder.write(layout.PUBLIC_KEY_SLOT, padded_public_key(public_key))
    builder.finish("root", pack_root(certificate, public_key))


def _certified(builder: ModuleBuilder, description: CertificateDescription, public_key: bytes, now: datetime) -> bytes:
    unsigned = root_builder(description, public_key, now)
    certificate = sign_certificate(unsigned, public_key=public_key, sign=builder.sign)
    verify_root(certificate, public_key)
    return certificate


def _other_key() -> UsageError:
    return UsageError(
        "The chip has another key than the root in the folder, which was begun with it: a later run made a new one.",
        advice="Choose another folder; no module can become the root of this one any more.",
        code=Code.KEY_MISMATCH,
    )


def _rehearse(description: CertificateDescription, now: datetime) -> None:
    """Make the same certificate with a key in memory: it must be valid and fit the module."""
    key = SoftwareKey.generate()
    builder = root_builder(description, key.public_key, now)
    certificate = sign_certificate(builder, public_key=key.public_key, sign=key.sign)
    verify_root(certificate, key.public_key)
    pack_root(certificate, key.public_key)
