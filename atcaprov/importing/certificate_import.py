"""Import a certificate for a key that the chip made: first everything that can be known, then the writes, then proof.

`plan_import` looks at a snapshot and sends nothing. `run_import` writes what was planned, and nothing else. An import
that was cut is run again: what is there already is not written again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from atcaprov.certs.certificate_fields import SUBJECT, certificate_fields
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.keys import key_id
from atcaprov.certs.rebuild import SlotContent
from atcaprov.chip.memory_map import SLOT_SIZES
from atcaprov.device.device import Device
from atcaprov.errors import Board, CertificateError, Code, ProvisioningError
from atcaprov.importing.chip_session import require_same_chip
from atcaprov.importing.compressed_parts import (
    CompressedPart,
    all_differences,
    device_part,
    require_own_slots,
    signer_part,
)
from atcaprov.importing.presented_chain import PresentedChain, presented_chain
from atcaprov.importing.slot_writes import SlotWrite, largest_open_slot, plan_writes, prove_writes, write_slots
from atcaprov.inspection.snapshot import ChipSnapshot

_SERIAL: Final = re.compile(r"(?<![0-9A-F])0123[0-9A-F]{12}(?:EE|01|10|27)(?![0-9A-F])", re.IGNORECASE)
"""The serial number of a chip of the family in a text."""

_OF_THE_CHAIN: Final = frozenset({Code.CERTIFICATE, Code.CHAIN_INVALID, Code.CHAIN_INCOMPLETE})


@dataclass(frozen=True)
class ImportOrder:
    """What is to be imported, and how.

    `certificates` (DER) hold the device's and its issuers' in any order. Without `key_slot` the key is looked for in
    all slots. `x509_slot` stores the certificate as it is; otherwise it is compressed. `to_file`: it is kept outside
    the chip if it cannot be stored.
    """

    certificates: tuple[bytes, ...]
    definitions: tuple[CertificateDefinition, ...] = ()
    key_slot: int | None = None
    x509_slot: int | None = None
    to_file: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class ImportPlan:
    """What an import will do to one chip; everything that could fail before a write has been checked."""

    snapshot: ChipSnapshot
    chain: PresentedChain
    key_slot: int
    parts: tuple[CompressedPart, ...]
    """The certificates that are stored in compressed form: none if it is stored as it is, or not on the chip."""
    writes: tuple[SlotWrite, ...]
    why_not_stored: str = ""
    """The reason for which the certificate is kept outside the chip."""
    differences: tuple[str, ...] = ()
    """Each field for which it has no compressed form, if this is the reason."""

    @property
    def form(self) -> str:
        """`compressed`, `x509` or `file`."""
        if self.parts:
            return "compressed"
        return "x509" if self.writes else "file"

    @property
    def can_be_verified(self) -> bool:
        """Whether the chip shows what is written: not before the data lock."""
        return self.snapshot.zone.data_locked


def plan_import(snapshot: ChipSnapshot, order: ImportOrder, at: datetime) -> ImportPlan:
    """Check everything that can be checked and return what is to be written; nothing is sent.

    `snapshot` must have the chip's keys and the slots that it shows. Raises CertificateError and ProvisioningError with
    the field or rule that is broken, expected and found; the board is untouched.
    """
    try:
        return _plan(snapshot, order, at)
    except (CertificateError, ProvisioningError) as error:
        error.board = Board.UNTOUCHED
        error.serial_number = snapshot.serial_number
        raise


def _plan(snapshot: ChipSnapshot, order: ImportOrder, at: datetime) -> ImportPlan:
    keys = _chip_keys(snapshot, order.key_slot)
    chain = _chain(snapshot, order, keys, at)
    key_slot = _key_slot(chain, keys)
    _require_own_serial(chain.certificate, snapshot.serial_number)
    try:
        parts, contents = _stored(snapshot, order, chain, key_slot)
        writes = plan_writes(snapshot, contents, overwrite=order.overwrite)
    except (CertificateError, ProvisioningError) as error:
        if order.to_file and not order.definitions and order.x509_slot is None:
            return ImportPlan(snapshot, chain, key_slot, (), (), error.what, error.details)
        raise
    return ImportPlan(snapshot, chain, key_slot, parts, writes)


def _chain(snapshot: ChipSnapshot, order: ImportOrder, keys: dict[int, bytes], at: datetime) -> PresentedChain:
    """Return the chain; where it is broken and the certificate is to be compressed, its fields are compared too."""
    try:
        return presented_chain(order.certificates, set(keys.values()), at)
    except CertificateError as error:
        if order.x509_slot is None and error.code in _OF_THE_CHAIN:
            others, error.details = all_differences(order.certificates, keys.values(), snapshot, order.definitions)
            error.what = f"{error.what} {others}".rstrip()
            error.args = (error.what,)
        raise


def _stored(
    snapshot: ChipSnapshot, order: ImportOrder, chain: PresentedChain, key_slot: int
) -> tuple[tuple[CompressedPart, ...], list[SlotContent]]:
    """Return the certificates that are stored compressed, and what the slots must hold."""
    if order.x509_slot is not None:
        return (), [_whole(chain.certificate, order.x509_slot)]
    parts = tuple(_parts(snapshot, order, chain, key_slot))
    require_own_slots(parts)
    return parts, [content for part in parts for content in part.contents]


def _chip_keys(snapshot: ChipSnapshot, key_slot: int | None) -> dict[int, bytes]:
    keys = {slot: key for slot, key in snapshot.public_keys.items() if key_slot in (None, slot)}
    if keys:
        return keys
    where = "in any slot" if key_slot is None else f"in slot {key_slot}"
    raise ProvisioningError(
        f"The chip shows no key {where}, so no certificate can belong to it.",
        advice="Have the chip make its key first: provision it, or run the firmware that makes it.",
    )


def _key_slot(chain: PresentedChain, keys: dict[int, bytes]) -> int:
    found = [slot for slot, key in keys.items() if key == chain.public_key]
    if found:
        return found[0]
    there = " or ".join(f"{key_id(key).hex().upper()} (slot {slot})" for slot, key in keys.items())
    raise CertificateError(
        f"public key: expected key id {there}, found {key_id(chain.public_key).hex().upper()}.",
        advice="The certificate is for another chip, or for a key that was replaced. Make a new request.",
        code=Code.KEY_MISMATCH,
    )


def _require_own_serial(certificate: bytes, chip_serial: bytes) -> None:
    """Refuse a certificate that names another chip; one that names no chip is accepted."""
    own = chip_serial.hex().upper()
    for field in certificate_fields(certificate):
        if not field.name.startswith((f"{SUBJECT} ", "extension subjectAltName")):
            continue
        named = {found.upper() for found in _SERIAL.findall(field.text)}
        if named and own not in named:
            raise CertificateError(
                f"{field.name}: expected the chip's serial number {own}, found {', '.join(sorted(named))}.",
                advice="The certificate is for another chip.",
                code=Code.CERTIFICATE_MISMATCH,
            )


def _parts(
    snapshot: ChipSnapshot, order: ImportOrder, chain: PresentedChain, key_slot: int
) -> Iterator[CompressedPart]:
    try:
        yield device_part(chain, snapshot, key_slot, order.definitions)
    except CertificateError as error:
        if not order.definitions:
            error.advice = f"{error.advice} {_where_it_belongs(snapshot, chain)}".lstrip()
        raise
    signer = signer_part(chain, snapshot, order.definitions)
    if signer is not None:
        yield signer


def _where_it_belongs(snapshot: ChipSnapshot, chain: PresentedChain) -> str:
    size, slot = len(chain.certificate), largest_open_slot(snapshot)
    in_flash = "keep it in the firmware's flash: --out FILE writes the PEM"
    if slot is not None and size <= SLOT_SIZES[slot]:
        return f"Its {size} bytes fit slot {slot} as they are: give --slot {slot}. Or {in_flash}."
    room = "no slot of this chip takes it" if slot is None else f"slot {slot} has {SLOT_SIZES[slot]}"
    return f"It has {size} bytes, and {room}: {in_flash}. Or give its definition with --definition."


def _whole(certificate: bytes, slot: int) -> SlotContent:
    if len(certificate) > SLOT_SIZES[slot]:
        raise ProvisioningError(
            f"The certificate has {len(certificate)} bytes, slot {slot} has {SLOT_SIZES[slot]}.",
            advice="Keep it in the firmware's flash: --out FILE without --slot writes the PEM.",
            code=Code.SLOT_NOT_ALLOWED,
        )
    return SlotContent(slot, 0, certificate)


def run_import(device: Device, plan: ImportPlan) -> None:
    """Write what was planned to the chip of the plan, read it back if the chip shows it, and rebuild the certificates.

    Raises TransportError when another chip answers than the one that was looked at; ProvisioningError and
    CertificateError when the chip does not hold what was written.
    """
    require_same_chip(device, plan.snapshot)
    write_slots(device, plan.writes)
    if plan.can_be_verified:
        prove_writes(device, plan.writes)
        for part in plan.parts:
            part.require_rebuilt(device.read_slot, plan.chain.public_key, plan.snapshot.serial_number)
