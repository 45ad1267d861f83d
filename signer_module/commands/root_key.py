"""The key of a root, wherever it is, for the commands that sign with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from atcaprov.device.device import Device
from atcaprov.errors import CertificateError, Code, ProvisioningError, UsageError
from signer_module.commands.password_options import PasswordSource
from signer_module.on_chip.creation.plan import kept_if_good
from signer_module.on_chip.module import RootModule
from signer_module.on_chip.public_contents import RootModuleContents, read_module
from signer_module.on_files.root_folder import RootFolder, RootKey


@contextmanager
def opened_root_key(root: RootFolder, url: str | None, source: PasswordSource) -> Iterator[RootKey]:
    """Give what signs with a root's key: its file, or the root module at `url`."""
    if root.has_key:
        if url is not None:
            raise UsageError(f"The key of {root.path} is a file. Leave out --root-device.")
        password = source.read("Password of the root key") if root.key_is_encrypted else None
        yield root.unlock(password)
        return
    if url is None:
        raise UsageError(f"The key of {root.path} is on a root module.", advice="Give it with --root-device.")
    with _open_root(url) as module:
        if module.public_key != root.public_key:
            raise CertificateError(f"The root module at {url} is not that of {root.path}.", code=Code.KEY_MISMATCH)
        module.unlock(source.read("Password of the root module") if module.needs_password else None)
        yield module


def require_left(root_key: RootKey) -> None:
    """Raise UsageError (quota-used-up) if the root has made all signatures that its chip allows."""
    if isinstance(root_key, RootModule) and root_key.remaining == 0:
        raise UsageError(
            "The root module's quota is used up.",
            advice="Make a new root.",
            code=Code.QUOTA_USED_UP,
        )


def _open_root(url: str) -> RootModule:
    with kept_if_good(Device.open(url)) as device:
        contents = read_module(device)
        if not isinstance(contents, RootModuleContents):
            raise ProvisioningError(f"The module at {url} is a signer, not a root.", code=Code.NOT_A_MODULE)
        return RootModule(device, contents)
