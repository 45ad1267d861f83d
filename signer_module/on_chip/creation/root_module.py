"""Create a root module: its key, its self-signed certificate, and the folder with its register."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from atcaprov.bounded_reading import is_file
from atcaprov.certs.chain import verify_root
from atcaprov.certs.descriptions.description import CertificateDescription
from atcaprov.certs.keys import padded_public_key
from atcaprov.certs.unsigned import sign_certificate
from atcaprov.chip.memory_map import serial_number
from atcaprov.config_zone.locks import is_config_locked
from atcaprov.device.device import Device
from atcaprov.errors import Code, ProvisioningError, UsageError
from signer_module.on_chip import slot_layout
from signer_module.on_chip.creation.chip_check import is_finished, read_root_module
from signer_module.on_chip.creation.module_builder import ModuleBuilder, ModuleOrder
from signer_module.on_chip.creation.order_check import is_described, require_ordered_root
from signer_module.on_chip.creation.plan import Consent, CreatedModule, kept_if_good, plan, prove_module
from signer_module.on_chip.description import pack_root
from signer_module.on_chip.module import RootModule
from signer_module.on_files import folder_files
from signer_module.on_files.key_file import SoftwareKey
from signer_module.on_files.root_folder import MODULE_FILE, RootFolder, root_builder, write_module_folder

_KEY_OF_FOLDER: Final = "its private key is that of the folder, which an interrupted run has written"


def create_root_module(
    url: str,
    out: Path,
    order: ModuleOrder,
    description: CertificateDescription,
    *,
    now: datetime,
    consent: Consent,
    register_lost: bool = False,
) -> CreatedModule[RootModule]:
    """Make a root module and the folder with its certificate and register; the module comes back open.

    The folder is written before the last lock, so that the same command finishes any interrupted run. A module that is
    finished gets a folder with an empty register only if its counter shows that it has signed nothing, or with
    `register_lost`; its own folder stays as it is.
    """
    kept = _module_folder(out)
    if kept is None:
        folder_files.require_new_folder(out)
    with kept_if_good(Device.open(url)) as device:
        already = is_finished(device.read_config())
        if not already:
            _make_root(device, out, kept, order, description, now, consent)
            kept = RootFolder.load(out)
        root = RootModule(device, read_root_module(device))
        if already and kept is None and not register_lost:
            _require_unused(root, order)
        if already:
            used = register_lost or bool(kept is not None and kept.register.issued())
            require_ordered_root(root, order, description, used=used)
        prove_module(root, order)
        if kept is not None:
            _require_folder_of(kept, root)
        else:
            write_module_folder(out, root.certificate, root.serial)
        return CreatedModule(root, already)


def _make_root(
    device: Device,
    out: Path,
    kept: RootFolder | None,
    order: ModuleOrder,
    description: CertificateDescription,
    now: datetime,
    consent: Consent,
) -> None:
    """Create a root module, or finish the one whose folder an interrupted run has written before the last lock."""
    config = device.read_config()
    serial = serial_number(config)
    if kept is None:
        consent(plan(device, order, "a self-signed root certificate"))
        make_root(device, order, description, now, keep=lambda made: write_module_folder(out, made, serial))
        return
    if not is_config_locked(config) or kept.module_serial != serial.hex().upper() or kept.register.issued():
        raise UsageError(f"{out} is the folder of another root.", advice="Choose another folder.")
    if not is_described(kept.certificate, description):
        raise UsageError(
            f"{out} was begun with another description, and holds its root certificate.",
            advice="Give the description of the first run, or choose another folder.",
        )
    consent(plan(device, order, "the root certificate of the folder", key=_KEY_OF_FOLDER))
    make_root(device, order, description, now, keep=lambda _: None, kept=kept.certificate)


def _module_folder(path: Path) -> RootFolder | None:
    """Return what stands in a folder if that is the folder of a root module."""
    return RootFolder.load(path) if is_file(path / MODULE_FILE) else None


def _require_folder_of(folder: RootFolder, root: RootModule) -> None:
    if folder.certificate != root.certificate or folder.module_serial != root.serial.hex().upper():
        raise UsageError(
            f"{folder.path} is the folder of another root.",
            advice="Choose another folder.",
            code=Code.FILE_UNWRITABLE,
        )
    folder.register.issued()


def _require_unused(root: RootModule, order: ModuleOrder) -> None:
    """Refuse an empty register for a root that may have given signer ids; without quota the chip counts nothing."""
    left = root.remaining
    if left is None or (order.quota is not None and left < order.quota):
        raise ProvisioningError(
            "The root module is finished already. A new register could give its signer ids a second time.",
            advice="Give its folder as --out. If that is lost or was never made, add --register-lost.",
            code=Code.DATA_LOCKED_OTHER,
        )


def make_root(
    device: Device,
    order: ModuleOrder,
    description: CertificateDescription,
    now: datetime,
    *,
    keep: Callable[[bytes], object],
    kept: bytes | None = None,
) -> None:
    """Make the chip a root module, or finish one that an interrupted run has begun.

    `keep` gets the root certificate (DER) before the last lock, so that no finished module is without
    it. `kept` is the certificate that an earlier run has kept: key and certificate stay. Without it a new key is made.

    Raises UsageError, CertificateError before the chip is changed for all that can be known before; ProvisioningError
    when the chip cannot become a module; UsageError (key-mismatch) when its key is not that of `kept`.
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
    builder.write(slot_layout.PUBLIC_KEY_SLOT, padded_public_key(public_key))
    builder.finish("root", pack_root(certificate, public_key))


def _certified(builder: ModuleBuilder, description: CertificateDescription, public_key: bytes, now: datetime) -> bytes:
    unsigned = root_builder(description, public_key, now)
    certificate = sign_certificate(unsigned, public_key=public_key, sign=builder.sign)
    verify_root(certificate, public_key)
    return certificate


def _other_key() -> UsageError:
    return UsageError(
        "The chip has another key than the root in the folder: a later run made a new one.",
        advice="Choose another folder; no module can become the root of this one.",
        code=Code.KEY_MISMATCH,
    )


def _rehearse(description: CertificateDescription, now: datetime) -> None:
    """Make the same certificate with a key in memory: it must be valid and fit the module."""
    key = SoftwareKey.generate()
    builder = root_builder(description, key.public_key, now)
    certificate = sign_certificate(builder, public_key=key.public_key, sign=key.sign)
    verify_root(certificate, key.public_key)
    pack_root(certificate, key.public_key)
