"""A signer whose key is in a chip: a signer module behind a device URL."""

from __future__ import annotations

from typing import Self

from atcaprov.errors import CertificateError, Code
from provisioning_server.records.signer_documents import SignerDocuments
from provisioning_server.signers.module_pins import ModulePins
from provisioning_server.signers.signer import SignatureCounter
from signer_module.on_chip.module import SignerModule


class PluggedModule:
    """Signs with a signer module. A password opens it until it is unplugged; the chip enforces that, and the quota."""

    slow = True

    def __init__(self, module: SignerModule, pins: ModulePins | None = None) -> None:
        self._module = module
        self._pins = pins
        self.name = module.name
        self.serial = module.serial
        self.wrong_tries_at = f"module {module.serial.hex()}"
        self.signer_id = module.signer_id
        self.documents = SignerDocuments.of(module)

    @classmethod
    def open(cls, url: str, pins: ModulePins | None = None) -> Self:
        """Open the module at a device URL; one that needs no password proves its key.

        Raises as `SignerModule.open`, CertificateError KEY_MISMATCH or MODULE_CHANGED, UsageError PASSWORD_SCHEME.
        """
        module = SignerModule.open(url, _no_pause)
        try:
            if module.ready:
                _require_proof(module)
            else:
                module.contents.scheme.require_costly()
                if pins is not None:
                    pins.require_same(module.contents)
        except BaseException:
            module.close()
            raise
        return cls(module, pins)

    @property
    def ready(self) -> bool:
        """Return whether it signs; False while it waits for its password."""
        return self._module.ready

    @property
    def remaining(self) -> int | None:
        """Return the signatures that are left, without asking the chip."""
        return self._module.remaining

    @property
    def counter(self) -> SignatureCounter | None:
        """Return Counter 0 as far as it is known without asking the chip; None without quota: then nothing counts."""
        quota = self._module.quota
        return None if quota is None else SignatureCounter(quota.counter, quota.first)

    @property
    def quota_low(self) -> bool:
        """Return whether its successor should be made now."""
        return self._module.quota is not None and self._module.quota.low

    @property
    def password_missing(self) -> bool:
        """Return whether its first password was not set yet."""
        return self._module.contents.variant.password and not self._module.needs_password

    def unlock(self, password: bytes | None) -> None:
        """Make it ready, and let it prove its key.

        Its counter is read. Raises UsageError PASSWORD_WRONG or PASSWORD_MEMORY, CertificateError KEY_MISMATCH,
        TransportError when it is gone.
        """
        self._module.unlock(password)
        _require_proof(self._module)
        self._module.read_quota()  # it may have worked elsewhere while it waited
        if self._pins is not None and self._module.needs_password:
            self._pins.remember(self._module.contents)

    def sign(self, digest: bytes) -> bytes:
        """Return R||S (64 bytes) over a SHA-256 digest (32 bytes); raises as `SignerModule.sign`."""
        return self._module.sign(digest)

    def rest(self) -> None:
        """Send the chip to sleep."""
        self._module.rest()

    def check_present(self) -> None:
        """Raise TransportError when it is gone or another chip is in its place."""
        self._module.check_present()

    def close(self) -> None:
        """Forget the password and release the port."""
        self._module.close()


def _require_proof(module: SignerModule) -> None:
    """Check that a chip has the key of its certificate, before a board is touched; this does not use the quota."""
    if not module.prove():
        module.lock()
        raise CertificateError(
            "The module's key is not that of its certificate.",
            advice="Take the module out of use: someone may have copied another module's certificate.",
            code=Code.KEY_MISMATCH,
        )


def _no_pause(_: float) -> None:
    """Do not pause: the unlock service does, and a sleeping thread would delay the end of the program."""
