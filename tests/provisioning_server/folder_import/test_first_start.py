"""The first start of a server with the data folder of an older version, from outside."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from atcaprov.wire.messages import CertificatesReply, CertificatesRequest
from provisioning_server.issuing.issuance import issue
from provisioning_server.signers.software import SoftwareSigner
from signer_module.on_files.signer_folder import SignerFolder
from tests.support.in_memory_signer import SigningKey
from tests.support.old_data_folder import write_old_folder
from tests.support.server import WireClient, server_program
from tests.support.server_parts import chip_serial, config_zone
from tests.support.signer_folders import make_signer_folder

pytestmark = pytest.mark.slow

KEYS = {number: SigningKey().public_key for number in (1, 2, 3)}


@pytest.fixture
def signer(tmp_path: Path) -> SignerFolder:
    return make_signer_folder(tmp_path)


def old_folder(signer: SignerFolder, data: Path) -> list[bytes]:
    """Write the folder of a server that has issued for chips 1 and 2; return their certificates."""
    software = SoftwareSigner.load(signer.path)
    software.unlock(None)
    records = [issue(software, KEYS[number], chip_serial(number), datetime.now(UTC)) for number in (1, 2)]
    write_old_folder(data, [software], records)
    return [record.certificate for record in records]


def certificate(client: WireClient, signer: SignerFolder, number: int) -> bytes:
    reply = client.ask(CertificatesRequest(config_zone(number), KEYS[number], signer.public_key))
    assert isinstance(reply, CertificatesReply), reply
    return reply.device_certificate


def test_chips_get_the_certificates_that_the_older_version_issued(signer: SignerFolder, tmp_path: Path) -> None:
    data = tmp_path / "data"
    issued = old_folder(signer, data)
    old_logs = {path: path.read_bytes() for path in (data / "logs").glob("signing-*.tsv")}
    for start in range(2):
        with server_program("--signer", signer.path, "--data", data) as server:
            with WireClient(server.address()) as client:
                assert [certificate(client, signer, number) for number in (1, 2)] == issued
                certificate(client, signer, 3)
            assert server.stop() == 0
        imported = [line for line in server.lines if "were imported" in line]
        assert len(imported) == (start == 0)
    assert {path: path.read_bytes() for path in old_logs} == old_logs
    lines = [line for path in (data / "logs").glob("signing-*.tsv") for line in path.read_text().splitlines()]
    assert sum("\t" in line and not line.startswith("time") for line in lines) == 3, "each certificate has one line"
    assert len(list((data / "certs").glob("*_device.pem"))) == 3


def test_damaged_log_stops_the_first_start_and_is_named(signer: SignerFolder, tmp_path: Path) -> None:
    data = tmp_path / "data"
    old_folder(signer, data)
    (log,) = (data / "logs").glob("signing-*.tsv")
    log.write_bytes(log.read_bytes().replace(b"2EE\t", b"9EE\t"))
    with server_program("--signer", signer.path, "--data", data) as server:
        assert server.finish() == 2
    assert f"Line 3 of the signing log {log} is damaged." in " ".join(server.errors.split())
    assert not (data / "ledger.sqlite3").exists()
