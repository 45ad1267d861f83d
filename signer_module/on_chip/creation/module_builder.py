"""Turn a blank chip into a module: what root and signer have in common.

Every step looks at the chip first and can be repeated until the data lock, so that an interrupted run continues when it
is started again. Secrets, key and description are written while the data zone is open, which reads nothing out; the
CRC of the data lock proves them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from atcaprov.chip.commands import Status
from atcaprov.chip.memory_map import serial_number
from atcaprov.config_zone import locks
from atcaprov.config_zone.check import Allow, require_safe
from atcaprov.config_zone.zone import ConfigZone
from atcaprov.device.device import Act, Device
from atcaprov.device.key_authorization import AuthorizedUse
from atcaprov.device.zones import config_zone
from atcaprov.device.zones.data_zone import DataZone
from atcaprov.device.zones.key_slot import existing_public_key
from atcaprov.errors import Board, Code, DeviceError, ProvisioningError
from signer_module.on_chip import slot_layout
from signer_module.on_chip.creation.chip_check import require_possible
from signer_module.on_chip.header import ModuleHeader, Role
from signer_module.on_chip.password_keys import COST, SALT_SIZE, ChipSecret, PasswordScheme
from signer_module.on_chip.quota import check_quota, encode_limit, limit_for, require_room
from signer_module.on_chip.slot_layout import Variant
from signer_module.password_rules import require_strong

_SIGN: Final = "Sign"
_ROOM_WHILE_MAKING: Final = 64
"""Signatures that the provisional limit allows: requests that are made again after a cut."""
MOST_BEFORE: Final = _ROOM_WHILE_MAKING + 32
"""Where Counter 0 of a new module stands at most: what was signed, and the way to a limit that is a multiple of 32."""


@dataclass(frozen=True)
class ModuleOrder:
    """What the chip of a new module is to enforce. Raises UsageError for an impossible quota or password.

    `password` None with `may_have_password`: the module asks for a password as soon as a first one was set.
    """

    password: bytes | None = field(default=None, repr=False)
    may_have_password: bool = True
    quota: int | None = None
    scrypt_cost: int = COST

    def __post_init__(self) -> None:
        if self.password is not None:
            require_strong(self.password)
        if self.quota is not None:
            check_quota(self.quota)
        require_safe(
            ConfigZone(self.variant.config_zone),
            device_key_slot=None,
            written_slots={*range(1, 16)},
            allow=[Allow.COUNT_MATCH],
        )

    @property
    def variant(self) -> Variant:
        """The configuration for it."""
        return Variant(self.may_have_password or self.password is not None, self.quota is not None)


def _signs_later(error: DeviceError) -> DeviceError:
    return DeviceError(
        "The chip does not sign before its data zone is locked. Only its configuration is locked.",
        command=error.command,
        status=error.status,
        advice="It cannot become a root module or make a request. With a root in files it can become a signer module:"
        " 'signer-module signer create' with the same --quota and password options.",
        board=Board.SET_ASIDE,
    )


class ModuleBuilder:
    """Builds a module from one chip; raises ProvisioningError before the chip is changed if it cannot become one."""

    def __init__(self, device: Device, order: ModuleOrder) -> None:
        self.device = device
        self.order = order
        self._config = device.read_config()
        self.serial = serial_number(self._config)
        """9 bytes."""
        self._variant = require_possible(device, self._config, order.variant, order.quota)
        self._zone = self._variant.config_zone
        self._scheme = PasswordScheme(os.urandom(SALT_SIZE), order.scrypt_cost)
        self._chip_secret = ChipSecret.new(self.serial) if self._variant.has_chip_secret else None
        self._secrets = self._scheme.secrets(
            order.password, None if self._chip_secret is None else self._chip_secret.answer
        )
        self._secret = self._secrets.authorization if self._variant.password else None
        self._used = AuthorizedUse(device, slot_layout.AUTHORIZATION_SLOT, self.serial)
        self._data = DataZone(device, self._zone, locks.locked_slots(self._config))
        self.begun = locks.is_config_locked(self._config)
        """Whether an earlier run has locked the configuration."""

    def configure(self) -> None:
        """Write and lock the configuration if that is not done, and write the secrets of the password."""
        if not self.begun:
            with self.device.permit(Act.WRITE_CONFIG):
                written = config_zone.write_config(self.device, self._config, self._zone)
            with self.device.permit(Act.LOCK_CONFIG):
                config_zone.lock_config(self.device, written)
        if self._variant.quota:
            self._write_limit(limit_for(_ROOM_WHILE_MAKING, self.device.counter(slot_layout.USE_COUNTER)))
        if self._variant.password:
            # The last four bytes are used for nothing but the CRC of the data lock, which is sent in clear: without
            # them it would tell 16 bits of what is made from the password to a listener.
            self.write(slot_layout.AUTHORIZATION_SLOT, self._secrets.authorization + os.urandom(4))
            self.write(slot_layout.WRITE_KEY_SLOT, self._secrets.write_key)
            if self._chip_secret is not None:
                self.write(slot_layout.CHIP_SECRET_SLOT, self._chip_secret.stored)
            self._require_accepted(self._secrets.authorization)

    def key(self, wanted: Callable[[bytes], bool]) -> bytes:
        """Return the public key (64 bytes) of the chip's key if `wanted` says that it is to stay, else of a new one."""
        present = self.present_key()
        if present is not None and wanted(present):
            return present
        with self.device.permit(Act.CREATE_KEY):
            return self._used.gen_key(slot_layout.KEY_SLOT, self._secret)

    def sign(self, digest: bytes) -> bytes:
        """Sign with the new key, R||S (64 bytes); the quota is set later."""
        try:
            return self._used.sign(slot_layout.KEY_SLOT, digest, self._secret)
        except DeviceError as error:
            if error.command != _SIGN or error.status != Status.EXECUTION_ERROR:
                raise
            raise _signs_later(error) from error

    def signatures(self) -> int | None:
        """Return what Counter 0 says; None without quota, when nothing is counted."""
        return self.device.counter(slot_layout.USE_COUNTER) if self.order.quota is not None else None

    def write(self, slot: int, data: bytes) -> None:
        """Write a data slot from its beginning."""
        with self.device.permit(Act.WRITE_DATA):
            self._data.write(slot, 0, data)

    def finish(self, role: Role, description: bytes) -> None:
        """Write head and description, set the quota exactly, and lock the data zone permanently."""
        self.write(slot_layout.HEAD_SLOT, ModuleHeader.of(role, self._scheme, description, self._variant.layout).pack())
        rest = description
        for slot, size in self._variant.description_parts:
            if rest and slot is None:
                self._write_otp(rest)
            elif rest and slot is not None:
                self.write(slot, rest[:size])
            rest = rest[size:]
        if self.order.quota is not None:
            self._set_quota(self.order.quota)
        with self.device.permit(Act.LOCK_DATA, Act.WRITE_DATA):
            self._data.lock(may_fill=True)  # what that means for a chip that was begun before stands in the plan

    def _write_otp(self, data: bytes) -> None:
        with self.device.permit(Act.WRITE_DATA):
            self._data.write_otp(data)

    def present_key(self) -> bytes | None:
        """Return the public key (64 bytes) of the chip's key, None if it has none yet; needs `configure` before."""
        return existing_public_key(
            lambda: self._used.get_pubkey(slot_layout.KEY_SLOT, self._secret),
            lambda: self.device.has_valid_key(slot_layout.KEY_SLOT),
        )

    def _require_accepted(self, secret: bytes) -> None:
        if not self._used.accepts(secret):
            raise ProvisioningError(
                "The chip does not accept the authorization key that was just written.",
                advice="Run the same command again; if it happens twice, take another chip.",
                code=Code.WRITE_NOT_VERIFIED,
            )

    def _set_quota(self, quota: int) -> None:
        """Let exactly `quota` signatures lie between the counter and the limit."""
        counter = self.device.counter(slot_layout.USE_COUNTER)
        require_room(quota, counter)
        while limit_for(quota, counter) - counter > quota:
            with self.device.permit(Act.ADVANCE_COUNTER):
                counter = self.device.increment_counter(slot_layout.USE_COUNTER)
        self._write_limit(counter + quota, quota)

    def _write_limit(self, limit: int, made_for: int = 0) -> None:
        self.write(slot_layout.LIMIT_SLOT, encode_limit(limit, made_for))
