"""The compressed form of a certificate that was made elsewhere: which definition fits, what goes into which slot."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509

from atcaprov.certs.certificate_files import UNREADABLE
from atcaprov.certs.compress import NoCompressedFormError, compress, differences_from, with_own_serial
from atcaprov.certs.definitions.definition import CertificateDefinition, DeviceZone, SerialSource
from atcaprov.certs.descriptions.description import default_description
from atcaprov.certs.descriptions.template import device_definition, signer_definition
from atcaprov.certs.field_comparison import counted
from atcaprov.certs.rebuild import SlotContent, StoredData, from_slots, rebuild, slot_contents, stored_locations
from atcaprov.errors import CertificateError, Code, UsageError
from atcaprov.importing.presented_chain import PresentedChain, p256_key_of
from atcaprov.inspection.snapshot import ChipSnapshot


@dataclass(frozen=True)
class CompressedPart:
    """One certificate in its compressed form, and what the slots of its definition must hold for it."""

    definition: CertificateDefinition
    certificate: bytes
    """DER, from which the form was made and to which it leads back."""
    issuer_key: bytes
    contents: tuple[SlotContent, ...]
    stored: StoredData | None
    """Bytes of the chip that the certificate contains, besides key, serial number and the compressed form."""

    def require_rebuilt(self, read: Callable[[int, int, int], bytes], public_key: bytes, chip_serial: bytes) -> None:
        """Rebuild the certificate from the chip's slots; raises CertificateError unless it is the same."""
        compressed, stored_key = from_slots(self.definition, read)
        again = rebuild(
            self.definition,
            compressed=compressed,
            public_key=stored_key or public_key,
            ca_public_key=self.issuer_key,
            chip_serial=chip_serial,
            stored=self.stored,
        )
        if again != self.certificate:
            raise CertificateError(
                f"The {self.definition.role} certificate rebuilt from the chip is not the one that was imported.",
                advice="Run the same command again; if it happens twice, set the board aside.",
                code=Code.CERTIFICATE_MISMATCH,
            )


def device_part(
    chain: PresentedChain, snapshot: ChipSnapshot, key_slot: int, given: Sequence[CertificateDefinition]
) -> CompressedPart:
    """Return the device certificate under the first definition that fits: of those `given`, else the default one.

    Raises CertificateError: chain-incomplete without the issuer's certificate, certificate-mismatch with all
    differences from each definition that was tried as its details.
    """
    issuer_key = _issuer_key(chain)
    definitions = [one for one in given if one.role == "device"] or [_default_device(_begin(chain.certificate))]

    def under(definition: CertificateDefinition) -> CompressedPart:
        _require_key_slot(definition, key_slot)
        return _part(definition, chain.certificate, issuer_key, chain.public_key, snapshot)

    return _first_fitting(definitions, under)


def all_differences(
    certificates: Sequence[bytes],
    keys: Collection[bytes],
    snapshot: ChipSnapshot,
    given: Sequence[CertificateDefinition],
) -> tuple[str, tuple[str, ...]]:
    """Return a sentence on how a certificate (DER) differs from its definition, whatever its chain is, and each field.

    It is the one for one of the `keys` (X||Y), else the first; the first other one with a P-256 key is taken for its
    issuer's. Without one nothing is compared. The sentence is "" if nothing differs.
    """
    certificate, *others = sorted(certificates, key=lambda der: _key_if_any(der) not in keys)
    issuer_keys = [key for key in map(_key_if_any, others) if key is not None]
    definitions = [one for one in given if one.role == "device"]
    try:
        definition = definitions[0] if definitions else _default_device(_begin(certificate))
        found = differences_from(
            definition,
            certificate,
            ca_public_key=issuer_keys[0],
            chip_serial=snapshot.serial_number,
            stored=_stored(definition, snapshot),
        )
    except (CertificateError, IndexError):
        return "", ()
    summary = f"Under the definition {definition.name}, {counted(found)}." if found else ""
    return summary, tuple(map(str, found))


def _key_if_any(certificate: bytes) -> bytes | None:
    try:
        return p256_key_of(certificate)
    except CertificateError:
        return None


def signer_part(
    chain: PresentedChain, snapshot: ChipSnapshot, given: Sequence[CertificateDefinition]
) -> CompressedPart | None:
    """Return the issuer's certificate in its compressed form, under one of the definitions `given` for signers.

    None if only others were given; or, if none was given at all, when it has none under the default definition. Raises
    CertificateError as `device_part` where a given one must fit.
    """
    definitions = [one for one in given if one.role == "signer"]
    if given and not definitions:
        return None
    upper_key = p256_key_of(chain.issuers[1]) if len(chain.issuers) > 1 else None
    if upper_key is None:
        if definitions:
            raise _incomplete("The certificate above the issuer's is missing, which the signer's definition needs")
        return None
    issuer, key = chain.issuers[0], _issuer_key(chain)
    try:
        found = definitions or [_default_signer(issuer)]
        return _first_fitting(found, lambda definition: _part(definition, issuer, upper_key, key, snapshot))
    except CertificateError:
        if definitions:
            raise
        return None


