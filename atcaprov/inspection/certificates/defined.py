"""Certificates whose definitions are known: those that signers of this project issue, or any that were given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from atcaprov.certs.compressed_form import CompressedCertificate
from atcaprov.certs.definitions.definition import CertificateDefinition, DeviceLocation, DeviceZone
from atcaprov.certs.rebuild import ReadPlace, from_places, read_stored, rebuild
from atcaprov.errors import Board, CertificateError, Code, ProvisioningError
from atcaprov.inspection.certificates.found import FoundCertificate, FoundChain, StorageLayout, is_signed_by
from atcaprov.inspection.snapshot import ChipSnapshot


@dataclass(frozen=True)
class IssuerDefinitions:
    """What the signers of one product issue; keys are X||Y, 64 bytes.

    `signer_public_key` is that of the signer that is named; None if none is, so that each of the root's may certify.
    """

    device: CertificateDefinition
    signer: CertificateDefinition
    root_public_key: bytes
    signer_public_key: bytes | None


@dataclass(frozen=True)
class RebuiltPair:
    """Device and signer certificate (DER) as they stand on a chip, and the signer's key (X||Y)."""

    device: bytes
    signer: bytes
    signer_public_key: bytes


def rebuilt_pair(read: ReadPlace, issuer: IssuerDefinitions, *, public_key: bytes, chip_serial: bytes) -> RebuiltPair:
    """Rebuild both certificates of a chip whose device key is `public_key`; raises CertificateError.

    The signer is the one whose key the chip holds, which may be another one of the same product.
    """
    compressed, stored = from_places(issuer.signer, read)
    signer_key = stored or issuer.signer_public_key
    if signer_key is None:
        raise CertificateError(
            "The signer's key is not stored on the chip, and no signer is named.",
            advice="Give --certinfo FILE, or the signer's certificate with --issuer FILE.",
        )
    signer = rebuild(
        issuer.signer,
        compressed=compressed,
        public_key=signer_key,
        ca_public_key=issuer.root_public_key,
        stored=read_stored(issuer.signer, read),
    )
    device = _rebuilt_device(read, issuer.device, signer_key, public_key=public_key, chip_serial=chip_serial)
    return RebuiltPair(device, signer, signer_key)


def _rebuilt_device(
    read: ReadPlace, definition: CertificateDefinition, signer_key: bytes, *, public_key: bytes, chip_serial: bytes
) -> bytes:
    compressed, stored = from_places(definition, read)
    return rebuild(
        definition,
        compressed=compressed,
        public_key=stored or public_key,
        ca_public_key=signer_key,
        chip_serial=chip_serial,
        stored=read_stored(definition, read),
    )


def defined_chain(chip: ChipSnapshot, issuer: IssuerDefinitions) -> FoundChain:
    """Return the chain of a chip that one of the issuer's signers certified.

    Raises:
        ProvisioningError: the chip holds neither key nor certificate (code NOT_PROVISIONED).
        CertificateError: only one of the two is there, or they do not belong together: codes CERTIFICATE_WITHOUT_KEY,
            KEY_WITHOUT_CERTIFICATE, CERTIFICATE_MISMATCH (another definition), KEY_MISMATCH (another key).
    """
    key = _key(chip, issuer.device)
    pair = rebuilt_pair(_reader(chip), issuer, public_key=key, chip_serial=chip.serial_number)
    _require_signed(pair.device, pair.signer_public_key, issuer.device)
    found = (
        FoundCertificate(pair.device, tuple(issuer.device.write_slots)),
        FoundCertificate(pair.signer, tuple(issuer.signer.write_slots)),
    )
    return FoundChain(StorageLayout.ATCAPROV, found, issuer.device.private_key_slot, is_signed=True)


