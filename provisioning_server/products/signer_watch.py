"""Say of each signer for which products it may sign, and why for none: when it comes, and when profiles change."""

from __future__ import annotations

import asyncio
from typing import Final

from atcaprov.log import Log
from provisioning_server.log_names import label
from provisioning_server.products.served_products import ServedProducts
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.signers.signer import Signer

LOOK_SECONDS: Final = 1.0


async def watch_signers(products: ServedProducts, signers: SignerRegistry, log: Log) -> None:
    """Look again and again, beside the event loop."""
    watch = SignerWatch(products, signers, log)
    while True:
        watch.look()
        await asyncio.sleep(LOOK_SECONDS)


class SignerWatch:
    """Says each thing once."""

    def __init__(self, products: ServedProducts, signers: SignerRegistry, log: Log) -> None:
        self._products = products
        self._signers = signers
        self._log = log
        self._said: dict[bytes, str] = {}

    def look(self) -> None:
        """Say what is new."""
        here = {signer.documents.signer_public_key: signer for signer in self._signers}
        for key, signer in here.items():
            sentence, warns = self._sentence(signer)
            if sentence and sentence != self._said.get(key):
                (self._log.warning if warns else self._log.info)(sentence)
            self._said[key] = sentence
        for key in self._said.keys() - here.keys():
            del self._said[key]

    def _sentence(self, signer: Signer) -> tuple[str, bool]:
        """Return what is to be said of a signer, and whether it is a warning; nothing where no profile is."""
        found = {each: self._products.problem(each, signer.documents) for each in self._products.all if each.profile}
        if not found:
            return "", False
        who = label(signer.serial, signer.name)
        fitting = [product.name for product, problem in found.items() if not problem]
        if fitting:
            return f"{who} may sign for {', '.join(fitting)}.", False
        reasons = "; ".join(f"for {product.name} because it {problem}" for product, problem in found.items())
        return f"{who} may sign for no product: {reasons}.", True
