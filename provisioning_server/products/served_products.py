"""The products that a server issues for, and what they allow: which chips, and which signers.

May be used from any thread: a reload puts other products in the place of all at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from atcaprov.config_zone.locks import claims_config_lock
from atcaprov.product_profile.profile import ProofRule
from atcaprov.wire.messages import CertificatesRequest, ErrorReply, SignerRequest
from provisioning_server import rejections
from provisioning_server.products.product import ServedProduct
from provisioning_server.products.signer_fit import signer_problem
from provisioning_server.products.zone_words import differing, differing_fields
from provisioning_server.records.signer_documents import SignerDocuments
from provisioning_server.signers.signer import Signer

ProductRequest = CertificatesRequest | SignerRequest


class ServedProducts:
    """Holds requests against the products; without products everything is allowed."""

    def __init__(self, products: Sequence[ServedProduct] = ()) -> None:
        self._now = _Products(tuple(products))

    @property
    def all(self) -> tuple[ServedProduct, ...]:
        """The products, in the order of the files."""
        return self._now.products

    def proof_rules(self) -> Mapping[str, ProofRule]:
        """Return what each product with a profile says of proofs, by its name."""
        return self._now.proof_rules

    def replace(self, products: Sequence[ServedProduct]) -> None:
        """Put other products in the place of all."""
        self._now = _Products(tuple(products))

    def product_of(
        self, request: ProductRequest, documents: SignerDocuments | None
    ) -> ServedProduct | ErrorReply | None:
        """Return the product of a request, the rejection of one that has none, or None where all are served.

        It is the one that the request names; else the only one whose zone the chip has and for which the signer of
        the request may sign (`documents`; None: an unknown signer). A question without a zone is not held against one.
        """
        now = self._now
        if not now.products:
            return None
        if request.product and now.proof_rules:  # without profiles it is a name in records and work orders only
            return now.named(request)
        return now.fitting(request, documents) if request.config_zone else None

    def signers_for(self, product: ServedProduct | None, signers: Sequence[Signer]) -> list[Signer] | ErrorReply:
        """Return those of some signers that may sign for a product, or why none may."""
        now = self._now
        if product is None or product.profile is None:
            return list(signers)
        allowed = [signer for signer in signers if not now.problem(product, signer.documents)]
        if allowed or not signers:
            return allowed
        return rejections.signer_not_allowed(product.name, now.problem(product, signers[0].documents))

    def problem(self, product: ServedProduct, documents: SignerDocuments) -> str:
        """Return why a signer may not sign for a product, as the end of a sentence about it; empty if it may."""
        return self._now.problem(product, documents)


class _Products:
    """The products of one moment, with what was found out about signers."""

    def __init__(self, products: tuple[ServedProduct, ...]) -> None:
        self.products = products
        self.proof_rules = {each.name: each.profile.proof for each in products if each.profile is not None}
        self._problems: dict[tuple[str, str], str] = {}

    def named(self, request: ProductRequest) -> ServedProduct | ErrorReply:
        product = next((each for each in self.products if each.name == request.product), None)
        if product is None:
            return rejections.product_unknown(request.product, [each.name for each in self.products if each.name])
        at = differing(request.config_zone, product.config_zone) if request.config_zone else ()
        return _other_configuration(request, product, at) if at else product

    def fitting(self, request: ProductRequest, documents: SignerDocuments | None) -> ServedProduct | ErrorReply:
        found = [(differing(request.config_zone, each.config_zone), each) for each in self.products]
        same = [product for at, product in found if not at]
        if not same:
            at, nearest = min(found, key=lambda each: len(each[0]))
            return _other_configuration(request, nearest, at)
        if documents is None or len(same) == 1:
            return same[0]
        allowed = [product for product in same if not self.problem(product, documents)]
        profiled = [product for product in allowed if product.profile is not None]
        if len(profiled) > 1:
            return rejections.product_ambiguous([product.name for product in profiled])
        if allowed:
            return profiled[0] if profiled else allowed[0]
        return rejections.signer_not_allowed(same[0].name, self.problem(same[0], documents))

    def problem(self, product: ServedProduct, documents: SignerDocuments) -> str:
        if product.profile is None:
            return ""
        key = (product.name, documents.document_id)
        if key not in self._problems:
            self._problems[key] = signer_problem(product.profile, documents)
        return self._problems[key]


def _other_configuration(request: ProductRequest, product: ServedProduct, at: Sequence[int]) -> ErrorReply:
    fields = differing_fields(request.config_zone, product.config_zone, at)
    return rejections.other_configuration(product.text, fields, locked=claims_config_lock(request.config_zone))
