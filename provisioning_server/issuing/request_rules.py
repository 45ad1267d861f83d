"""What becomes of a request: it is rejected, gets the certificate that was issued before, or gets a new one.

Nothing is signed or written here. The same chip, key and signer get the stored certificates again. What the ledger
knows of the chips and keys of a batch was looked up before, at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from atcaprov.certs.keys import load_public_key
from atcaprov.chip.trust_parts import TFLXTLS
from atcaprov.config_zone.locks import claims_config_lock, is_data_locked, is_slot_locked
from atcaprov.errors import CertificateError, Code
from atcaprov.log import Log, log_event
from atcaprov.wire.messages import CertificatesRequest, ErrorReply, SignerReply, SignerRequest
from provisioning_server import rejections
from provisioning_server.issuing.in_progress import InProgress
from provisioning_server.issuing.promises import Limit, Promises
from provisioning_server.issuing.requests import ClientRequest, SignersRequest
from provisioning_server.issuing.rollback_guard import LedgerGuard
from provisioning_server.issuing.server_clock import ServerClock
from provisioning_server.issuing.unit_rules import check_offered_unit, check_stored_unit, check_unit
from provisioning_server.ledger.store import Known, Ledger, StoredCertificate
from provisioning_server.log_names import by_text, device_text
from provisioning_server.orders.work_orders import OrderRules
from provisioning_server.products.product import ServedProduct
from provisioning_server.products.served_products import ServedProducts
from provisioning_server.rejections import moment
from provisioning_server.revocation.reasons import Reason
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.signers.signer import Signer

_UNIQUE = slice(2, 8)
"""The part of a serial number that differs from chip to chip (public data sheet of the ATECC508A, section 2.2.6)."""
_NONE = (b"\x00" * 6, b"\xff" * 6)


class ProofLimit(Protocol):
    """Tells whether a station owes too many proofs."""

    def refusal(self, station: str, product: str) -> ErrorReply | None:
        """Return the rejection of a new certificate of a product for a station, if there is one."""


class RequestRules:
    """Decides on requests by the signers, the ledger and the clock."""

    def __init__(
        self,
        signers: SignerRegistry,
        ledger: Ledger,
        clock: ServerClock,
        log: Log,
        *,
        guard: LedgerGuard,
        allow_rekey: bool = False,
        products: ServedProducts | None = None,
        proofs: ProofLimit | None = None,
        require_order: bool = False,
    ) -> None:
        """`products` are those that are served; without them every chip is. `proofs` tells who owes too many."""
        self._guard = guard
        self._signers = signers
        self._ledger = ledger
        self._clock = clock
        self._log = log
        self._allow_rekey = allow_rekey
        self._products = products or ServedProducts()
        self._proofs = proofs
        self.promises = Promises()
        self._orders = OrderRules(ledger.administered.order, clock.now, required=require_order)

    def offer(
        self, request: SignerRequest, known: Known, client: str = "", station: str = ""
    ) -> SignerReply | ErrorReply:
        """Return what a client is told about a signer, or the rejection that its requests would get."""
        self._guard.shown(request.checkpoint, client)
        if not self._ledger.has_room():
            return rejections.DISK_FULL
        if request.chip_serial and request.chip_serial[_UNIQUE] in _NONE:
            return rejections.NO_SERIAL
        if _is_revoked(self._counting(known.of_chip(request.chip_serial))):
            return rejections.CERTIFICATE_REVOKED
        signers = self._choose(request)
        if isinstance(signers, ErrorReply):
            return signers
        left = certificates_left(signers)
        if left == 0:
            return rejections.QUOTA_USED_UP
        rejected = check_offered_unit(signers[0].documents.device, request, known, self._known_product(request))
        if rejected is not None:
            return rejected
        if not self._counting(known.of_chip(request.chip_serial)):  # a board that has its certificate is finished
            of_order = self._orders.left(request.order)
            refused = (
                self._owes_proofs(request, station)
                or self._order_refuses(request, station)
                or self._promise(request, of_order, left)
            )
            if refused is not None:
                return refused
            left = of_order if left is None else min(left, left if of_order is None else of_order)
        time = int(self._clock.now().timestamp())
        return replace(
            signers[0].documents.offer,
            server_time=time,
            certificates_left=left or 0,
            new_key_refused=self._refuses_new_key(request.chip_serial, known),
        )

    def _promise(self, request: SignerRequest, of_order: int | None, of_signers: int | None) -> ErrorReply | None:
        """Promise a chip what it will need; return a rejection if the rest is promised to others."""
        if not request.chip_serial:
            return None
        limits: list[Limit] = []
        if of_order is not None:
            limits.append((("order", request.order), of_order))
        if of_signers is not None:
            limits.append((("quota", request.signer_public_key), of_signers))
        return None if self.promises.give(request.chip_serial, limits) else rejections.PROMISED

    def _refuses_new_key(self, chip_serial: bytes, known: Known) -> bool:
        """Tell whether a chip (9 bytes; empty: none) has a certificate, so that no other key of it gets one."""
        return bool(chip_serial) and not self._allow_rekey and bool(self._counting(known.of_chip(chip_serial)))

    def _owes_proofs(self, request: SignersRequest, station: str) -> ErrorReply | None:
        return self._proofs.refusal(station, request.product) if self._proofs is not None and request.product else None

    def decide(
        self,
        request: CertificatesRequest,
        chip_serial: bytes,
        known: Known,
        in_progress: InProgress,
        station: str = "",
    ) -> ErrorReply | StoredCertificate | list[Signer]:
        """Return the rejection, the certificate to send again, or the signers that may issue, the best one first."""
        earlier = self._counting(known.of_chip(chip_serial))
        if _is_revoked(earlier):
            return rejections.CERTIFICATE_REVOKED
        valid = (each for each in reversed(earlier) if each.revoked is None)
        stored = next((each for each in valid if self._is_for(each, request)), None)
        if stored is not None:
            if self._is_to_be_replaced(stored, request):
                return self._issuers(request, chip_serial, known, in_progress, station)
            return check_stored_unit(request, stored) or stored
        refused = None if self._allow_rekey else _rejected_earlier(request, earlier)
        if request.existing_only:
            # A TFLXTLS learns before it replaces a key that a new one would get no certificate.
            return refused if refused is not None and TFLXTLS.is_part(request.config_zone) else rejections.NOT_ISSUED
        if refused is not None:
            return refused
        return self._issuers(request, chip_serial, known, in_progress, station)

    def _counting(self, earlier: Sequence[StoredCertificate]) -> Sequence[StoredCertificate]:
        """Return the certificates of a chip that count: those that were revoked as superseded make room for another."""
        if all(each.revoked is None for each in earlier):
            return earlier
        return [each for each in earlier if each.revoked is None or not self._is_superseded(each)]

    def _is_superseded(self, stored: StoredCertificate) -> bool:
        revoked = self._ledger.administered.revocation(stored.index)
        return revoked is not None and revoked.reason == Reason.SUPERSEDED

    def group(self, request: SignersRequest) -> bytes | None:
        """Return the group (32 bytes) of the signer that a request names, if any signer of the group will do."""
        if not request.any_of_group:
            return None
        documents = self._signers.documents_of(request.signer_public_key)
        return documents.group if documents is not None else None

    def _is_for(self, stored: StoredCertificate, request: CertificatesRequest) -> bool:
        if stored.record.public_key != request.public_key:
            return False
        documents = self._ledger.documents(stored.record.documents)
        if documents.signer_public_key == request.signer_public_key:
            return True
        return request.any_of_group and documents.group == self.group(request)

    def _is_to_be_replaced(self, stored: StoredCertificate, request: CertificatesRequest) -> bool:
        """Return whether a certificate begins in the future and is on no chip, so that the same key gets a new one.

        It was issued while the clock was wrong, and clients refuse it. Only the request can tell what is on the chip:
        as long as its slots can be written every run writes it again; after that it stays.
        """
        definition = self._ledger.documents(stored.record.documents).device
        begin = definition.issue_date(stored.record.time)
        if not can_be_written(request.config_zone, definition.write_slots) or not self._clock.is_future(begin):
            return False
        if isinstance(self._choose(request), ErrorReply):
            return False
        chip, run = stored.record.chip_serial, request.request_id
        again = f"gets a new certificate{by_text('', run)}: the earlier one begins on {moment(begin)}."
        self._log.warning(log_event("issued-again", f"{device_text(chip)} {again}", chip=chip, request_id=run.hex()))
        return True

    def _issuers(
        self, request: CertificatesRequest, chip_serial: bytes, known: Known, in_progress: InProgress, station: str
    ) -> ErrorReply | list[Signer]:
        signers = self._choose(request)
        if isinstance(signers, ErrorReply):
            return signers
        rejected = (
            check_public_key(request)
            or self._owes_proofs(request, station)
            or self._order_refuses(request, station)
            or self._rejected_key(request.public_key, chip_serial, known, in_progress)
        )
        definition, product = signers[0].documents.device, self._known_product(request)
        return rejected or check_unit(definition, request, chip_serial, known, in_progress, product) or signers

    def _known_product(self, request: SignersRequest) -> str | None:
        """Return the product among whose chips a unit's name is unique; None: among all."""
        return request.product if self._products.all else None

    def _order_refuses(self, request: SignersRequest, station: str) -> ErrorReply | None:
        """Return why its work order allows no new certificate; a product that is not named is the chip's."""
        found = self._product_of(request)
        product = request.product or (found.name if isinstance(found, ServedProduct) else "")
        return self._orders.refusal(request, station, product)

    def _rejected_key(self, key: bytes, chip_serial: bytes, known: Known, in_progress: InProgress) -> ErrorReply | None:
        """Reject a key that is used elsewhere: a key is made in its chip and never leaves it."""
        if self._signers.is_ca_key(key):
            return rejections.CA_KEY
        own = (None, chip_serial)
        elsewhere = known.chip_of(key) not in own or in_progress.chip_of(key) not in own
        return rejections.OTHER_CHIP if elsewhere else None

    def _choose(self, request: SignersRequest) -> list[Signer] | ErrorReply:
        """Return the signers that may serve a request now, or why none does: of its product, and without doubts."""
        product = self._product_of(request)
        if isinstance(product, ErrorReply):
            return product
        signers = self._signers.choose(request.signer_public_key, self.group(request))
        if isinstance(signers, ErrorReply):
            return signers
        trusted: list[Signer] = []
        doubt: ErrorReply | None = None
        for signer in signers:
            doubt = self._guard.admit(signer) or self._clock.doubt(signer.documents)
            if doubt is None:
                trusted.append(signer)
        if not trusted:
            return doubt or rejections.SIGNER_NOT_READY
        return self._products.signers_for(product, trusted)

    def _product_of(self, request: SignersRequest) -> ServedProduct | ErrorReply | None:
        return self._products.product_of(request, self._signers.documents_of(request.signer_public_key))

    def named(self, asked: ClientRequest) -> ClientRequest:
        """Return a request with the name of the product that fits it, if it does not name one itself."""
        request = asked.request
        if not isinstance(request, CertificatesRequest | SignerRequest) or request.product:
            return asked
        product = self._product_of(request)
        if not isinstance(product, ServedProduct) or not product.name:
            return asked
        return replace(asked, request=replace(request, product=product.name))


