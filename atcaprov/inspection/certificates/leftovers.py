"""Name what is there but makes no chain: a key or a certificate alone, or one whose definition is not known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from atcaprov.certs.compressed_form import CompressedCertificate
from atcaprov.chip.memory_map import SLOT_COUNT
from atcaprov.errors import AtcaProvError, Board, CertificateError, Code
from atcaprov.inspection.certificates.defined import not_provisioned
from atcaprov.inspection.certificates.found import FoundChain, StorageLayout
from atcaprov.inspection.certificates.search import found_chains
from atcaprov.inspection.certificates.slot_parts import compressed_form
from atcaprov.inspection.identity import Use, identify
from atcaprov.inspection.snapshot import ChipSnapshot

_FIRST_SLOT = 8
"""Slots 0 to 7 are too small for a compressed certificate."""
_GIVE = "Give its definition with --signer FOLDER or --definition FILE, or the issuer's certificate with --issuer FILE."


def certificates_by_slot(chip: ChipSnapshot) -> Mapping[int, str]:
    """Return in words which certificate, or part of one, stands in which slot; slots with none are left out."""
    found = {slot: f"a certificate of unknown definition ({_ids(form)})" for slot, form in _compressed(chip).items()}
    for chain in reversed(found_chains(chip)):
        for number, certificate in reversed(list(enumerate(chain.certificates))):
            whose = "the issuer's" if number else "the device"
            text = f"{whose} certificate or a part of it ({chain.layout.description})"
            found |= dict.fromkeys(certificate.slots, text)
    return dict(sorted(found.items()))


def leftovers(chip: ChipSnapshot, chains: Sequence[FoundChain]) -> Iterator[AtcaProvError]:
    """Yield an error for each thing that is half there; one that says so if the chip holds no certificate at all."""
    if identify(chip).use in (Use.SIGNER_MODULE, Use.ROOT_MODULE):
        yield _module(chip)
        return
    used = {slot for chain in chains for certificate in chain.certificates for slot in certificate.slots}
    alone = {slot: form for slot, form in _compressed(chip).items() if slot not in used}
    yield from (_unknown(chip, slot, form) for slot, form in alone.items())
    for chain in chains:
        if chain.is_signed is False:
            yield _of_another_key(chain.device.slots[0], chain.key_slot)
        elif chain.layout is StorageLayout.X509 and chain.key_slot is None and not _is_issuer(chain, chains):
            yield _whole_of_another_key(chip, chain.device.slots[0])
    if not chains and not alone:
        keys = sorted(chip.public_keys) if chip.zone.data_locked else []
        yield _keys_alone(keys) if keys else not_provisioned(chip)


def _module(chip: ChipSnapshot) -> AtcaProvError:
    name = identify(chip).use.replace("-", " ")
    return CertificateError(
        f"This chip is a {name} of this project: what it holds is a CA's, not a device's.",
        advice=f"'signer-module info --device {chip.url}' shows it.",
        code=Code.DEFINITION_UNKNOWN,
        board=Board.UNTOUCHED,
    )


def _compressed(chip: ChipSnapshot) -> dict[int, CompressedCertificate]:
    """Return the compressed certificates at the begin of a slot that say where their serial number comes from."""
    forms = {slot: compressed_form(chip, slot) for slot in range(_FIRST_SLOT, SLOT_COUNT)}
    return {slot: form[1] for slot, form in forms.items() if form and any(form[1].signature)}


def _ids(form: CompressedCertificate) -> str:
    return f"template id {form.template_id:X}, chain id {form.chain_id:X}, signer id {form.signer_id.hex().upper()}"


def _unknown(chip: ChipSnapshot, slot: int, form: CompressedCertificate) -> AtcaProvError:
    if not chip.public_keys:
        return CertificateError(
            f"Slot {slot} holds a compressed certificate ({_ids(form)}), but the chip shows no key.",
            advice="A copy of another unit's data looks like this.",
            code=Code.CERTIFICATE_WITHOUT_KEY,
            board=Board.SET_ASIDE,
        )
    return CertificateError(
        f"Slot {slot} holds a compressed certificate ({_ids(form)}) whose definition is not known.",
        advice=_GIVE,
        code=Code.DEFINITION_UNKNOWN,
        board=Board.UNTOUCHED,
    )


def _of_another_key(slot: int, key_slot: int | None) -> AtcaProvError:
    return CertificateError(
        f"The certificate in slot {slot} is not for the key in slot {key_slot}, or was changed: its signature does not"
        " verify.",
        advice="Set the board aside: its certificates belong to another unit, or an earlier run failed.",
        code=Code.KEY_MISMATCH,
        board=Board.SET_ASIDE,
    )


def _whole_of_another_key(chip: ChipSnapshot, slot: int) -> AtcaProvError:
    keys = ", ".join(map(str, sorted(chip.public_keys))) or "none"
    return CertificateError(
        f"The X.509 certificate in slot {slot} is for none of the keys in the chip (slots with a key: {keys}).",
        advice="It belongs to another unit, or is the certificate of an issuer.",
        code=Code.KEY_MISMATCH,
        board=Board.SET_ASIDE,
    )


def _is_issuer(chain: FoundChain, chains: Sequence[FoundChain]) -> bool:
    """Tell whether a certificate is that of a CA or the issuer of another on the chip."""
    return any(chain.device.issued(other.device) for other in chains)


def _keys_alone(slots: Sequence[int]) -> AtcaProvError:
    places = ", ".join(map(str, slots))
    return CertificateError(
        f"The chip holds a key (slot {places}) and no certificate for it."
        if len(slots) == 1
        else f"The chip holds keys (slots {places}) and no certificate for any of them.",
        advice="Its certificate may be kept in the product's firmware: look there, or with whoever provisioned it.",
        code=Code.KEY_WITHOUT_CERTIFICATE,
        board=Board.UNTOUCHED,
    )
