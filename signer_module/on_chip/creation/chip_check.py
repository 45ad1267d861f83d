"""Check a chip before it becomes a module: what it is and whether it can become one, by reading alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from atcaprov.config_zone import locks
from atcaprov.device.device import Device
from atcaprov.device.zones import config_zone
from atcaprov.errors import Board, CertificateError, Code, ProvisioningError, UsageError
from atcaprov.provisioning import supported_parts as part
from signer_module.on_chip import slot_layout
from signer_module.on_chip.public_contents import RootModuleContents, SignerModuleContents, read_module
from signer_module.on_chip.quota import check_quota, require_room
from signer_module.on_chip.slot_layout import Variant

Judge = Callable[[Device], object]
"""Raises when a finished module is not the expected one."""


def look_first(
    url: str, wanted: Variant, quota: int | None, finished: Judge | None = None, *, begun: bool = False
) -> ProvisioningError | None:
    """Raise what can be known by reading a chip, before passwords or consent are asked for.

    `finished` judges one that is a finished module; without it there may be none. With `begun` an earlier run must have
    begun it. Returns what to warn of. Raises as `Device.open`, `require_possible` and `require_begun`.
    """
    with Device.open(url) as device:
        revision = device.info()
        part.require_608(revision)  # first: other parts have another configuration zone
        config = device.read_config()
        if finished is not None and is_finished(config):
            finished(device)
        else:
            require_possible(device, config, wanted, quota)
            if begun:
                require_begun(config)
        return part.newer_silicon(revision)


def require_possible(device: Device, config: bytes, wanted: Variant, quota: int | None) -> Variant:
    """Return the variant that a chip with this configuration zone (128 bytes) becomes, in the layout it was begun in.

    Raises:
        UsageError: no module can have the quota.
        ProvisioningError: the chip is another part (WRONG_PART), locked for something else (CONFIG_LOCKED_OTHER,
            DATA_LOCKED_OTHER), or has counted too much (QUOTA_USED_UP).
    """
    part.require_608(device.info())
    variant = _begun_or(wanted, config)
    if locks.is_config_locked(config):
        _require_same_order(config, variant)
    if locks.is_data_locked(config):
        raise ProvisioningError(
            "The chip's data zone is locked already.",
            advice="It is a finished module, or was used before: 'signer-module info --device' says which.",
            code=Code.DATA_LOCKED_OTHER,
        )
    if quota is not None:
        check_quota(quota)
        require_room(quota, device.counter(slot_layout.USE_COUNTER))
    return variant


def require_begun(config: bytes) -> None:
    """Raise UsageError unless an earlier run has begun the module with this configuration zone (128 bytes)."""
    if not locks.is_config_locked(config):
        raise UsageError(
            "The module was not begun: its chip has no key that a certificate could be for.",
            advice="Start with 'signer-module signer request'.",
        )


def _begun_or(wanted: Variant, config: bytes) -> Variant:
    """Return the variant in the layout in which the chip was begun by an earlier version of this program."""
    begun = slot_layout.variant_of(config) if locks.is_config_locked(config) else None
    return wanted if begun is None else replace(wanted, layout=begun.layout)


def _require_same_order(config: bytes, variant: Variant) -> None:
    begun = slot_layout.variant_of(config)
    if begun is not None and begun != variant:
        raise ProvisioningError(
            f"The module was begun {begun}, which is permanent.",
            advice="Run the command with the options of its first run.",
            code=Code.CONFIG_LOCKED_OTHER,
            board=Board.RETRY,
        )
    config_zone.require_same_config(config, variant.config_zone)


def is_finished(config: bytes) -> bool:
    """Tell by its configuration zone (128 bytes) whether a chip is already a finished module."""
    return locks.is_data_locked(config) and slot_layout.variant_of(config) is not None


def read_root_module(device: Device) -> RootModuleContents:
    """Read a finished root module; raises ProvisioningError (data-locked-other) when it is another one."""
    contents = _read_back(device)
    if not isinstance(contents, RootModuleContents):
        raise _other("The chip is a signer module already")
    return contents


def read_signer_module(device: Device, root_public_key: bytes | None) -> SignerModuleContents:
    """Read a finished signer module under a root (X||Y, 64 bytes; None: any); raises as `read_root_module`."""
    contents = _read_back(device)
    if isinstance(contents, RootModuleContents):
        own = contents.public_key == root_public_key
        raise _other(
            f"The chip at {device.url} is the root module itself" if own else "The chip is a root module already"
        )
    if root_public_key not in (None, contents.root_public_key):
        raise _other("The chip is a signer of another root already")
    return contents


def _read_back(device: Device) -> RootModuleContents | SignerModuleContents:
    try:
        return read_module(device)
    except CertificateError as error:
        error.board = Board.SCRAP  # both locks are closed: what is wrong now stays wrong
        raise


def _other(what: str) -> ProvisioningError:
    return ProvisioningError(f"{what}, which is permanent.", advice="Take another chip.", code=Code.DATA_LOCKED_OTHER)
