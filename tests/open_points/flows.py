"""The flows of the product that touch a chip, each on blank chips of one reading; they raise where something fails."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import pytest
from cryptography import x509

from atcaprov import Code, Device, DeviceError, Profile, Provisioner, UsageError, verify_chain
from atcaprov.certs.descriptions.description import default_description
from atcaprov.certs.keys import verify_digest
from atcaprov.cli.request import device_request
from atcaprov.emulator.open_points import OpenPoints
from signer_module.on_chip.creation.external_ca import ExternalRequest, import_certificate, request_certificate
from signer_module.on_chip.creation.module_builder import ModuleOrder
from signer_module.on_chip.creation.root_module import make_root
from signer_module.on_chip.creation.signer_module import make_signer
from signer_module.on_chip.module import RootModule, SignerModule
from signer_module.on_chip.password_change import change_password, set_password
from signer_module.on_chip.public_contents import RootModuleContents, read_module
from signer_module.on_files.root_folder import RootFolder, write_module_folder
from tests.support.external_certificate import certified
from tests.support.in_memory_server import InMemory, MemoryCa
from tests.support.open_point_combinations import chip_under
from tests.support.scripted_hal import ScriptedHal
from tests.support.signer_modules import DESCRIPTIONS, PASSWORD, make, no_pause, open_order, order, replug, root_folder

NEW: Final = b"battery staple"
DIGEST: Final = hashlib.sha256(b"to be signed").digest()
PROFILE: Final = Profile(slots_to_lock=(0, 13))


@dataclass(frozen=True)
class World:
    """What is around the chips: a server's root and signer, and a folder for roots."""

    authority: MemoryCa
    folder: Path

    def new_folder(self) -> Path:
        """Return a path that nothing has yet."""
        return Path(mkdtemp(dir=self.folder)) / "root"

    def new_root(self) -> RootFolder:
        """Return a new root on files."""
        return root_folder(self.new_folder())


def ten_stages(reading: OpenPoints, world: World) -> None:
    """Provision a chip, confirm it when it comes again, and let it sign a request for another CA."""
    hal = chip_under(reading)
    for _ in range(2):
        with Device(hal) as device:
            provision(device, world)
        replug(hal)
    with Device(hal) as device:
        asked = x509.load_der_x509_csr(device_request(device, PROFILE.device_key_slot, default_description("device")))
        assert asked.is_signature_valid


def signer_under_a_root_module(reading: OpenPoints, world: World) -> None:
    """Make a root module, and a signer module that it certifies; use and change the signer's password."""
    root_hal, hal = chip_under(reading), chip_under(reading)
    with Device(root_hal) as root_device:
        folder = create_root(root_device, world.new_folder())
        root = opened_root(root_device)
        with Device(hal) as device:
            create_signer(device, folder, order(quota=3), root)
        assert root.remaining == 2
    use_up(hal, PASSWORD, 3)


def signer_for_an_external_ca(reading: OpenPoints, world: World) -> None:
    """Begin a module with a request, make the request again, and import the certificate."""
    hal, ca = chip_under(reading), world.new_root()
    with Device(hal) as device:
        first = request(device)
    with Device(hal) as device:
        again = request(device, first.public_key)
    assert first.public_key == again.public_key
    with Device(hal) as device:
        import_signer(device, ca, again, again.signatures)
    use_up(hal, PASSWORD, 3)


def first_password(reading: OpenPoints, world: World) -> None:
    """Make a module whose password comes later, use it without one, and set the first password."""
    hal = chip_under(reading)
    with Device(hal) as device:
        make(device, world.new_root(), order(None))
    with SignerModule.on(Device(hal), no_pause) as module:
        assert not module.needs_password
        signs(module)
        set_password(module, PASSWORD)
    replug(hal)
    with SignerModule.on(Device(hal), no_pause) as module:
        assert module.needs_password
        module.unlock(PASSWORD)
        signs(module)


def password_change(reading: OpenPoints, world: World) -> None:
    """Sign, try a wrong password, change the password, and sign with the new one alone."""
    hal = chip_under(reading)
    with Device(hal) as device:
        make(device, world.new_root(), order())
    with SignerModule.on(Device(hal), no_pause) as module:
        module.unlock(PASSWORD)
        signs(module)
        refuses(module, b"wrong")
        signs(module)
        module.rest()
        signs(module)
        assert change_password(module, PASSWORD, NEW)
        module.unlock(NEW)
        signs(module)
    replug(hal)
    with SignerModule.on(Device(hal), no_pause) as module:
        refuses(module, PASSWORD)
        module.unlock(NEW)
        signs(module)


