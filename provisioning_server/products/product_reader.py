"""Read the products of a server, and lint the certificates of their profiles: at the start, and at each reload."""

from __future__ import annotations

from atcaprov.log import Log
from atcaprov.product_profile.certificate_lint import has_pkilint
from atcaprov.product_profile.profile_lint import lint_profile, not_linted
from provisioning_server.products.product import ProductFiles, ServedProduct


class ProductReader:
    """Reads the files; findings that refuse no profile are warnings in the log."""

    def __init__(self, files: ProductFiles, log: Log) -> None:
        self._files = files
        self._log = log
        self._said_not_linted = False

    def read(self) -> tuple[ServedProduct, ...]:
        """Return the products.

        Raises:
            UsageError: a file is broken, or certificates of a profile break a rule of X.509 (profile-invalid).
        """
        products = self._files.read()
        findings = [(product.name, lint_profile(product.profile)) for product in products if product.profile]
        for name, found in findings:
            for finding in found:
                self._log.warning(f"Certificates of the product {name}: {finding}")
        if findings and not has_pkilint() and not self._said_not_linted:
            self._said_not_linted = True
            self._log.warning(not_linted())
        return products
