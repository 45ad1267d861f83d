"""Where to look for signers that come and go: device URLs, a folder of software chips, plugged-in kits, HSMs.

A source tells which URLs are there now; nothing is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Protocol

from atcaprov.bounded_reading import is_file, may_be_there, paths_in
from atcaprov.errors import UsageError
from atcaprov.hal.kit.hid import hid_module
from atcaprov.hal.usb import PluggedKit, plugged_kits
from provisioning_server.signers.hsm import HsmSigner
from provisioning_server.signers.module import PluggedModule
from provisioning_server.signers.module_pins import ModulePins

HSM_SCHEME: Final = "pkcs11"
_FILE_SCHEMES: Final = ("kit-hid", "kit-cdc", "emulator")


class SignerSource(Protocol):
    """One way to find signers."""

    def present(self) -> Iterable[str]:
        """Return the device URLs that can be tried now."""


class NamedModules:
    """Modules at given URLs. One at a file, of a device or of a software chip, is present while the file is."""

    def __init__(self, urls: Iterable[str]) -> None:
        self._urls = tuple(dict.fromkeys(urls))

    def present(self) -> list[str]:
        """Return the URLs whose file exists, and those that name no file."""
        return [url for url in self._urls if (file := _file_of(url)) is None or may_be_there(file)]


class ModuleFolder:
    """A folder of software chips, each a module in a file: moving a file in plugs it in."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def present(self) -> list[str]:
        """Return a URL for each JSON file; raises UsageError (file-unreadable) for the folder."""
        return [f"emulator:{path}" for path in paths_in(self._folder, "*.json") if _may_be_chip(path)]


class PluggedKits:
    """Every kit that is plugged in. Whether it is a signer module shows when it is opened."""

    def __init__(self, kits: Callable[[], list[PluggedKit]] = lambda: plugged_kits(hid_module())) -> None:
        self._kits = kits

    def present(self) -> list[str]:
        """Return the URL of each."""
        return [kit.url for kit in self._kits()]


class NamedHsms:
    """Signer folders whose keys are in HSMs. Whether the HSM is present shows when it is opened."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = tuple(folders)

    def present(self) -> list[str]:
        """Return a URL of the server's own for each."""
        return [f"{HSM_SCHEME}:{folder}" for folder in self._folders]


def open_signer(url: str, pins: ModulePins | None = None) -> PluggedModule | HsmSigner:
    """Open the module at a device URL, or the HSM of a signer folder; raises as these do."""
    scheme, _, rest = url.partition(":")
    return HsmSigner.open(Path(rest)) if scheme == HSM_SCHEME else PluggedModule.open(url, pins)


def _may_be_chip(path: Path) -> bool:
    """Return whether a file exists, or may exist: then opening it says why it cannot be read."""
    try:
        return is_file(path)
    except UsageError:
        return True


def _file_of(url: str) -> Path | None:
    """Return the file that exists while the device is present, if the URL names one."""
    scheme, _, rest = url.partition(":")
    name = rest.removeprefix("//").partition("?")[0]
    if scheme not in _FILE_SCHEMES or not name or (scheme != "emulator" and not name.startswith("/dev/")):
        return None
    return Path(name)
