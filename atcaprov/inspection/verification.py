"""Verify the certificates of a chip: chain to a root, key by one fresh signature, dates, and the server's record.

Nothing is changed, and a key that would be used up by it is not asked for a signature.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from atcaprov.certs.chain import verify_chain
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.field_comparison import certificate_differences, listed
from atcaprov.certs.issued_record import IssuedRecord
from atcaprov.chip.memory_map import slots_text
from atcaprov.device.device import Device
from atcaprov.errors import AtcaProvError, Board, CertificateError, Code, DeviceError, ProvisioningError, UsageError
from atcaprov.inspection import verdict
from atcaprov.inspection.certificates.defined import IssuerDefinitions, defined_chain, defined_device
from atcaprov.inspection.certificates.found import FoundChain
from atcaprov.inspection.certificates.leftovers import leftovers
from atcaprov.inspection.certificates.microchip import MAKER_LAYOUTS
from atcaprov.inspection.certificates.search import completed, found_chains
from atcaprov.inspection.genuine import require_chain, vendor_root
from atcaprov.inspection.key_proof import prove_key, reason_not_to_sign
from atcaprov.inspection.snapshot import ChipSnapshot


class Verdict(enum.StrEnum):
    """What a verified chip is."""

    GOOD = "good"
    GOOD_SET_ASIDE = "good-set-aside"
    """It needs nothing more, but another signer or server than the named one finished it."""
    NOT_GOOD = "not-good"
    NOT_PROVISIONED = "not-provisioned"
    UNKNOWN = "unknown"
    """Nothing was judged: its certificates, if it has any, are of a kind that was not named."""


class StepOutcome(enum.StrEnum):
    """How one step of a verification ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "not-checked"


@dataclass(frozen=True)
class VerificationStep:
    """One step: its name (certificate, chain, key, dates, record), how it ended, and that in words."""

    name: str
    outcome: StepOutcome
    what: str


@dataclass(frozen=True)
class TrustSources:
    """Against what a chip is verified.

    `definitions` are those of our signers, with the pinned root key; without them the public layouts are searched.
    `root` and `issuers` are certificates (DER); `records` those of a server, None if it is not asked, and `files` the
    device certificates (DER) that it keeps for the chip. `now` is the time of this computer.
    """

    now: datetime
    definitions: IssuerDefinitions | None = None
    device_definition: CertificateDefinition | None = None
    """That of another CA, whose certificate is among `issuers`; instead of `definitions`."""
    root: bytes | None = None
    issuers: Sequence[bytes] = ()
    records: Sequence[IssuedRecord] | None = None
    files: Sequence[bytes] = ()


@dataclass(frozen=True)
class Verification:
    """The result: the verdict, its steps in order, the chain if there is one, and the error unless it is good."""

    verdict: Verdict
    steps: tuple[VerificationStep, ...]
    chain: FoundChain | None = None
    error: AtcaProvError | None = None


def verify_chip(device: Device, chip: ChipSnapshot, sources: TrustSources) -> Verification:
    """Verify a chip of which `chip` was read; `device` is asked for one signature.

    Raises what `Device` raises when the chip does not answer, and UsageError if no root is known for its certificates.
    """
    run = _Run(device, chip, sources)
    try:
        run.find()
        for step in (run.chain_to_root, run.key, run.dates, run.record):
            step()
    except (CertificateError, ProvisioningError) as error:
        run.steps.append(VerificationStep(run.step, StepOutcome.FAILED, error.what))
        return Verification(_verdict(error), tuple(run.steps), run.chain, verdict.set_aside(error))
    return Verification(Verdict.GOOD, tuple(run.steps), run.chain)


def _verdict(error: AtcaProvError) -> Verdict:
    if error.code == Code.FINISHED_ELSEWHERE:
        return Verdict.GOOD_SET_ASIDE
    if error.code == Code.NOT_PROVISIONED:
        return Verdict.NOT_PROVISIONED
    return Verdict.UNKNOWN if error.board is Board.UNTOUCHED else Verdict.NOT_GOOD


