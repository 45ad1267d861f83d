"""What a station may ask for itself, without a person who decides."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from atcaprov import Code, ServerRejected
from provisioning_server.ledger.administer import administer
from provisioning_server.ledger.administration import StationAdmitted
from provisioning_server.stations.station_ca import StationCa
from provisioning_server.stations.station_rules import RENEWALS_A_DAY, Admitting
from tests.support.ledgers import ledger_in
from tests.support.stations import new_key

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def test_station_that_renews_without_end_is_stopped_for_a_day(tmp_path: Path) -> None:
    """Each renewal stays in the ledger: a stolen station must not fill it."""
    ca = StationCa.open(tmp_path, NOW)
    with contextlib.closing(ledger_in(tmp_path)) as ledger:
        first = ca.certify_station("line-1", new_key().public_key(), NOW)
        administer(ledger, lambda _: [StationAdmitted(NOW, "line-1", first)])

        def renew(at: datetime) -> None:
            admitting = Admitting(ca, new_key().public_key(), at, "192.0.2.7:40001")
            administer(ledger, lambda _: admitting.renewed(ledger.administered, "line-1"))

        for _ in range(RENEWALS_A_DAY):
            renew(NOW)
        with pytest.raises(ServerRejected) as refused:
            renew(NOW + timedelta(hours=23))
        assert refused.value.code == Code.SERVER_BUSY
        renew(NOW + timedelta(hours=25))
