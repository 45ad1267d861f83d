"""A signer module with a quota, on a software chip in a file, which survives the servers that use it as a real one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from atcaprov import Device
from signer_module.on_chip.module import SignerModule
from tests.support.signer_modules import make, open_order, root_folder

_QUOTA = 20_000


@dataclass(frozen=True)
class ModuleOnDisk:
    """The module; `first` is where its counter began."""

    url: str
    public_key: bytes
    first: int

    @classmethod
    def make(cls, folder: Path) -> Self:
        """Make a root and a module without password in a folder."""
        url = f"emulator:{folder / 'module.chip'}"
        with Device.open(url) as device:
            make(device, root_folder(folder / "root"), open_order(_QUOTA))
        with SignerModule.open(url) as module:
            return cls(url, module.public_key, _counter(module))

    def used(self) -> int:
        """Return how many signatures it has made, as the chip counts them."""
        with SignerModule.open(self.url) as module:
            return _counter(module) - self.first


def _counter(module: SignerModule) -> int:
    quota = module.read_quota()
    assert quota is not None
    return quota.counter
