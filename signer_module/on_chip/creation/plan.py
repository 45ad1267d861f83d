"""Commands that make modules: look at the chip, show the plan, make, and prove the result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Generic, TypeVar

from atcaprov.certs.descriptions.description import CertificateDescription
from atcaprov.chip.memory_map import serial_number
from atcaprov.device.device import Device
from atcaprov.device.zones.config_zone import is_config_locked
from atcaprov.errors import Board, CertificateError, Code, ProvisioningError, UsageError
from atcaprov.reading import is_file
from signer_module.external_ca.chain import ExternalChain
from signer_module.on_chip.creation.chip_check import is_finished, read_root_module, read_signer_module
from signer_module.on_chip.creation.module_builder import ModuleOrder
from signer_module.on_chip.creation.order_check import is_described, require_ordered_root, require_ordered_signer
from signer_module.on_chip.creation.root_module import make_root
from signer_module.on_chip.creation.signer_module import import_certificate, make_signer
from signer_module.on_chip.module import RootModule, SignerModule
from signer_module.on_files import files
from signer_module.on_files.root_folder import MODULE_FILE, RootFolder, write_module_folder
from signer_module.signer_description import SignerDescriptions

Consent = Callable[[list[str]], None]
_NEW_KEY: Final = "its private key is made in the chip and never leaves it"
_KEY_OF_REQUEST: Final = "its private key is that of the request"
_KEY_OF_FOLDER: Final = "its private key is that of the folder, which a run has written that was cut"
_Module = TypeVar("_Module", RootModule, SignerModule)


@dataclass(frozen=True)
class CreatedModule(Generic[_Module]):
    """A module that is open and proved, and whether it was finished before this run."""

    module: _Module
    already: bool


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

    The folder is written before the last lock, so that the same again finishes what was cut anywhere. A module that is
    finished gets a folder with an empty register only if its counter shows that it has signed nothing, or with
    `register_lost`; its own folder stays as it is.
    """
    kept = _module_folder(out)
    if kept is None:
        files.require_new_folder(out)
    with kept_if_good(Device.open(url)) as device:
        already = is_finished(device.read_config())
        if not already:
            _make_root(device, out, kept, order, description, now, consent)
            kept = RootFolder.load(out)
        root = RootModule(device, read_root_module(device))
        if already and kept is None and not register_lost:
            _require_unused(root, order)
        if already:
            used = register_lost or bool(kept is not None and kept.issued())
            require_ordered_root(root, order, description, used=used)
        _prove(root, order)
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
    """Make a root module, or finish the one whose folder a run has written that was cut before the last lock."""
    config = device.read_config()
    serial = serial_number(config)
    if kept is None:
        consent(plan(device, order, "a self-signed root certificate"))
        make_root(device, order, description, now, keep=lambda made: write_module_folder(out, made, serial))
        return
    if not is_config_locked(config) or kept.module_serial != serial.hex().upper() or kept.issued():
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
    folder.issued()


def _require_unused(root: RootModule, order: ModuleOrder) -> None:
    """Refuse an empty register for a root that may have given signer ids; without quota the chip counts nothing."""
    left = root.remaining
    if left is None or (order.quota is not None and left < order.quota):
        raise ProvisioningError(
            "The root module is finished already, and may have given signer ids: a new register would give them again.",
            advice="Give its folder as --out; if that is lost, or was never made, add --register-lost.",
            code=Code.DATA_LOCKED_OTHER,
        )


def create_signer_module(
    url: str,
    order: ModuleOrder,
    *,
    root: RootFolder,
    sign: Callable[[bytes], bytes],
    descriptions: SignerDescriptions,
    signer_id: bytes | None,
    now: datetime,
    consent: Consent,
) -> CreatedModule[SignerModule]:
    """Make a signer module under a root; it comes back open and proved.

    One that is finished is only proved, and must be what is ordered: else ProvisioningError (data-locked-other).
    """
    with kept_if_good(Device.open(url)) as device:
        already = is_finished(device.read_config())
        if not already:
            consent(plan(device, order, f"a signer certificate from {root.name}"))
            make_signer(device, order, root=root, sign=sign, descriptions=descriptions, signer_id=signer_id, now=now)
        module = SignerModule(device, read_signer_module(device, root.public_key))
        if already:
            require_ordered_signer(module, order, descriptions, signer_id)
        _prove(module, order)
        return CreatedModule(module, already)


def import_signer_certificate(
    url: str,
    order: ModuleOrder,
    descriptions: SignerDescriptions,
    *,
    chain: ExternalChain,
    signatures: int,
    consent: Consent,
) -> CreatedModule[SignerModule]:
    """Finish a module that an external CA has certified; it comes back open and proved.

    `signatures` is how many a chip with quota must have counted, as `import_certificate` checks it.
    """
    with kept_if_good(Device.open(url)) as device:
        already = is_finished(device.read_config())
        if not already:
            consent(plan(device, order, "the certificate of the external CA", key=_KEY_OF_REQUEST))
            import_certificate(
                device,
                order,
                descriptions,
                certificate=chain.signer,
                root=chain.issuer,
                signatures=signatures,
            )
        module = SignerModule(device, read_signer_module(device, None))
        if module.certificate != chain.signer:
            raise CertificateError(
                "The module holds another certificate than the one given.", code=Code.CERTIFICATE_MISMATCH
            )
        if already:
            require_ordered_signer(module, order, descriptions, None)
        _prove(module, order)
        return CreatedModule(module, already)


def plan(device: Device, order: ModuleOrder, certificate: str, *, key: str = _NEW_KEY, later: str = "") -> list[str]:
    """Return in words what will be done to a chip.

    `key` says what becomes of a key in one that was begun, `later` which command does all after the key.
    """
    config = device.read_config()
    begun = is_config_locked(config)
    quota = f"; {order.quota} signatures and not one more" if order.quota is not None else ""
    return [
        f"The chip {serial_number(config).hex().upper()} at {device.url} becomes a module {order.variant}{quota}:",
        "  1. its configuration is locked already"
        if begun
        else "  1. its configuration is written and permanently locked",
        f"  2. {key if begun else _NEW_KEY}",
        f"  3. {later}it gets {certificate} and its description",
        f"  4. {later}its data zone is permanently locked"
        + ("; whatever else another program has written there is overwritten" if begun else ""),
        "None of this can be undone, and the chip can become nothing else.",
    ]


def _prove(module: RootModule | SignerModule, order: ModuleOrder) -> None:
    module.unlock(order.password)
    if not module.prove():
        raise CertificateError(
            "The private key in the chip does not belong to its certificate.",
            advice="The chip is scrap: it cannot be changed any more.",
            code=Code.KEY_MISMATCH,
            board=Board.SCRAP,
        )


@contextmanager
def kept_if_good(device: Device) -> Iterator[Device]:
    """Close the device when the block fails."""
    try:
        yield device
    except BaseException:
        device.close()
        raise
