"""What a product needs of its chips."""

from __future__ import annotations

from dataclasses import dataclass

from atcaprov.chip.memory_map import CONFIG_SIZE
from atcaprov.config_zone.check import require_safe
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.config_zone.findings import Allow
from atcaprov.config_zone.zone import ConfigZone
from atcaprov.errors import UsageError


@dataclass(frozen=True)
class Profile:
    """The arguments of a provisioning run; checked when made, before any chip is touched.

    `config_zone` has 128 bytes, of which bytes 0 to 15, the counters and 86 to 87 are not written. A certificate from
    the server may only go to one of `certificate_slots`. `slots_to_lock` are locked one by one after the data zone.

    Raises:
        UsageError: the configuration would harm the chip or could never hold the certificates
            (code CONFIG_ZONE_UNSAFE).
    """

    config_zone: bytes = DEFAULT_608A
    device_key_slot: int = 0
    certificate_slots: frozenset[int] = frozenset({10, 11, 12})
    slots_to_lock: tuple[int, ...] = ()
    validate: bool = True
    allow: frozenset[Allow] = frozenset()
    """Settings that are refused unless they are listed here, such as another I2C address."""
    any_of_group: bool = False
    """Whether another signer than the named one may certify, if it was made for the same product by the same root."""
    fill_unwritten: bool = False
    """Whether a run that did not lock the configuration itself may overwrite data of unknown origin with FF."""

    def __post_init__(self) -> None:
        if len(self.config_zone) != CONFIG_SIZE:
            raise UsageError(f"A configuration zone has {CONFIG_SIZE} bytes, not {len(self.config_zone)}.")
        require_safe(
            ConfigZone(self.config_zone),
            device_key_slot=self.device_key_slot,
            certificate_slots=self.certificate_slots,
            slots_to_lock=self.slots_to_lock,
            allow=self.allow,
        )
