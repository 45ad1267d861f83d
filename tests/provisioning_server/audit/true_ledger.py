"""Events of a ledger that are all true: certificates that verify, proofs that the chips made."""

from __future__ import annotations

import functools
import hashlib
from datetime import timedelta
from typing import Final

from atcaprov.certs.possession_proof import possession_digest
from provisioning_server.issuing.issuance import issue
from provisioning_server.ledger.changes import Changes, Event, Issued, Reported, StageOutcome
from provisioning_server.ledger.store import Ledger
from tests.support.in_memory_signer import NOW, MemorySigner, SigningKey
from tests.support.server_parts import chip_serial

SIGNER: Final = MemorySigner()
CONTENTS: Final = hashlib.sha256(b"what was read back").digest()


@functools.cache
def chip_key(number: int) -> SigningKey:
    return SigningKey()


def challenge_of(number: int) -> bytes:
    return hashlib.sha256(b"challenge %d" % number).digest()


@functools.cache
def certificate(chip: int, key: int | None = None, signer: MemorySigner = SIGNER, seconds: int = 0) -> Issued:
    """Return the certificate of a chip; the same each time."""
    public_key = chip_key(chip if key is None else key).public_key
    record = issue(signer, public_key, chip_serial(chip), NOW + timedelta(seconds=seconds))
    return Issued(record, challenge_of(chip))


def report(index: int, issued: Issued, chip: int, *, fate: str = "good", challenge: bytes | None = None) -> Reported:
    """Return the report of a chip whose certificate is at an index, with its proof."""
    challenge = challenge or issued.challenge
    digest = possession_digest(challenge, hashlib.sha256(issued.record.certificate).digest(), CONTENTS)
    return Reported(
        certificate_index=index,
        chip_serial=issued.record.chip_serial,
        challenge=challenge,
        signature=chip_key(chip).sign(digest),
        contents=CONTENTS,
        fate=fate,
        code="",
        stages=(StageOutcome(10, "done", 250),),
        finished=NOW,
        received=NOW,
    )


def write(ledger: Ledger, *events: Event, signers: tuple[MemorySigner, ...] = (SIGNER,)) -> None:
    """Write one step."""
    ledger.commit(Changes(documents=[signer.documents for signer in signers], events=list(events)))


def fill(ledger: Ledger, chips: int, *, first: int = 1) -> None:
    """Certify chips, and let each of them report right after its certificate."""
    for chip in range(first, first + chips):
        issued = certificate(chip)
        write(ledger, issued)
        write(ledger, report(ledger.head().size - 1, issued, chip))
