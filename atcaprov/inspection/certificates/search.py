"""Find all certificates on a chip, in every layout that is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from atcaprov.inspection.certificates import arduino, cert2certdef, microchip, nerves_key, plain_x509
from atcaprov.inspection.certificates.found import FoundChain
from atcaprov.inspection.snapshot import ChipSnapshot


def found_chains(chip: ChipSnapshot, issuers: Sequence[bytes] = ()) -> list[FoundChain]:
    """Return the chains on a chip, those that are signed by a key beside them first.

    `issuers` are certificates (DER) of issuers that the chip does not hold: they tell names. Chains of our own need
    their definitions, see `defined`.
    """
    return list(_found(chip, issuers))


def _found(chip: ChipSnapshot, issuers: Sequence[bytes]) -> Iterator[FoundChain]:
    yield from microchip.find(chip)
    yield from nerves_key.find(chip)
    yield from cert2certdef.find(chip, issuers)
    yield from arduino.find(chip)
    yield from plain_x509.find(chip)
