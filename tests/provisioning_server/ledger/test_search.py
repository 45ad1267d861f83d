from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from provisioning_server.ledger import search
from provisioning_server.ledger.search import CertificateFilter, find_all
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from tests.provisioning_server.ledger.events import NOW, SIGNER, issued, public_key, reported, step
from tests.support.server_parts import chip_serial


@pytest.fixture
def filled(ledger: SqlLedger) -> SqlLedger:
    """Six certificates with the times 0 1 2 2 4 3: the clock was set back before the last one was made."""
    other = replace(issued(3, after=2).record, signer_serial=bytes(9), client="192.0.2.70:1024")
    step(
        ledger, issued(0), issued(1, after=1), issued(2, after=2), replace(issued(3), record=other), issued(4, after=4)
    )
    step(ledger, issued(1, key=7, after=3), reported(0, 0), reported(1, 1, signature=b"", fate="scrap"))
    return ledger


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (CertificateFilter(), [0, 1, 2, 3, 5, 4]),
        (CertificateFilter(chip_serial=chip_serial(1)), [1, 5]),
        (CertificateFilter(chip_serial=chip_serial(9)), []),
        (CertificateFilter(public_key=public_key(7)), [5]),
        (CertificateFilter(certificate_serial=issued(2).record.certificate_serial), [2]),
        (CertificateFilter(signer_serial=SIGNER.serial), [0, 1, 2, 5, 4]),
        (CertificateFilter(signer_serial=bytes(9)), [3]),
        (CertificateFilter(station="192.0.2.7"), [0, 1, 2, 5, 4]),
        (CertificateFilter(station="192.0.2.7:40312"), [0, 1, 2, 5, 4]),
        (CertificateFilter(station="192.0.2.70"), [3]),
        (CertificateFilter(station="192.0.2"), []),
        (CertificateFilter(station="%"), []),
        (CertificateFilter(since=NOW + timedelta(seconds=2)), [2, 3, 5, 4]),
        (CertificateFilter(until=NOW + timedelta(seconds=2)), [0, 1]),
        (CertificateFilter(since=NOW + timedelta(seconds=1), until=NOW + timedelta(seconds=3)), [1, 2, 3]),
        (CertificateFilter(proven=True), [0]),
        (CertificateFilter(proven=False), [1, 2, 3, 5, 4]),
        (CertificateFilter(fate="scrap"), [1]),
        (CertificateFilter(fate=""), [2, 3, 5, 4]),
        (CertificateFilter(chip_serial=chip_serial(1), since=NOW + timedelta(seconds=2)), [5]),
    ],
    ids=lambda value: "",  # the serial number of a signer is another one in each process
)
@pytest.mark.parametrize("page", [1, 2, 100])
def test_certificates_that_fit_are_found_oldest_first(
    filled: SqlLedger, wanted: CertificateFilter, found: list[int], page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "PAGE", page)
    assert [each.index for each in find_all(filled, wanted)] == found


def test_certificates_that_are_issued_meanwhile_do_not_disturb_a_search(
    filled: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "PAGE", 2)
    pages = find_all(filled, CertificateFilter())
    assert [next(pages).index, next(pages).index] == [0, 1]
    step(filled, issued(8), issued(9, after=9))
    assert [each.index for each in pages] == [2, 3, 5, 4, 9]
