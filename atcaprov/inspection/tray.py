"""Incoming inspection: sort chips by what they are, and find those that were seen before.

A blank part cannot prove that it is genuine: whatever it shows, another part can show, too. What can be found is what a
careless copy or a used part shows: a serial number twice, a public key twice, counters that have moved, a table that a
new part does not have, a serial number that does not end as a generic part's, and random numbers before the
configuration lock, where a new part gives a fixed pattern.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from atcaprov.config_zone.defaults import DEFAULT_CERTIFICATE_SLOTS
from atcaprov.config_zone.module_zones import HEAD_SLOT
from atcaprov.device.device import Device
from atcaprov.device.read_only import open_read_only
from atcaprov.errors import AtcaProvError, Code, UsageError
from atcaprov.inspection.identity import Identity, Use, identify, is_right_part, suffix_text
from atcaprov.inspection.snapshot import ChipSnapshot, read_snapshot

_TELLING_SLOTS: Final = DEFAULT_CERTIFICATE_SLOTS | {HEAD_SLOT}
_BEFORE_LOCK: Final = bytes.fromhex("FFFF0000") * 8
"""What Random answers before the configuration lock (DS20005927A, 9.15)."""
_GENERIC_ENDS: Final = ("0123", "EE")


class Kind(enum.StrEnum):
    """What inspection sorts chips into."""

    BLANK = "blank"
    USED = "used"
    LOCKED = "locked"
    FOREIGN = "foreign"
    DUPLICATE = "duplicate"
    TRUST_PART = "trust-part"
    WRONG_PART = "wrong-part"
    UNREADABLE = "unreadable"


_LOCKED_USES: Final = (Use.PRODUCT, Use.SIGNER_MODULE, Use.ROOT_MODULE, Use.MODULE, Use.FACTORY_LOCKED)


@dataclass(frozen=True)
class Inspected:
    """What was found of one chip. `serial_number` is empty if it could not be read; `public_keys` are hex, by slot."""

    device: str
    kind: Kind
    reason: str
    part: str = ""
    use: str = ""
    serial_number: str = ""
    public_keys: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """A chip of an earlier inspection: which record of the tray, its serial number and its public keys, in hex."""

    record: int
    serial_number: str
    public_keys: Collection[str]


class Tray:
    """The chips that were seen before, in this run and in earlier ones."""

    def __init__(self, seen: Collection[Seen] = (), records: int = 0) -> None:
        """Begin with the chips that were `seen`, the last of them in the record of that number or before it."""
        self._by_serial: dict[str, Seen] = {}
        self._by_key: dict[str, Seen] = {}
        self._records = records
        for chip in seen:
            self._keep(chip)

    def inspect(self, url: str) -> Inspected:
        """Open a chip for reading only and sort it.

        Raises:
            UsageError: the URL cannot name a chip, or its file is no chip file. Other errors make a chip `unreadable`.
        """
        try:
            with open_read_only(url) as device:
                found = sort_chip(device)
        except UsageError:
            raise
        except AtcaProvError as error:
            kind = Kind.WRONG_PART if error.code == Code.WRONG_PART else Kind.UNREADABLE
            found = Inspected(url, kind, f"[{error.code}] {error.what}")
        return self.compare(found)

    def compare(self, found: Inspected) -> Inspected:
        """Return what was found, as a duplicate if its serial number or one of its keys was seen before; keep it."""
        before = self._seen_before(found)
        self._records += 1
        self._keep(Seen(self._records, found.serial_number, frozenset(found.public_keys.values())))
        if before is None:
            return found
        return Inspected(
            found.device, Kind.DUPLICATE, f"{before}; it is {found.kind}: {found.reason}", found.part, found.use,
            found.serial_number, found.public_keys,
        )  # fmt: skip

    def _seen_before(self, found: Inspected) -> str | None:
        same_serial = self._by_serial.get(found.serial_number)
        keys = frozenset(found.public_keys.values())
        for key in keys:
            other = self._by_key.get(key)
            if other is not None and other.serial_number != found.serial_number:
                return f"its public key was seen in record {other.record}, in the part {other.serial_number}"
        if same_serial is None:
            return None
        where = f"its serial number was seen in record {same_serial.record}"
        if keys and same_serial.public_keys and not keys & frozenset(same_serial.public_keys):
            return f"{where} with other keys: two parts have this serial number, or its keys were replaced"
        return f"{where}: the same part again, or a copy of it"

    def _keep(self, chip: Seen) -> None:
        if chip.serial_number:
            self._by_serial.setdefault(chip.serial_number, chip)
            for key in chip.public_keys:
                self._by_key.setdefault(key, chip)


def sort_chip(device: Device) -> Inspected:
    """Read a chip and say which kind it is by itself."""
    snapshot = read_snapshot(device, slots=_TELLING_SLOTS)
    identity = identify(snapshot)
    kind, reason = _kind(device, snapshot, identity)
    keys = {str(slot): key.hex().upper() for slot, key in sorted(snapshot.public_keys.items())}
    serial = snapshot.serial_number.hex().upper()
    return Inspected(device.url, kind, reason, identity.part, identity.use, serial, keys)


def _kind(device: Device, snapshot: ChipSnapshot, identity: Identity) -> tuple[Kind, str]:
    if not is_right_part(snapshot):
        return Kind.WRONG_PART, f"{identity.part}, which atcaprov does not provision; {identity.reason}"
    if identity.use is Use.TRUST_PART:
        return Kind.TRUST_PART, identity.reason
    if not snapshot.zone.config_locked:
        strange = _strange(device, snapshot)
        if strange:
            return Kind.FOREIGN, f"differs from a new part: {', '.join(strange)}"
        return Kind.BLANK if identity.use is Use.BLANK else Kind.USED, identity.reason
    return Kind.LOCKED if identity.use in _LOCKED_USES else Kind.FOREIGN, identity.reason


def _strange(device: Device, snapshot: ChipSnapshot) -> list[str]:
    """Return what a part before its configuration lock shows that no generic part of Microchip shows."""
    serial = snapshot.serial_number.hex().upper()
    start, end = _GENERIC_ENDS
    found = []
    if not (serial.startswith(start) and serial.endswith(end)):
        found.append(f"serial number {serial}: {suffix_text(snapshot.serial_number)}")
    if device.random() != _BEFORE_LOCK:
        found.append("its random numbers are not the fixed pattern that a part gives before its configuration lock")
    return found
