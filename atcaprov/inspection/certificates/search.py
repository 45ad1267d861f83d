"""Find all certificates on a chip, in every layout that is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from atcaprov.inspection.certificates import arduino, cert2certdef, microchip, nerves_key, plain_x509
from atcaprov.inspection.certificates.found import FoundCertificate, FoundChain
from atcaprov.inspection.snapshot import ChipSnapshot


def found_chains(chip: ChipSnapshot, issuers: Sequence[bytes] = ()) -> list[FoundChain]:
    """Return the chains on a chip, each up to where its issuers are known.

    `issuers` are certificates (DER) that the chip does not hold: they tell names, and complete the chains. Chains whose
    definitions are not public are found by `defined_chain`.
    """
    found = list(_found(chip, issuers))
    pool = [chain.device for chain in found] + [FoundCertificate(der, ()) for der in issuers]
    own = [chain for chain in found if not _only_issues(chain, found)]
    return [_completed(chain, pool) for chain in own]


def _found(chip: ChipSnapshot, issuers: Sequence[bytes]) -> Iterator[FoundChain]:
    yield from microchip.find(chip)
    yield from nerves_key.find(chip)
    yield from cert2certdef.find(chip, issuers)
    yield from arduino.find(chip)
    yield from plain_x509.find(chip)


def _only_issues(chain: FoundChain, chains: Sequence[FoundChain]) -> bool:
    """Tell whether a certificate is for none of the chip's keys, and the issuer of another one on the chip."""
    others = [other for other in chains if other is not chain]
    return chain.key_slot is None and any(chain.device.issued(other.device) for other in others)


def completed(chain: FoundChain, issuers: Sequence[bytes]) -> FoundChain:
    """Return the chain with its further issuers out of certificates (DER) that were given, without a root."""
    return _completed(chain, [FoundCertificate(der, ()) for der in issuers])


def _completed(chain: FoundChain, pool: Sequence[FoundCertificate]) -> FoundChain:
    certificates = list(chain.certificates)
    while True:
        last = certificates[-1]
        issuer = next((each for each in pool if each.issued(last) and not each.issued(each)), None)
        if issuer is None or any(each.der == issuer.der for each in certificates):
            return replace(chain, certificates=tuple(certificates))
        certificates.append(issuer)
