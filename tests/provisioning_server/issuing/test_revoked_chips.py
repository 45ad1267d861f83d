"""A chip whose certificate was revoked asks again: refused before stage 1 too, unless the reason was superseded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from atcaprov.wire.messages import CertificatesReply, CertificatesRequest, SignerReply, SignerRequest
from provisioning_server import rejections
from provisioning_server.issuing.requests import ClientRequest, Reply
from provisioning_server.revocation.reasons import Reason
from tests.support.crl_server import CrlServer
from tests.support.in_memory_signer import MemorySigner
from tests.support.server_parts import OTHER_KEY, chip_serial, request

FINAL = [reason for reason in Reason if reason is not Reason.SUPERSEDED]


class Chip:
    """Chip 1, its signer and the server; it has a certificate."""

    def __init__(self, data: Path) -> None:
        self.signer = MemorySigner()
        self.server = CrlServer(data, self.signer)
        self.first = self.server.certify(self.signer, 1)

    def ask(self, asked: CertificatesRequest | SignerRequest) -> Reply:
        replies: list[Reply] = []
        self.server.step(ClientRequest(asked, deliver=replies.append))
        self.server.finish()
        return replies[0]

    def offer(self) -> Reply:
        return self.ask(SignerRequest(self.signer.documents.signer_public_key, chip_serial=chip_serial(1)))


@pytest.fixture
def chip(tmp_path: Path) -> Iterator[Chip]:
    found = Chip(tmp_path)
    with closing(found.server.ledger):
        yield found


@pytest.mark.parametrize("reason", FINAL)
@pytest.mark.parametrize("existing_only", [False, True])
def test_it_gets_neither_that_certificate_nor_another(chip: Chip, reason: Reason, existing_only: bool) -> None:
    chip.server.revoke(chip.first, reason=str(reason))
    for key in (None, OTHER_KEY):
        asked = request(chip.signer, key=key, existing_only=existing_only)
        assert chip.ask(asked) == rejections.CERTIFICATE_REVOKED
    assert chip.offer() == rejections.CERTIFICATE_REVOKED
    assert chip.signer.signatures == 1


@pytest.mark.parametrize("key", [None, OTHER_KEY], ids=["same key", "other key"])
def test_superseded_it_gets_another_one_which_is_sent_again_from_then_on(chip: Chip, key: bytes | None) -> None:
    chip.server.revoke(chip.first, reason="superseded")
    offer = chip.offer()
    assert isinstance(offer, SignerReply)
    assert not offer.new_key_refused
    replies = [chip.ask(request(chip.signer, key=key)) for _ in range(2)]
    certificates = {reply.device_certificate for reply in replies if isinstance(reply, CertificatesReply)}
    assert len(certificates) == 1
    assert chip.signer.signatures == 2
    assert len(chip.server.ledger.known([chip_serial(1)], []).of_chip(chip_serial(1))) == 2


def test_superseded_its_key_still_belongs_to_it(chip: Chip) -> None:
    chip.server.revoke(chip.first, reason="superseded")
    assert chip.ask(request(chip.signer, 2, key=request(chip.signer).public_key)) == rejections.OTHER_CHIP


def test_the_newest_certificate_counts(chip: Chip) -> None:
    chip.server.revoke(chip.first, reason="superseded")
    chip.ask(request(chip.signer, key=OTHER_KEY))
    second = chip.server.ledger.known([chip_serial(1)], []).of_chip(chip_serial(1))[-1]
    chip.server.revoke(second, reason="keyCompromise")
    for key in (None, OTHER_KEY):
        assert chip.ask(request(chip.signer, key=key)) == rejections.CERTIFICATE_REVOKED


def test_other_chips_are_not_touched(chip: Chip) -> None:
    chip.server.revoke(chip.first)
    assert isinstance(chip.ask(request(chip.signer, 2)), CertificatesReply)