def open_modules(reading: OpenPoints, world: World) -> None:
    """Make modules that never ask for a password, without and with quota."""
    for quota in (None, 2):
        hal = chip_under(reading)
        with Device(hal) as device:
            make(device, world.new_root(), open_order(quota))
        with SignerModule.on(Device(hal), no_pause) as module:
            assert module.prove()
            signs(module)
        if quota is not None:
            use_up(hal, None, 1)


Flow = Callable[[OpenPoints, World], None]
_ALL: Final[tuple[Flow, ...]] = (
    ten_stages,
    signer_under_a_root_module,
    signer_for_an_external_ca,
    first_password,
    password_change,
    open_modules,
)
FLOWS: Final = {flow.__name__: flow for flow in _ALL}

# The parts


def provision(device: Device, world: World, *, fill_unwritten: bool = False) -> None:
    """Take a chip through the ten stages with data of the integrator's, or on from where an earlier run was cut."""
    profile = replace(PROFILE, fill_unwritten=fill_unwritten)
    functions = InMemory(world.authority)
    functions.write = lambda writer: writer.write(8, 32, b"made for " + writer.serial_number)
    made = Provisioner(profile, world.authority.cert_info, functions).provision(device)
    verify_chain(made.device_certificate, made.signer_certificate, world.authority.root_public_key)
    assert device.read_slot(8, 32, 18) == b"made for " + device.serial_number()


def create_root(device: Device, path: Path) -> RootFolder:
    """Make a chip a root module with its folder, or finish one whose folder is there."""

    def keep(certificate: bytes) -> None:
        write_module_folder(path, certificate, device.serial_number())

    kept = RootFolder.load(path).certificate if path.exists() else None
    description, now = default_description("root"), datetime.now(UTC)
    make_root(device, order(quota=3), description, now, keep=_nothing if kept else keep, kept=kept)
    return RootFolder.load(path)


def _nothing(_: bytes) -> None:
    """Keep what is kept already."""


def opened_root(device: Device) -> RootModule:
    """Return a root module with its password given."""
    facts = read_module(device)
    assert isinstance(facts, RootModuleContents)
    root = RootModule(device, facts, no_pause)
    root.unlock(PASSWORD)
    return root


def create_signer(device: Device, folder: RootFolder, wanted: ModuleOrder, root: RootModule) -> None:
    """Make a chip a signer module under a root module."""
    now = datetime.now(UTC)
    make_signer(device, wanted, root=folder, sign=root.sign, descriptions=DESCRIPTIONS, signer_id=None, now=now)


def request(device: Device, kept: bytes | None = None) -> ExternalRequest:
    """Begin a module for an external CA, or make the request for a key (X||Y) again."""
    return request_certificate(
        device,
        order(quota=3),
        default_description("signer"),
        signer_id=b"\x0a\x0b",
        wanted=lambda key: key == kept,
        new_key=kept is None,
    )


def import_signer(device: Device, ca: RootFolder, asked: ExternalRequest, signatures: int | None = None) -> None:
    """Finish a module with what an external CA has made of its request; `signatures` as `import_certificate`."""
    certificate = certified(ca, asked)
    import_certificate(
        device,
        order(quota=3),
        DESCRIPTIONS,
        certificate=certificate,
        root=ca.certificate,
        signatures=signatures,
    )


def use_up(hal: ScriptedHal, password: bytes | None, quota: int) -> None:
    """Sign as often as a signer module allows, and once more."""
    with SignerModule.on(Device(hal), no_pause) as module:
        module.unlock(password)
        assert module.prove()
        for left in reversed(range(quota)):
            signs(module)
            assert module.remaining == left
            assert (read := module.read_quota()) is not None
            assert read.remaining == left
        with pytest.raises(DeviceError) as refused:
            module.sign(DIGEST)
        assert refused.value.code == Code.QUOTA_USED_UP


def signs(module: SignerModule | RootModule) -> None:
    """Check a signature of a module."""
    assert verify_digest(module.public_key, DIGEST, module.sign(DIGEST))


def refuses(module: SignerModule, password: bytes) -> None:
    """Check that a password does not open a module; one that was given before still counts."""
    with pytest.raises(UsageError) as refused:
        module.unlock(password)
    assert refused.value.code == Code.PASSWORD_WRONG
