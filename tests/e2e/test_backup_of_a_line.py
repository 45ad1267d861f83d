"""A backup of a server that issues, with all that people have decided in it, becomes another server's ledger."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from atcaprov.wire.messages import CertificatesReply, ErrorReply
from provisioning_server.cli import command
from provisioning_server.control.client import run_command
from provisioning_server.ledger.open_ledger import FILE_NAME, open_for_reading
from tests.support.in_memory_signer import MemorySigner
from tests.support.late_files import arrived
from tests.support.networks import TlsWireClient, admitted_station
from tests.support.programs import Ended, run_in_process
from tests.support.server import running_server
from tests.support.server_parts import chip_serial, request

pytestmark = pytest.mark.slow


def run(data: Path, *words: object) -> Ended:
    ended = run_in_process(command, "--data", str(data), *map(str, words))
    assert ended.code == 0, ended.err
    return ended


def administered(data: Path) -> list[object]:
    with contextlib.closing(open_for_reading(data / FILE_NAME)) as ledger:
        tables, size = ledger.administered, ledger.head().size
        return [
            tables.stations(),
            tables.orders(),
            list(tables.newest_crls()),
            ledger.entries(0, size),
            ledger.log_key(),
        ]


def test_stations_orders_revocations_and_lists_are_there_again(tmp_path: Path) -> None:
    signer, data, new = MemorySigner(), tmp_path / "data", tmp_path / "new"
    context = admitted_station(data, tmp_path / "station").tls_context()
    name = f"{signer.serial.hex().upper()}.crl.pem"
    with running_server(signer, data, tls=True) as address, TlsWireClient(address, context) as client:
        for number in (1, 2):
            assert isinstance(client.ask(request(signer, number)), CertificatesReply)
        run_command(data, "order-open", {"order": "A-1", "count": 5, "stations": [], "by": "test"})
        run(data, "revoke", "--chip", chip_serial(1).hex(), "--reason", "keyCompromise", "--yes")
        crl = arrived(data / "crls" / name).read_bytes()
        left_out = run(data, "ledger", "backup", tmp_path / "left-out")
        run(data, "ledger", "backup", tmp_path / "backups", "--with-log-key", "--with-station-ca")
    assert "keep a copy of stations/station-ca.pem in another place" in left_out.err
    (lacking,), (backup,) = (tmp_path / "left-out").iterdir(), (tmp_path / "backups").iterdir()
    told = run(tmp_path / "lacking", "ledger", "restore", lacking)
    assert f"Put your copy of station-ca.pem into {tmp_path / 'lacking' / 'stations'} before" in told.err
    assert run(new, "ledger", "restore", backup).err == ""
    assert administered(new) == administered(data)
    stations, orders, lists, *_ = administered(new)
    assert all((stations, orders, lists))
    with running_server(signer, new, tls=True) as address, TlsWireClient(address, context) as client:
        assert arrived(new / "crls" / name).read_bytes() == crl
        refused = client.ask(request(signer, 1))
        assert isinstance(refused, ErrorReply)
        assert refused.code == "certificate-revoked"
        assert isinstance(client.ask(request(signer, 3)), CertificatesReply)