def _is_revoked(earlier: Sequence[StoredCertificate]) -> bool:
    """Return whether the newest certificate of a chip was taken back."""
    return bool(earlier) and earlier[-1].revoked is not None


def certificates_left(signers: Sequence[Signer]) -> int | None:
    """Return how many certificates signers can issue together; None if one of them has no quota."""
    left = [signer.remaining for signer in signers]
    return None if None in left else sum(each for each in left if each is not None)


def can_be_written(config_zone: bytes, slots: Iterable[int]) -> bool:
    """Return whether a run may still write certificates to these slots: until the data lock, or their own locks.

    A TFLXTLS is delivered with its data zone locked; until its slots are locked they can be written.
    """
    if not is_data_locked(config_zone):
        return True
    return TFLXTLS.is_part(config_zone) and not any(is_slot_locked(config_zone, slot) for slot in slots)


def _rejected_earlier(request: CertificatesRequest, earlier: Sequence[StoredCertificate]) -> ErrorReply | None:
    """Return why a chip with these earlier certificates, none of them the stored one for the request, gets no other."""
    if not earlier:
        return None
    same_key = any(each.record.public_key == request.public_key for each in earlier)
    return rejections.OTHER_SIGNER if same_key else rejections.OTHER_KEY


def check_locked_chip(request: CertificatesRequest, chip_serial: bytes) -> ErrorReply | None:
    """Return a rejection unless a request comes from a chip whose configuration zone is locked."""
    if chip_serial[_UNIQUE] in _NONE:
        return rejections.NO_SERIAL
    if not claims_config_lock(request.config_zone):
        return rejections.NOT_LOCKED
    return None


def check_public_key(request: CertificatesRequest) -> ErrorReply | None:
    """Return a rejection unless the key is a point of P-256."""
    try:
        load_public_key(request.public_key)
    except CertificateError as error:
        return rejections.rejection(error, code=Code.REQUEST_INVALID)
    return None
