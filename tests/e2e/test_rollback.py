"""A data folder that was copied and put back: noticed by modules, by stations and by the server's own file.

Each test issues, restores an older copy, sees that nothing is signed, accepts with a reason, and goes on.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from atcaprov import Code, Device
from atcaprov.wire.messages import AnyMessage, CertificatesReply, ErrorReply, SignerReply, SignerRequest
from provisioning_client.cli import command as provisioning_client
from provisioning_server.cli import command as provisioning_server
from provisioning_server.ledger.open_ledger import FILE_NAME, open_for_reading
from provisioning_server.signers.module import PluggedModule
from signer_module.on_chip.module import SignerModule
from tests.support.programs import Ended, run_in_process
from tests.support.server import ServerAddress, WireClient, running_server
from tests.support.server_parts import request
from tests.support.signer_folders import make_signer_folder
from tests.support.signer_modules import copy_of, hal_of, open_order, root_folder, signer_module

pytestmark = pytest.mark.slow
ALARMS = {
    Code.SERVER_BEHIND, Code.LEDGER_BEHIND, Code.LEDGER_FORKED, Code.LEDGER_ROLLED_BACK, Code.CHECKPOINT_MISSING,
}  # fmt: skip


@dataclass
class Restored:
    """A data folder and a copy of it."""

    data: Path
    copy: Path

    def save(self) -> None:
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(self.data, self.copy)

    def restore(self) -> None:
        """Put the whole folder back, as when a virtual machine is restored."""
        shutil.rmtree(self.data)
        shutil.copytree(self.copy, self.data)

    def restore_database(self) -> None:
        """Put the ledger back alone, under a newer folder."""
        for path in self.data.glob(f"{FILE_NAME}*"):
            path.unlink()
        shutil.copy(self.copy / FILE_NAME, self.data / FILE_NAME)

    def accept(self, *words: str) -> Ended:
        where = ("--data", str(self.data), "--reason", "machine restored from last night's backup")
        done = run_in_process(provisioning_server, "ledger", "accept-rollback", *words, *where)
        assert done.code == 0, done
        return done

    def entries(self, kind: str) -> list[dict[str, object]]:
        """Return the entries of a kind that an audit of the log finds, after it found nothing wrong."""
        out = self.data.with_name("exported")
        shutil.rmtree(out, ignore_errors=True)
        for words in (("audit", "verify"), ("audit", "export", str(out))):
            done = run_in_process(provisioning_server, *words, "--data", str(self.data))
            assert done.code == 0, done
        found = run_in_process(provisioning_server, "ledger", "show", "--json", "--data", str(self.data))
        assert found.code == 0, found
        ledger = open_for_reading(self.data / FILE_NAME)
        entries = [json.loads(entry.body) for entry in ledger.entries(0, 10_000)]
        ledger.close()
        return [entry for entry in entries if entry["kind"] == kind]


@pytest.fixture
def folder(tmp_path: Path) -> Restored:
    return Restored(tmp_path / "data", tmp_path / "copy")


@pytest.fixture
def module(tmp_path: Path) -> Iterator[SignerModule]:
    with signer_module(root_folder(tmp_path / "root"), open_order(100)) as made:
        yield made


def ask(address: ServerAddress, *messages: AnyMessage) -> list[AnyMessage]:
    with WireClient(address) as client:
        return [client.ask(message) for message in messages]


def plugged(module: SignerModule) -> PluggedModule:
    """Return the module as a server finds it when it starts: its counter is read."""
    return PluggedModule(SignerModule.on(Device(hal_of(module))))


def offer_of(module: PluggedModule) -> SignerRequest:
    return SignerRequest(module.documents.signer_public_key)


def test_module_notices_a_restored_folder(folder: Restored, module: SignerModule) -> None:
    signer = plugged(module)
    with running_server(signer, folder.data) as address:
        assert all(isinstance(reply, CertificatesReply) for reply in ask(address, request(signer, 1)))
    folder.save()
    signer = plugged(module)
    with running_server(signer, folder.data) as address:
        before, later = ask(address, request(signer, 1), request(signer, 2))
        assert isinstance(later, CertificatesReply)
    folder.restore()
    for _ in range(2):
        signer = plugged(module)
        with running_server(signer, folder.data) as address:
            offered, new, stored = ask(address, offer_of(signer), request(signer, 3), request(signer, 1))
            for refused in (offered, new):
                assert isinstance(refused, ErrorReply)
                assert refused.code == Code.LEDGER_BEHIND
            assert isinstance(before, CertificatesReply)
            assert isinstance(stored, CertificatesReply), "what the ledger has is sent again"
            assert stored.device_certificate == before.device_certificate
    done = folder.accept("--signer", signer.serial.hex())
    assert "1 signature of" in done.out
    signer = plugged(module)
    with running_server(signer, folder.data) as address:
        offered, new = ask(address, offer_of(signer), request(signer, 3))
        assert isinstance(offered, SignerReply)
        assert b"/2\n" in offered.checkpoint, "the second epoch"
        assert isinstance(new, CertificatesReply)
    (entry,) = folder.entries("rollback-accepted")
    assert entry["missing"] == 1
    assert entry["reason"] == "machine restored from last night's backup"


def test_module_that_lost_an_answer_is_no_alarm(folder: Restored, module: SignerModule) -> None:
    """The signature was made, the module was gone before it was read, and the server goes on after a restart."""
    hal = hal_of(module)
    signer = plugged(module)
    with running_server(signer, folder.data) as address:
        hal.answer = lambda packet: (
            b"" if packet[1] == 0x41 and hal.chip.exchange(packet) else hal.chip.exchange(packet)
        )
        (refused,) = ask(address, request(signer, 1))
        assert isinstance(refused, ErrorReply)
    hal.answer = None
    signer = plugged(module)
    assert signer.counter is not None
    assert signer.counter.used == 1
    with running_server(signer, folder.data) as address:
        (reply,) = ask(address, request(signer, 1))
        assert isinstance(reply, CertificatesReply), reply
    (settled,) = folder.entries("losses-settled")
    assert (settled["losses"], settled["signatures"]) == (1, 1)
    assert signer.counter.used == 2


def test_module_with_fewer_signatures_than_the_ledger_is_refused(folder: Restored, module: SignerModule) -> None:
    unused = copy_of(hal_of(module))
    signer = plugged(module)
    with running_server(signer, folder.data) as address:
        ask(address, request(signer, 1), request(signer, 2))
    forged = PluggedModule(SignerModule.on(Device(unused)))
    with running_server(forged, folder.data) as address:
        (refused,) = ask(address, offer_of(forged))
        assert isinstance(refused, ErrorReply)
        assert refused.code == Code.COUNTER_BEHIND


def provision(tmp_path: Path, address: ServerAddress, *words: object) -> Ended:
    certinfo = tmp_path / "signer" / "atcaprov_cert_info_0.c"
    options = ("--certinfo", certinfo, "--host", address.host, "--port", address.port, "--auto", "--json")
    kept = ("--checkpoints", tmp_path / "checkpoints", "--reports", tmp_path / "reports")
    return run_in_process(provisioning_client, *map(str, (*options, *kept, *words, "--device", "emulator:")))


def codes(ended: Ended) -> list[str]:
    events = [json.loads(line) for line in ended.out.splitlines()]
    return [str(event["code"]) for event in events if event.get("code")]


def test_station_notices_a_restored_folder(folder: Restored, tmp_path: Path) -> None:
    make_signer_folder(tmp_path)
    signer = tmp_path / "signer"
    with running_server(signer, folder.data) as address:
        assert provision(tmp_path, address).code == 0
    folder.save()
    (certificate,) = (folder.data / "certs").glob("*_device.pem")
    record = tmp_path / "birth.json"
    words = ("--certificate", str(certificate), "--data", str(folder.data), "--output", str(record))
    assert run_in_process(provisioning_server, "audit", "proof", *words).code == 0
    with running_server(signer, folder.data) as address:
        assert provision(tmp_path, address, "--count", 2).code == 0
    folder.restore()
    with running_server(signer, folder.data) as address:
        refused = provision(tmp_path, address)
        assert refused.code == 7, refused
        assert Code.SERVER_BEHIND in codes(refused)
        assert "Waiting for board" not in refused.out, "no board is asked for"
        again = provision(tmp_path, address)
        assert Code.LEDGER_BEHIND in codes(again), "the server was shown the checkpoint, and stops as well"
    with running_server(signer, folder.data) as address:
        other_station = tmp_path / "other"
        other_station.mkdir()
        shutil.copytree(signer, other_station / "signer")
        assert Code.LEDGER_BEHIND in codes(provision(other_station, address)), "also after a restart, for every station"
    folder.accept()
    with running_server(signer, folder.data) as address:
        first = provision(tmp_path, address)
        assert first.code == 0, first
        assert Code.LEDGER_ROLLED_BACK in codes(first)
        second = provision(tmp_path, address)
        assert second.code == 0, second
        assert Code.LEDGER_ROLLED_BACK not in codes(second)
    (entry,) = folder.entries("rollback-accepted")
    assert entry["checkpoint"]
    verified = run_in_process(provisioning_server, "audit", "verify", str(record))
    assert verified.code == 0, "the birth record of the first epoch"


def test_restarted_server_is_no_alarm(folder: Restored, tmp_path: Path) -> None:
    make_signer_folder(tmp_path)
    for _ in range(3):
        with running_server(tmp_path / "signer", folder.data) as address:
            done = provision(tmp_path, address)
            assert done.code == 0, done
            assert ALARMS.isdisjoint(codes(done))


def test_own_file_notices_an_older_database(folder: Restored, tmp_path: Path) -> None:
    make_signer_folder(tmp_path)
    signer = tmp_path / "signer"
    with running_server(signer, folder.data) as address:
        assert provision(tmp_path, address).code == 0
    folder.save()
    with running_server(signer, folder.data) as address:
        assert provision(tmp_path, address).code == 0
    folder.restore_database()
    shutil.rmtree(folder.data / "logs")
    shutil.rmtree(folder.data / "certs")
    with running_server(signer, folder.data) as address:
        other_station = tmp_path / "other"
        other_station.mkdir()
        shutil.copytree(signer, other_station / "signer")
        assert Code.LEDGER_BEHIND in codes(provision(other_station, address))
    folder.accept()
    with running_server(signer, folder.data) as address:
        assert provision(tmp_path, address).code == 0


def test_signing_logs_notice_an_older_database(folder: Restored, tmp_path: Path) -> None:
    make_signer_folder(tmp_path)
    signer = tmp_path / "signer"
    with running_server(signer, folder.data) as address:
        assert provision(tmp_path, address).code == 0
    folder.save()
    with running_server(signer, folder.data) as address:
        assert provision(tmp_path, address).code == 0
    folder.restore_database()
    (folder.data / "checkpoint").unlink()
    with pytest.raises(Exception, match="older than the signing logs"), running_server(signer, folder.data):
        pass
    folder.accept()
    with running_server(signer, folder.data) as address:
        assert provision(tmp_path, address).code == 0