@dataclass
class _Run:
    """One verification; each method is a step, which adds its result or raises the error that ends the run."""

    device: Device
    chip: ChipSnapshot
    sources: TrustSources
    steps: list[VerificationStep] = field(default_factory=list)
    chain: FoundChain | None = None
    step: str = "certificate"

    @property
    def found(self) -> FoundChain:
        assert self.chain is not None
        return self.chain

    def find(self) -> None:
        self.chain = _chain(self.chip, self.sources)
        slots = self.chain.device.slots
        self._passed(f"Device certificate found in {slots_text(slots)}: {self.chain.layout.description}.")

    def chain_to_root(self) -> None:
        self.step = "chain"
        if self.sources.definitions is not None:
            key = self.sources.definitions.root_public_key
            device, signer = self.found.certificates
            verify_chain(device.der, signer.der, key, device_public_key=self._chip_key())
            self._passed("The certificates lead to the pinned root.")
            return
        root = self.sources.root or (vendor_root() if self.found.layout in MAKER_LAYOUTS else None)
        if root is None:
            raise UsageError(
                f"The certificates were found ({self.found.layout}), but no root is named that they should lead to.",
                advice="Add --root FILE, the certificate of the root that you trust.",
            )
        name = x509.load_der_x509_certificate(root).subject.rfc4514_string()
        if self.found.layout in MAKER_LAYOUTS:
            self._require_makers_chain(root, name)
        else:
            require_path(self.found, root)
        self._passed(f"The certificates lead to the root {name}.")

    def _require_makers_chain(self, root: bytes, name: str) -> None:
        try:
            require_chain(self.found, root)
        except CertificateError as error:
            if error.code == Code.ROOT_NOT_PINNED:
                error.what = f"The maker's certificates do not lead to the root {name}."
                error.advice = (
                    "Check the file given with --root."
                    if self.sources.root
                    else "It is Microchip's, from the vendor's library: on a real part, ask where the chip comes from."
                    " For another root, such as that of a software chip, give --root FILE."
                )
            raise

    def key(self) -> None:
        self.step = "key"
        slot = self.found.key_slot
        if slot is None:
            raise _no_key(self.found)
        reason = reason_not_to_sign(self.chip.zone, slot)
        if reason is not None:
            self._add(StepOutcome.NOT_CHECKED, f"The key in slot {slot} was not asked for a signature: {reason}.")
            return
        try:
            prove_key(self.device, slot, self.found.device.public_key)
        except DeviceError as error:
            raise CertificateError(
                f"The key in slot {slot} did not sign, so the chip does not prove that it holds it: {error.what}",
                advice="Set the board aside. A copy of a chip, such as the twin of 'atcaprov chip dump', has no key.",
                code=Code.KEY_MISMATCH,
                board=Board.SET_ASIDE,
            ) from error
        self._passed(f"The key in slot {slot} signed a fresh random number.")

    def dates(self) -> None:
        self.step = "dates"
        for certificate in self.found.certificates:
            parsed = certificate.parsed
            if not parsed.not_valid_before_utc <= self.sources.now <= parsed.not_valid_after_utc:
                raise _outside(parsed, self.sources.now)
        first = min(certificate.parsed.not_valid_after_utc for certificate in self.found.certificates)
        self._passed(f"Valid now, by this computer's clock; the first certificate ends {first:%Y-%m-%d}.")

    def record(self) -> None:
        """A record of this very certificate is enough, whichever signer of the server made it."""
        self.step = "record"
        ours = [record for record in self.sources.records or () if record.chip_serial == self.chip.serial_number]
        if any(record.certificate == self.found.device.der for record in ours):
            if self.sources.files and self.found.device.der not in self.sources.files:
                raise _other_file()
            self._passed("The server's record holds this very certificate.")
        elif self._is_of_another_signer():
            raise verdict.finished_by_another_signer()
        elif ours:
            raise _other_record(ours, self.found.device.der)
        elif self.sources.records is not None:
            raise verdict.without_log_line()

    def _is_of_another_signer(self) -> bool:
        named = self.sources.definitions
        if named is None or named.signer_public_key is None:
            return False
        return self.found.certificates[1].public_key != named.signer_public_key

    def _chip_key(self) -> bytes | None:
        return None if self.found.key_slot is None else self.chip.public_keys.get(self.found.key_slot)

    def _passed(self, what: str) -> None:
        self._add(StepOutcome.PASSED, what)

    def _add(self, outcome: StepOutcome, what: str) -> None:
        self.steps.append(VerificationStep(self.step, outcome, what))


