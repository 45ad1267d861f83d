"""Lists are kept up to date: when the next one is ordered, what a module's quota costs, what is said."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from atcaprov import Code, ServerRejected
from atcaprov.certs.descriptions.description import CertificateDescription, default_text
from provisioning_server.ledger.administration import CrlIssued
from provisioning_server.revocation.crl_keeper import COMPARE, RETRY, CrlKeeper
from provisioning_server.revocation.published_crls import PublishedCrls
from provisioning_server.revocation.schedule import QUOTA_PAUSE, lists_per_year, renew_at
from tests.support.crl_server import CountingModule, CrlServer
from tests.support.in_memory_signer import NOW, MemorySigner

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "revocation.md"


class Kept:
    """A server whose lists are kept up to date when the test says so."""

    def __init__(self, folder: Path, signer: MemorySigner, *, from_quota: bool = False) -> None:
        self.signer = signer
        self.server = CrlServer(folder / "data", signer)
        self.published = PublishedCrls(folder / "crls")
        self.fails = False
        self.tries = 0
        self.keeper = CrlKeeper(
            self.server.registry,
            self.server.ledger,
            self.published,
            self.order,
            self.server.log,
            lambda: self.server.now,
            validity=timedelta(days=7),
            from_quota=from_quota,
        )

    async def order(self, serial: bytes) -> CrlIssued:
        assert serial == self.signer.serial
        self.tries += 1
        if self.fails:
            raise ServerRejected("No.", code=Code.SERVER_BUSY)
        return self.server.publish(self.signer)

    def look(self, at: datetime | None = None) -> int:
        """Look twice, at a time; return how many lists the ledger has then."""
        self.server.now = at or self.server.now
        for _ in range(2):
            asyncio.run(self.keeper.look())
        return sum(isinstance(event, CrlIssued) for event in self.server.events())

    @property
    def said(self) -> str:
        return "\n".join(self.server.log.lines)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    found = Kept(tmp_path, MemorySigner())
    with closing(found.server.ledger):
        yield found


def test_a_signer_without_a_revocation_signs_nothing(kept: Kept) -> None:
    kept.server.certify(kept.signer, 1)
    assert kept.look() == 0


def test_a_list_follows_each_revocation_and_each_end(kept: Kept) -> None:
    first, second = kept.server.certify(kept.signer, 1), kept.server.certify(kept.signer, 2)
    kept.server.revoke(first)
    assert kept.look() == 1
    assert kept.look(NOW + timedelta(minutes=1)) == 1
    kept.server.revoke(second)
    assert kept.look() == 2
    due = renew_at(kept.server.now, kept.server.now + timedelta(days=7))
    assert kept.look(due - timedelta(minutes=1)) == 2
    assert kept.look(due) == 3
    assert kept.published.find(kept.signer.serial.hex().upper()) is not None


def test_a_list_that_fails_is_tried_again_after_a_pause(kept: Kept) -> None:
    kept.server.revoke(kept.server.certify(kept.signer, 1))
    kept.fails = True
    assert kept.look() == 0
    assert kept.look(NOW + COMPARE) == 0
    assert kept.tries == 1
    (warning,) = kept.keeper.warnings
    assert "its next list of revoked certificates cannot be signed: No." in warning
    kept.fails = False
    assert kept.look(NOW + RETRY) == 1
    assert kept.keeper.warnings == []


def test_a_module_is_warned_of_and_not_used(tmp_path: Path) -> None:
    kept = Kept(tmp_path, CountingModule())
    with closing(kept.server.ledger):
        kept.server.revoke(kept.server.certify(kept.signer, 1))
        assert kept.look() == 0
        assert kept.look(NOW + timedelta(hours=1)) == 0
        warning = "revoked certificates are on no list. 'provisioning-server crl publish' signs the next one."
        assert kept.said.count(f"{warning} It uses 1 of 1000 signatures.") == 1
        assert [warning in each for each in kept.keeper.warnings] == [True]
        kept.server.publish(kept.signer)
        assert kept.look() == 1
        assert kept.keeper.warnings == []
        assert kept.look(NOW + timedelta(days=7)) == 1
        assert kept.said.count("its list of revoked certificates ends on") == 1
        assert kept.look(NOW + timedelta(days=8)) == 1
        assert kept.said.count("its list of revoked certificates has ended on") == 1


def test_a_module_that_may_says_its_cost_and_signs_at_most_one_an_hour(tmp_path: Path) -> None:
    kept = Kept(tmp_path, CountingModule(), from_quota=True)
    with closing(kept.server.ledger):
        certificates = [kept.server.certify(kept.signer, number) for number in range(1, 4)]
        kept.server.revoke(certificates[0])
        assert kept.look() == 1
        assert kept.said.count("uses about 70 signatures of its quota a year") == 1
        kept.server.revoke(*certificates[1:])
        assert kept.look(NOW + timedelta(minutes=30)) == 1
        assert kept.look(NOW + QUOTA_PAUSE) == 2
        kept.server.check_tally(kept.signer)


def test_a_signer_that_is_away_is_named_when_its_list_ends(kept: Kept) -> None:
    kept.server.publish(kept.signer)
    kept.server.registry.remove(kept.signer)
    assert kept.look(NOW + timedelta(days=6)) == 1
    assert kept.said.count("The signer must be connected and unlocked.") == 1
    assert kept.look() == 1
    (warning,) = kept.keeper.warnings
    assert "The signer must be connected" in warning


def test_a_signer_that_cannot_sign_lists_is_left_alone(tmp_path: Path) -> None:
    text = default_text("signer").replace(', "crl_sign"', "")
    kept = Kept(tmp_path, MemorySigner(description=CertificateDescription.from_toml(text)))
    with closing(kept.server.ledger):
        kept.server.revoke(kept.server.certify(kept.signer, 1))
        assert kept.look() == 0
        assert kept.tries == 0


def test_lists_of_another_server_are_published_too(kept: Kept, tmp_path: Path) -> None:
    other = CrlServer(tmp_path / "data", kept.signer, name="b")
    with closing(other.ledger):
        issued = other.publish(kept.signer)
    kept.look()
    found = kept.published.find(kept.signer.serial.hex())
    assert found is not None
    assert found.der == issued.crl
    name = kept.signer.serial.hex().upper()
    assert (tmp_path / "crls" / f"{name}.crl").read_bytes() == issued.crl
    assert (tmp_path / "crls" / f"{name}.crl.pem").read_text().startswith("-----BEGIN X509 CRL-----")


def test_figures_of_the_page() -> None:
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert f"{lists_per_year(timedelta(days=7))} with `--crl-validity 7d`" in text
    assert f"{lists_per_year(timedelta(days=30))} with `30d`" in text
