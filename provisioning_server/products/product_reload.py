"""Read the files of the products again while the server runs: all of them are taken over, or none if one is broken."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from provisioning_server.products.product import ServedProduct
from provisioning_server.products.product_reader import ProductReader
from provisioning_server.products.served_products import ServedProducts


class ProductReload:
    """Reads the files when it is called; what it returns puts the products into place and says what changed."""

    def __init__(self, served: ServedProducts, reader: ProductReader) -> None:
        self._served = served
        self._reader = reader

    def __call__(self) -> Callable[[], list[str]]:
        """Return what takes the products over; raises UsageError, with file and line of a broken one."""
        products = self._reader.read()

        def take_over() -> list[str]:
            changed = list(changes(self._served.all, products))
            if changed:
                self._served.replace(products)
            return changed

        return take_over


def changes(before: Sequence[ServedProduct], after: Sequence[ServedProduct]) -> list[str]:
    """Return a sentence for each product that is new, other than before, or gone."""
    old, new = ({each.name: each for each in products if each.profile} for products in (before, after))
    sentences = [f"the product {name} is new." for name in new if name not in old]
    sentences += [
        f"the profile of the product {name} has changed." for name in new if name in old and new[name] != old[name]
    ]
    sentences += [f"the product {name} gets no more certificates." for name in old if name not in new]
    zones = [{each.config_zone for each in products if not each.profile} for products in (before, after)]
    if zones[0] != zones[1]:
        sentences.append("the configuration zones without a profile have changed.")
    return sentences