def defined_device(chip: ChipSnapshot, definition: CertificateDefinition, issuers: Sequence[bytes]) -> FoundChain:
    """Return the certificate of a chip that another CA certified, with its issuer out of `issuers` (DER).

    Raises as `defined_chain`; KEY_MISMATCH, too, if none of the issuers has signed it.
    """
    key, read = _key(chip, definition), _reader(chip)
    for issuer in (FoundCertificate(each, ()) for each in issuers):
        issuer_key = issuer.p256_key
        if issuer_key is None:
            continue
        der = _rebuilt_device(read, definition, issuer_key, public_key=key, chip_serial=chip.serial_number)
        if is_signed_by(der, issuer_key):
            found = (FoundCertificate(der, tuple(definition.write_slots)), issuer)
            return FoundChain(StorageLayout.ATCAPROV, found, definition.private_key_slot, is_signed=True)
    raise _not_signed(definition)


def _key(chip: ChipSnapshot, definition: CertificateDefinition) -> bytes:
    """Return the chip's key if there is a certificate, too; raises the error that says what is missing."""
    place, key_slot = definition.comp_cert_dev_loc, definition.private_key_slot
    key = chip.public_keys.get(key_slot)
    parsed = _parsed(chip.stored(place.slot, place.offset, place.count))
    if key is None:
        raise _without_key(chip, place.slot, key_slot, parsed)
    if parsed is None:
        raise _without_certificate(chip, place.slot, key_slot)
    return key


def _require_signed(der: bytes, issuer_key: bytes, definition: CertificateDefinition) -> None:
    if not is_signed_by(der, issuer_key):
        raise _not_signed(definition)


def _not_signed(definition: CertificateDefinition) -> CertificateError:
    slot, key_slot = definition.comp_cert_dev_loc.slot, definition.private_key_slot
    return CertificateError(
        f"The certificate in slot {slot} is not for the key in slot {key_slot}, or was changed: its signature does not"
        " verify under the issuer's key.",
        advice="Set the board aside: its certificates belong to another unit, or an earlier run failed.",
        code=Code.KEY_MISMATCH,
        board=Board.SET_ASIDE,
    )


def _parsed(content: bytes | None) -> CompressedCertificate | None:
    try:
        return None if content is None else CompressedCertificate.parse(content)
    except CertificateError:
        return None


def _reader(chip: ChipSnapshot) -> ReadPlace:
    def read(location: DeviceLocation) -> bytes:
        content = chip.place(location)
        if content is None:
            what = f"Slot {location.slot}" if location.zone is DeviceZone.DATA else f"The {location.zone.name} zone"
            raise CertificateError(
                f"{what}, which the certificate definition names, cannot be read.",
                advice="Use the definition with which the certificate was issued.",
                code=Code.CERTIFICATE_MISMATCH,
            )
        return content

    return read


def _without_key(
    chip: ChipSnapshot, slot: int, key_slot: int, parsed: CompressedCertificate | None
) -> CertificateError | ProvisioningError:
    if parsed is None:
        return not_provisioned(chip)
    return CertificateError(
        f"Slot {slot} holds a certificate, but slot {key_slot} shows no key that it could be for.",
        advice="Set the board aside: a copy of another unit's data looks like this.",
        code=Code.CERTIFICATE_WITHOUT_KEY,
        board=Board.SET_ASIDE,
    )


def _without_certificate(chip: ChipSnapshot, slot: int, key_slot: int) -> CertificateError | ProvisioningError:
    if not chip.zone.data_locked:
        return not_provisioned(chip)
    return CertificateError(
        f"Slot {key_slot} holds a key, but slot {slot} holds no certificate for it.",
        advice="The chip can get no certificate there any more, unless the slot can still be written.",
        code=Code.KEY_WITHOUT_CERTIFICATE,
        board=Board.SET_ASIDE,
    )


def not_provisioned(chip: ChipSnapshot) -> ProvisioningError:
    """Return the error that says how far a chip without certificates is."""
    if not chip.zone.config_locked:
        what, advice = "This chip is blank: its configuration zone is not locked.", "Provision it."
    elif not chip.zone.data_locked:
        what = "This chip is not finished: its data zone is not locked, so what is in it cannot be read."
        advice = "Start the board again at the station that began it: the run continues where it stopped."
    else:
        what = "This chip is locked and holds no certificate that could be read."
        advice = "'atcaprov config show' explains what its slots are for."
    return ProvisioningError(what, advice=advice, code=Code.NOT_PROVISIONED, board=Board.UNTOUCHED)
