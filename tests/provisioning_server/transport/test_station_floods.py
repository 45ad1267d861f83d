"""Stations with TLS on a real server: one floods it, the other works on."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from atcaprov import Code
from atcaprov.wire.messages import CertificatesReply, CertificatesRequest, ErrorReply
from provisioning_server.orders.rate_limits import RequestRates
from provisioning_server.orders.rates import Rate
from provisioning_server.transport.limits import ConnectionLimits
from tests.support.in_memory_signer import MemorySigner
from tests.support.networks import TlsWireClient, admitted_station
from tests.support.server import PATIENCE, running_server
from tests.support.server_parts import config_zone, key_of

FLOODING = 8
RATE = 20


@pytest.mark.slow
def test_flood_by_one_station_with_tls_holds_up_no_other(tmp_path: Path) -> None:
    """On several connections the flood gets what its rate allows, and the other station everything it asks for."""
    flood, calm = (admitted_station(tmp_path / "data", tmp_path / name, name) for name in ("flood", "calm"))
    signer = MemorySigner()
    rates = RequestRates(Rate(RATE, 3600), Rate(10 * RATE, 3600))
    over = threading.Event()
    replies: list[list[object]] = [[] for _ in range(FLOODING)]

    def attack(number: int) -> None:
        with TlsWireClient(address, flood.tls_context()) as wire:
            chip = 1000 * (number + 1)
            while not over.is_set():
                chip += 1
                replies[number].append(wire.ask(_request(signer, chip)))

    options = {"tls": True, "rates": rates, "limits": ConnectionLimits(refusal_seconds=0.001)}
    with running_server(signer, tmp_path / "data", **options) as address:
        attackers = [threading.Thread(target=attack, args=(number,)) for number in range(FLOODING)]
        for attacker in attackers:
            attacker.start()
        with TlsWireClient(address, calm.tls_context()) as wire:
            issued = [wire.ask(_request(signer, chip)) for chip in range(1, RATE + 1)]
        over.set()
        for attacker in attackers:
            attacker.join(PATIENCE)
    assert all(isinstance(reply, CertificatesReply) for reply in issued)
    got = [reply for some in replies for reply in some]
    assert sum(isinstance(reply, CertificatesReply) for reply in got) <= RATE
    refused = [reply for reply in got if isinstance(reply, ErrorReply)]
    assert {(reply.code, reply.retryable) for reply in refused} <= {(Code.SERVER_BUSY, True)}
    assert all(reply.retry_after for reply in refused)
    assert signer.signatures == RATE + len(got) - len(refused)


def _request(signer: MemorySigner, chip: int) -> CertificatesRequest:
    return CertificatesRequest(config_zone(chip), key_of(chip), signer.documents.signer_public_key)
