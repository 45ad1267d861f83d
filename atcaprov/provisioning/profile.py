"""What a product needs of its chips."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from atcaprov.chip.maker_tables import TFLXTLS_TABLE
from atcaprov.chip.memory_map import CONFIG_SIZE
from atcaprov.chip.trust_parts import TFLXTLS
from atcaprov.config_zone.check import require_safe
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.config_zone.findings import Allow
from atcaprov.config_zone.zone import ConfigZone
from atcaprov.errors import Code, UsageError


class DeliveredPart(enum.StrEnum):
    """The kinds of chips that a run takes: how they are delivered decides what the stages do."""

    BLANK = "blank"
    TFLXTLS = "tflxtls"
    """TrustFLEX: configured and locked by the maker, with slots that are still to be written."""


TFLXTLS_KEY_SLOTS: Final = (0, 2, 3, 4)
"""Slots of private keys that sign messages."""
_TFLXTLS_CERTIFICATES: Final = frozenset({8, 10, 11, 12, 13, 15})
"""Slots that are read in clear and may be written."""


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
    part: DeliveredPart = DeliveredPart.BLANK
    """With TFLXTLS, `config_zone` becomes the maker's table, which is compared and not written."""
    replace_certificates: bool = False
    """Whether the maker's certificates on a TFLXTLS may be overwritten, and with them the proof of a genuine part."""
    replace_foreign_certificates: bool = False
    """Whether other content may be overwritten, too: it may be the identity of another product's unit."""
    require_genuine: bool = False
    """Whether a part must prove that Microchip made it, which a blank part cannot, before anything is changed."""
    genuine_root: bytes | None = None
    """A test root (DER) in the place of Microchip's."""
    unit_slots: frozenset[int] = frozenset({8})
    """Slots to which the unit's own name may be written; the OTP zone is always one of its places."""

    def __post_init__(self) -> None:
        if self.part is DeliveredPart.TFLXTLS:
            self._require_trust_flex()
            return
        if len(self.config_zone) != CONFIG_SIZE:
            raise UsageError(f"A configuration zone has {CONFIG_SIZE} bytes, not {len(self.config_zone)}.")
        require_safe(
            ConfigZone(self.config_zone),
            device_key_slot=self.device_key_slot,
            certificate_slots=self.certificate_slots,
            slots_to_lock=self.slots_to_lock,
            allow=self.allow,
        )

    def _require_trust_flex(self) -> None:
        if self.config_zone not in (DEFAULT_608A, TFLXTLS_TABLE.config):
            raise UsageError(
                "A TFLXTLS is delivered with a configuration of its own, which is locked; it takes no other.",
                advice="Leave --config out.",
            )
        object.__setattr__(self, "config_zone", TFLXTLS_TABLE.config)
        if self.device_key_slot not in TFLXTLS_KEY_SLOTS:
            raise UsageError(
                f"Slot {self.device_key_slot} of a TFLXTLS holds no key that signs messages.",
                advice="Use --key-slot 0, 2, 3 or 4.",
            )
        strangers = sorted(self.certificate_slots - _TFLXTLS_CERTIFICATES)
        if strangers:
            raise UsageError(f"Slot {strangers[0]} of a TFLXTLS takes no certificate.", code=Code.SLOT_NOT_ALLOWED)
        fixed = sorted(set(self.slots_to_lock) - TFLXTLS.lockable_slots)
        if fixed:
            lockable = ", ".join(map(str, sorted(TFLXTLS.lockable_slots)))
            raise UsageError(
                f"Slot {fixed[0]} of a TFLXTLS cannot be locked.",
                advice=f"Those that can be: {lockable}.",
                code=Code.SLOT_NOT_LOCKABLE,
            )