def _chain(chip: ChipSnapshot, sources: TrustSources) -> FoundChain:
    """Return the chain to verify: ours if definitions are given, else the first that is signed and has its key."""
    if sources.definitions is not None:
        return defined_chain(chip, sources.definitions)
    if sources.device_definition is not None:
        return completed(defined_device(chip, sources.device_definition, sources.issuers), sources.issuers)
    chains = found_chains(chip, sources.issuers)
    for is_sound in _PREFERENCES:
        for chain in chains:
            if is_sound(chain):
                return chain
    raise next(leftovers(chip, chains))


_PREFERENCES: Final[Sequence[Callable[[FoundChain], bool]]] = (
    lambda chain: chain.key_slot is not None and chain.is_signed is True,
    lambda chain: chain.key_slot is not None and chain.is_signed is None,
)


def require_path(chain: FoundChain, root: bytes) -> None:
    """Return if each certificate of a chain is issued by the next, and the last by `root` (DER).

    Names, signatures and basic constraints are checked, whatever kind of key a CA has; dates are not. Raises
    CertificateError (ROOT_NOT_PINNED, CHAIN_INVALID).
    """
    ders = [certificate.der for certificate in chain.certificates]
    if ders[-1] == root and len(ders) > 1:
        ders.pop()
    path = [x509.load_der_x509_certificate(der) for der in (*ders, root)]
    for number, (subject, issuer) in enumerate(itertools.pairwise(path)):
        last = number == len(path) - 2
        if subject == issuer and last:
            continue  # a self-signed certificate that is trusted itself
        _require_issued(subject, issuer, last=last)


def _require_issued(subject: x509.Certificate, issuer: x509.Certificate, *, last: bool) -> None:
    try:
        subject.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        if last:
            raise CertificateError(
                "The certificates do not lead to the given root.",
                advice="Check the file given with --root, and add certificates in between with --issuer FILE.",
                code=Code.ROOT_NOT_PINNED,
            ) from error
        raise CertificateError(
            "A certificate of the chain is not issued by the next one.", code=Code.CHAIN_INVALID
        ) from error
    if not _is_authority(issuer):
        name = issuer.subject.rfc4514_string()
        raise CertificateError(f"The issuer {name} is not a CA by its certificate.", code=Code.CHAIN_INVALID)


def _is_authority(issuer: x509.Certificate) -> bool:
    """Tell whether the extensions let a certificate issue others; a key usage that is missing forbids nothing."""
    try:
        if not issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        return issuer.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound as error:
        return error.oid == x509.KeyUsage.oid
    except ValueError:
        return False


def _no_key(chain: FoundChain) -> CertificateError:
    return CertificateError(
        f"The certificate in slot {chain.device.slots[0]} is for none of the keys in the chip.",
        advice="Set the board aside: it belongs to another unit.",
        code=Code.KEY_MISMATCH,
        board=Board.SET_ASIDE,
    )


def _outside(certificate: x509.Certificate, now: datetime) -> CertificateError:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    name = certificate.subject.rfc4514_string()
    word = "expired" if now > end else "is not valid yet"
    return CertificateError(
        f"The certificate of {name} {word}: it is valid from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC, and"
        f" this computer's clock says {now:%Y-%m-%d %H:%M} UTC.",
        advice="The chip has no clock and still signs, but a peer with one refuses the certificate. Check the clock.",
        code=Code.CERTIFICATE_EXPIRED,
        board=Board.SET_ASIDE,
    )


def _other_file() -> CertificateError:
    return CertificateError(
        "The server's record holds this certificate, but its folder 'certs' holds another one for this chip.",
        advice="Call the technician: the files are made from the record, so somebody has changed them.",
        code=Code.CERTIFICATE_MISMATCH,
        board=Board.SET_ASIDE,
    )


def _other_record(records: Sequence[IssuedRecord], found: bytes) -> CertificateError:
    last = records[-1]
    differences = listed(certificate_differences(last.certificate, found))
    return CertificateError(
        f"The server's record has another certificate for this chip, issued {last.time:%Y-%m-%d %H:%M} UTC by"
        f" {last.signer_name}. The chip's differs from it: {differences}.",
        advice="Set the board aside: it was certified again elsewhere, or the record is of another server.",
        code=Code.CERTIFICATE_MISMATCH,
        board=Board.SET_ASIDE,
    )
