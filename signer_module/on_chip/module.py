"""A signer module and a root module in use, on any device URL."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Generic, Self, TypeVar

from atcaprov.certs.cert_info import CertInfo
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.device.device import Device
from atcaprov.errors import Code, ProvisioningError
from signer_module.on_chip.module_key import ModuleKey, Pause
from signer_module.on_chip.password_keys import PasswordSecrets
from signer_module.on_chip.public_contents import ModuleContents, RootModuleContents, SignerModuleContents, read_module
from signer_module.on_chip.quota import Quota
from signer_module.on_files.signer_folder import cert_info

_Contents = TypeVar("_Contents", bound=ModuleContents)


class OpenModule(Generic[_Contents]):
    """What root and signer modules have in common: identity, and a key behind password and quota.

    Methods may be called from any thread; one runs at a time. After TransportError or ProtocolError the password is
    forgotten: close the module and open it again.
    """

    def __init__(self, device: Device, contents: _Contents, pause: Pause = time.sleep) -> None:
        self.device = device
        self.contents = contents
        self._key = ModuleKey(device, contents, pause)

    @property
    def url(self) -> str:
        """Where the module is."""
        return self.device.url

    @property
    def serial(self) -> bytes:
        """Serial number of the chip, 9 bytes."""
        return self.contents.serial

    @property
    def public_key(self) -> bytes:
        """X||Y, 64 bytes."""
        return self.contents.public_key

    @property
    def certificate(self) -> bytes:
        """Certificate of the module's key (DER)."""
        return self.contents.certificate

    @property
    def needs_password(self) -> bool:
        """Whether the module has a password; it may have been given already, see `ready`."""
        return self._key.password_set

    @property
    def ready(self) -> bool:
        """Whether it signs; False while it waits for its password."""
        return self._key.ready

    @property
    def quota(self) -> Quota | None:
        """What is left, as far as this object knows without asking the chip; None if the module has no quota."""
        return self._key.quota

    @property
    def remaining(self) -> int | None:
        """Signatures that are left, without asking the chip; None if the module has no quota."""
        return None if self._key.quota is None else self._key.quota.remaining

    def read_quota(self) -> Quota | None:
        """Ask the chip what is left; None if the module has no quota. Raises TransportError when it is gone."""
        return self._key.read_quota()

    def wrong_passwords(self) -> int:
        """Ask the chip how many wrong passwords were tried since it was made."""
        return self._key.wrong_passwords()

    def unlock(self, password: bytes | None) -> None:
        """Make it ready; takes long on purpose. A password that is not needed is ignored.

        Raises UsageError (password-wrong), TransportError when the module is gone.
        """
        self._key.unlock(password)

    def secrets_of(self, password: bytes | None) -> PasswordSecrets:
        """Return what a password is for this module; None: before one was set. Takes long on purpose."""
        return self._key.secrets_of(password)

    def lock(self) -> None:
        """Forget the password, and send the chip to sleep."""
        self._key.lock()

    def rest(self) -> None:
        """Send the chip to sleep; this object keeps the password, and gives it to the chip for each signature."""
        self._key.rest()

    def sign(self, digest: bytes) -> bytes:
        """Return R||S (64 bytes) over a SHA-256 digest (32 bytes).

        Raises:
            UsageError: the password is missing, or was changed in the meantime (code PASSWORD_WRONG).
            DeviceError: the quota is used up (code QUOTA_USED_UP), or the chip refuses for another reason.
            TransportError: the module is gone.
            ProtocolError: it answers what no chip answers, or a signature that does not verify.
        """
        return self._key.sign(digest)

    def prove(self) -> bool:
        """Tell whether the chip's private key belongs to the certificate; costs nothing of the quota."""
        return self._key.prove()

    def check_present(self) -> None:
        """Raise TransportError when the module is gone or another chip is in its place."""
        self._key.check_present()

    def close(self) -> None:
        """Forget the password, send the chip to sleep and release it."""
        self._key.lock()
        self.device.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class RootModule(OpenModule[RootModuleContents]):
    """A root module."""

    @property
    def name(self) -> str:
        """The common name of the root."""
        return self.contents.name


class SignerModule(OpenModule[SignerModuleContents]):
    """A signer module."""

    @property
    def name(self) -> str:
        """Common name of the certificate without the signer id and the blank before it."""
        return self.contents.name

    @property
    def signer_id(self) -> bytes:
        """2 bytes."""
        return self.contents.signer_id

    @property
    def compressed(self) -> bytes:
        """The certificate's compressed form, 72 bytes."""
        return self.contents.compressed

    @property
    def root_certificate(self) -> bytes:
        """DER."""
        return self.contents.root_certificate

    @property
    def root_public_key(self) -> bytes:
        """X||Y, 64 bytes."""
        return self.contents.root_public_key

    @property
    def signer_definition(self) -> CertificateDefinition:
        """Definition of the signer's own certificate."""
        return self.contents.signer_definition

    @property
    def device_definition(self) -> CertificateDefinition:
        """Definition of the certificates that the signer issues."""
        return self.contents.device_definition

    def cert_info(self, index: int = 0) -> CertInfo:
        """Return what a client needs to know of this signer."""
        return cert_info(self.certificate, self.root_certificate, self.signer_definition, self.device_definition, index)

    @classmethod
    def open(cls, url: str, pause: Pause = time.sleep) -> Self:
        """Open the signer module at a device URL.

        Raises:
            ProvisioningError: the device is not a finished signer module (code NOT_A_MODULE).
            CertificateError: its parts are damaged (MODULE_INVALID) or do not belong together.
            TransportError, ProtocolError, DeviceError, UsageError: nothing usable is at the URL.
        """
        device = Device.open(url)
        try:
            return cls.on(device, pause)
        except BaseException:
            device.close()
            raise

    @classmethod
    def on(cls, device: Device, pause: Pause = time.sleep) -> Self:
        """Take over an open device; raises as `open` and leaves the device open then."""
        contents = read_module(device)
        if not isinstance(contents, SignerModuleContents):
            raise ProvisioningError(
                f"The module at {device.url} is a root, not a signer.",
                advice="Do not use a root module at a line; keep it locked away.",
                code=Code.NOT_A_MODULE,
            )
        return cls(device, contents, pause)


def open_module(url: str, pause: Pause = time.sleep) -> SignerModule | RootModule:
    """Open the module at a device URL, whichever kind it is; raises as `SignerModule.open`."""
    device = Device.open(url)
    try:
        contents = read_module(device)
        if isinstance(contents, SignerModuleContents):
            return SignerModule(device, contents, pause)
        return RootModule(device, contents, pause)
    except BaseException:
        device.close()
        raise
