"""The plan that is shown before a chip is locked, and the proof of a module after its creation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from atcaprov.chip.memory_map import serial_number
from atcaprov.config_zone.locks import is_config_locked
from atcaprov.device.device import Device
from atcaprov.errors import Board, CertificateError, Code
from signer_module.on_chip.creation.module_builder import ModuleOrder
from signer_module.on_chip.module import RootModule, SignerModule

Consent = Callable[[list[str]], None]
_NEW_KEY: Final = "its private key is made in the chip and never leaves it"
_Module = TypeVar("_Module", RootModule, SignerModule)


@dataclass(frozen=True)
class CreatedModule(Generic[_Module]):
    """A module that is open and proved, and whether it was finished before this run."""

    module: _Module
    already: bool


def plan(device: Device, order: ModuleOrder, certificate: str, *, key: str = _NEW_KEY, later: str = "") -> list[str]:
    """Return the lines that tell the operator what will be done to a chip.

    `key` says what happens to the key of a chip that was begun, `later` which command does the steps after the key.
    """
    config = device.read_config()
    begun = is_config_locked(config)
    quota = f"; {order.quota} signatures at most" if order.quota is not None else ""
    return [
        f"The chip {serial_number(config).hex().upper()} at {device.url} becomes a module {order.variant}{quota}:",
        "  1. its configuration is locked already"
        if begun
        else "  1. its configuration is written and permanently locked",
        f"  2. {key if begun else _NEW_KEY}",
        f"  3. {later}it gets {certificate} and its description",
        f"  4. {later}its data zone is permanently locked"
        + ("; any other data that a program has written there is overwritten" if begun else ""),
        "None of this can be undone, and the chip can become nothing else.",
    ]


def prove_module(module: RootModule | SignerModule, order: ModuleOrder) -> None:
    """Unlock a new module and raise CertificateError (key-mismatch) unless its key belongs to its certificate."""
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