def _first_fitting(
    definitions: Sequence[CertificateDefinition], under: Callable[[CertificateDefinition], CompressedPart]
) -> CompressedPart:
    refusals, details = [], []
    for definition in definitions:
        try:
            return under(definition)
        except NoCompressedFormError as error:
            refusals.append(error.summary)
            whose = f"{definition.name}: " if len(definitions) > 1 else ""
            details += [f"{whose}{difference}" for difference in error.differences]
        except CertificateError as error:
            refusals.append(error.what)
    refused = CertificateError(" ".join(refusals), code=Code.CERTIFICATE_MISMATCH)
    refused.details = tuple(details)
    raise refused


def require_own_slots(parts: Iterable[CompressedPart]) -> None:
    """Raise CertificateError (definition-invalid) if two certificates would be written to the same bytes."""
    taken: list[tuple[CertificateDefinition, SlotContent]] = []
    for part in parts:
        for content in part.contents:
            for other, there in taken:
                if _overlap(content, there):
                    raise CertificateError(
                        f"The definitions {other.name} and {part.definition.name} both need byte {content.offset} "
                        f"of slot {content.slot}.",
                        advice="Give definitions that were made for one product.",
                        code=Code.DEFINITION_INVALID,
                    )
            taken.append((part.definition, content))


def _overlap(one: SlotContent, other: SlotContent) -> bool:
    return (
        one.slot == other.slot
        and one.offset < other.offset + len(other.data)
        and other.offset < one.offset + len(one.data)
    )


def _part(
    definition: CertificateDefinition, certificate: bytes, issuer_key: bytes, public_key: bytes, snapshot: ChipSnapshot
) -> CompressedPart:
    stored = _stored(definition, snapshot)
    compressed = compress(
        definition,
        certificate,
        ca_public_key=issuer_key,
        public_key=public_key,
        chip_serial=snapshot.serial_number,
        stored=stored,
    )
    complete = with_own_serial(definition, certificate, stored)
    contents = slot_contents(definition, compressed=compressed, public_key=public_key)
    serial = definition.cert_sn_dev_loc
    if _writes_serial(definition) and complete is not None:
        contents.append(SlotContent(serial.slot, serial.offset, complete[serial]))
    return CompressedPart(definition, certificate, issuer_key, tuple(contents), complete)


def _writes_serial(definition: CertificateDefinition) -> bool:
    location = definition.cert_sn_dev_loc
    return definition.sn_source is SerialSource.STORED and location.present and location.zone is DeviceZone.DATA


def _stored(definition: CertificateDefinition, snapshot: ChipSnapshot) -> StoredData:
    """Return what the chip holds of what the definition wants of it, without a serial number that is to be written."""
    serial = definition.cert_sn_dev_loc if _writes_serial(definition) else None
    wanted = [location for location in stored_locations(definition) if location != serial]
    found = {location: snapshot.place(location) for location in wanted}
    return {location: data for location, data in found.items() if data is not None}


def _require_key_slot(definition: CertificateDefinition, key_slot: int) -> None:
    location = definition.public_key_dev_loc
    expected = location.slot if location.by_gen_key else definition.private_key_slot
    if expected != key_slot:
        raise CertificateError(
            f"The definition {definition.name} is for another key: slot: expected {expected}, found {key_slot}.",
            code=Code.CERTIFICATE_MISMATCH,
        )


def _issuer_key(chain: PresentedChain) -> bytes:
    if not chain.issuers:
        raise _incomplete("The issuer's certificate is missing, whose key the compressed form needs")
    key = p256_key_of(chain.issuers[0])
    if key is None:
        raise CertificateError(
            "issuer's key: expected a key on P-256, found another: such a certificate has no compressed form.",
            code=Code.CERTIFICATE_MISMATCH,
        )
    return key


def _incomplete(what: str) -> CertificateError:
    return CertificateError(f"{what}.", advice="Give it with --chain.", code=Code.CHAIN_INCOMPLETE)


def _begin(certificate: bytes) -> datetime:
    """Return notBefore; of a certificate that cannot be read the present time, which decides the forms of its dates."""
    try:
        return x509.load_der_x509_certificate(certificate).not_valid_before_utc
    except UNREADABLE:
        return datetime.now(UTC)


def _default_device(at: datetime) -> CertificateDefinition:
    return _defined(
        lambda: device_definition(default_description("device"), signer=default_description("signer"), at=at)
    )


def _default_signer(issuer: bytes) -> CertificateDefinition:
    root_name, at = x509.load_der_x509_certificate(issuer).issuer, _begin(issuer)
    return _defined(lambda: signer_definition(default_description("signer"), root_name=root_name, at=at))


def _defined(make: Callable[[], CertificateDefinition]) -> CertificateDefinition:
    try:
        return make()
    except (UsageError, CertificateError, ValueError) as error:
        text = error.what if isinstance(error, UsageError | CertificateError) else str(error)
        raise CertificateError(
            f"The default definition does not fit: {text}", code=Code.CERTIFICATE_MISMATCH
        ) from error
