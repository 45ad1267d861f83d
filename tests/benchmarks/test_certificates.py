"""Issuing without a server: how much a certificate costs beside the signature operations that it contains."""

from __future__ import annotations

import time
from collections.abc import Callable

from atcaprov.certs import keys
from atcaprov.certs.issue import issue
from tests.benchmarks.report import Figure, report
from tests.support.certificates import CHIP_SERIAL, HOUR, SIGNER, SIGNER_ID, Key, default_definitions

UNITS = 1000
ROUNDS = 5


def _per_cpu_second(action: Callable[[], None]) -> float:
    """Return how many actions fit into a second of processor time; the best of the rounds counts."""
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time()
        action()
        best = min(best, time.process_time() - start)
    return UNITS / best


def test_issue() -> None:
    definition = default_definitions()[1]
    public_keys = [Key.of(number).public for number in range(1, UNITS + 1)]
    signature = SIGNER.sign(bytes(32))

    def certificates() -> None:
        for public_key in public_keys:
            issue(
                definition,
                subject_public_key=public_key,
                ca_public_key=SIGNER.public,
                signer_id=SIGNER_ID,
                issue_date=HOUR,
                chip_serial=CHIP_SERIAL,
                sign=SIGNER.sign,
            )

    def operations() -> None:
        for public_key in public_keys:
            keys.load_public_key(public_key)
            SIGNER.sign(bytes(32))
            assert keys.verify_digest(SIGNER.public, bytes(32), signature)

    note = "one certificate: on-curve check, sign, verify, pack, rebuild, compare; best of 5 rounds"
    report(
        Figure("certs.issued_per_cpu_s", _per_cpu_second(certificates), "1/s", note),
        Figure("certs.operations_per_cpu_s", _per_cpu_second(operations), "1/s", "only its three key operations"),
    )
