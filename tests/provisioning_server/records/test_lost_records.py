"""Signing logs that are moved, removed, emptied or cut, while the server runs and between its starts: from outside."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from atcaprov import Code
from atcaprov.wire.messages import CertificatesReply, CertificatesRequest, ErrorReply, SignerRequest
from signer_module.on_files.signer_folder import SignerFolder
from tests.support.in_memory_signer import SigningKey
from tests.support.server import ServerProgram, WireClient, server_program
from tests.support.server_parts import config_zone
from tests.support.signer_folders import make_signer_folder

pytestmark = pytest.mark.slow

KEYS = [SigningKey().public_key for _ in range(4)]


@pytest.fixture
def signer(tmp_path: Path) -> SignerFolder:
    return make_signer_folder(tmp_path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def _chip(signer: SignerFolder, number: int, key: bytes | None = None) -> CertificatesRequest:
    return CertificatesRequest(config_zone(number), key or KEYS[number], signer.public_key)


def _issue(signer: SignerFolder, data: Path, *numbers: int) -> list[CertificatesReply]:
    with server_program("--signer", signer.path, "--data", data) as server, WireClient(server.address()) as client:
        replies = [client.ask(_chip(signer, number)) for number in numbers]
        assert server.stop() == 0
    assert all(isinstance(reply, CertificatesReply) for reply in replies)
    return [reply for reply in replies if isinstance(reply, CertificatesReply)]


def _refused_start(signer: SignerFolder, data: Path) -> ServerProgram:
    with server_program("--signer", signer.path, "--data", data) as server:
        assert server.finish() == 2
    assert "Traceback" not in server.errors
    return server


def _moved(log: Path) -> None:
    log.rename(log.with_suffix(".tsv.1"))


def _replaced_by_a_copy(log: Path) -> None:
    shutil.copy(log, log.with_suffix(".copy"))
    log.with_suffix(".copy").replace(log)


def _emptied(log: Path) -> None:
    log.write_bytes(b"")


def _folder_moved(log: Path) -> None:
    log.parent.rename(log.parent.with_name("logs.old"))


@pytest.mark.parametrize("change", [_moved, Path.unlink, _replaced_by_a_copy, _emptied, _folder_moved])
@pytest.mark.parametrize("which", ["of this start", "of an earlier start"])
def test_a_log_that_changes_while_the_server_runs_ends_issuing(
    signer: SignerFolder, data: Path, change: Callable[[Path], None], which: str
) -> None:
    if which == "of an earlier start":
        _issue(signer, data, 3)
    with server_program("--signer", signer.path, "--data", data) as server, WireClient(server.address()) as client:
        logs = sorted((data / "logs").glob("signing-*.tsv"))
        assert isinstance(client.ask(_chip(signer, 1)), CertificatesReply)
        change(logs[0])
        offer = client.ask(SignerRequest(signer.public_key))
        issued = client.ask(_chip(signer, 2))
        assert isinstance(offer, ErrorReply)  # so that no board's configuration is locked
        assert isinstance(issued, ErrorReply)
        assert (offer.code, issued.code) == (Code.RECORDS_FAILED, Code.RECORDS_FAILED)
        assert not list((data / "certs").glob(f"{config_zone(2)[8:13].hex()}*"))
        assert server.stop() == 0
    assert any(f"signing log {logs[0]} was moved, removed or changed" in line for line in server.lines)


def test_a_log_that_was_moved_and_put_back_is_the_record_again(signer: SignerFolder, data: Path) -> None:
    """As the message says."""
    with server_program("--signer", signer.path, "--data", data) as server, WireClient(server.address()) as client:
        first = client.ask(_chip(signer, 1))
        (log,) = (data / "logs").glob("signing-*.tsv")
        _moved(log)
        refused = client.ask(_chip(signer, 2))
        assert isinstance(refused, ErrorReply)
        assert "Put it back as it was, then start the server again" in refused.message
        assert server.stop() == 0
    log.with_suffix(".tsv.1").rename(log)
    assert _issue(signer, data, 1) == [first]


def _lost(log: Path) -> None:
    log.rename(log.parents[2] / "elsewhere")


def _last_line_lost(log: Path) -> None:
    shutil.copy(log, log.parents[2] / "elsewhere")
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))


def _last_line_cut(log: Path) -> None:
    shutil.copy(log, log.parents[2] / "elsewhere")
    log.write_bytes(log.read_bytes()[:-1])


@pytest.mark.parametrize("loss", [_lost, _last_line_lost, _last_line_cut])
def test_a_record_that_was_lost_between_two_starts_refuses_the_start(
    signer: SignerFolder, data: Path, tmp_path: Path, loss: Callable[[Path], None]
) -> None:
    first, second = _issue(signer, data, 1, 2)
    (log,) = (data / "logs").glob("signing-*.tsv")
    loss(log)
    server = _refused_start(signer, data)
    assert f"[{Code.RECORD_MISSING}]" in server.errors
    assert re.search(r"0123000000000002EE|0123000000000001EE", server.errors)
    assert f"Put the signing logs back into {data / 'logs'}" in " ".join(server.errors.split())
    (tmp_path / "elsewhere").replace(log)
    assert _issue(signer, data, 1, 2) == [first, second]


def test_permanently_lost_records_can_be_given_up(signer: SignerFolder, data: Path) -> None:
    """By the other advice of the message: the certificates that have a record are made again."""
    _issue(signer, data, 1)
    _issue(signer, data, 2)
    sorted((data / "logs").glob("signing-*.tsv"))[0].unlink()
    assert "rename the folder certs" in " ".join(_refused_start(signer, data).errors.split())
    (data / "certs").rename(data / "certs.lost")
    _issue(signer, data, 2)
    assert sorted(path.name for path in (data / "certs").iterdir()) == [
        "0123000000000002EE_device.pem",
        "0123000000000002EE_signer.pem",
    ]


def test_a_second_server_is_kept_out_though_the_lock_file_was_deleted(signer: SignerFolder, data: Path) -> None:
    with server_program("--signer", signer.path, "--data", data) as server:
        server.address()
        (data / "lock").unlink()
        second = _refused_start(signer, data)
        assert "Another Provisioning Server uses the data folder" in second.errors
