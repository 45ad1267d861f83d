"""The server as a service: what it tells its manager, SIGHUP, and how it ends."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sys
import threading
from pathlib import Path

import pytest

from atcaprov import Code, UsageError
from atcaprov.wire.messages import CertificatesReply, ErrorReply
from provisioning_server.cli import command
from provisioning_server.control.client import NoServerError, run_command
from tests.support.in_memory_signer import MemorySigner
from tests.support.notified import notify_socket
from tests.support.programs import run_in_process
from tests.support.server import ServerAddress, WireClient, running_server, server_program
from tests.support.server_parts import request
from tests.support.signer_folders import make_signer_folder

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGHUP")]


def test_life_of_a_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signer = make_signer_folder(tmp_path)
    data = tmp_path / "data"
    with notify_socket(tmp_path) as heard:
        monkeypatch.setenv("NOTIFY_SOCKET", str(heard.path))
        monkeypatch.setenv("WATCHDOG_USEC", "90000000")
        with server_program("--signer", signer.path, "--data", data) as server:
            heard.wait_for("READY")
            address = server.address()
            heard.wait_for("WATCHDOG")
            assert heard.wait_for("STATUS")["STATUS"].startswith(("Ready", "Not ready: starting"))
            with WireClient(address):
                server.process.send_signal(signal.SIGHUP)
                assert list(heard.wait_for("RELOADING")) == ["RELOADING", "MONOTONIC_USEC"]
                heard.wait_for("READY")
                server.wait_for("Settings reloaded: nothing has changed.")
                told = run_in_process(command, "status", "--data", str(data), "--json")
                assert json.loads(told.out)["ready"] is True
            server.process.terminate()
            heard.wait_for("STOPPING")
            assert server.finish() == 0
    assert not (data / "control.json").exists()


class _WaitingSigner(MemorySigner):
    """A slow signer that signs when the test lets it."""

    slow = True

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.may_sign = threading.Event(), threading.Event()

    def sign(self, digest: bytes) -> bytes:
        self.begun.set()
        assert self.may_sign.wait(60)
        return super().sign(digest)


class _DrainCommand(threading.Thread):
    """Runs `provisioning-server drain` beside the test."""

    def __init__(self, data: Path, seconds: float) -> None:
        super().__init__()
        self._data, self._seconds = data, seconds
        self.left = -1
        self.start()

    def run(self) -> None:
        self.left = run_command(self._data, "drain", {"seconds": self._seconds})["left"]


def until_nothing_new_is_accepted(address: ServerAddress) -> None:
    with contextlib.suppress(OSError):
        while True:
            socket.create_connection(address, timeout=60).close()


def test_drain_gives_every_open_request_its_reply(tmp_path: Path) -> None:
    signer = _WaitingSigner()
    with running_server(signer, tmp_path) as address, WireClient(address) as first, WireClient(address) as second:
        first.send(request(signer, 1))
        assert signer.begun.wait(60)
        second.send(request(signer, 2))
        draining = _DrainCommand(tmp_path, 60.0)
        until_nothing_new_is_accepted(address)
        told = run_in_process(command, "status", "--data", str(tmp_path))
        assert "Not ready: draining." in told.out
        signer.may_sign.set()
        replies = [client.receive() for client in (first, second)]
        draining.join(60)
        assert all(isinstance(reply, CertificatesReply) for reply in replies), "the one that waited, too"
        assert first.closed_by_server()
    assert draining.left == 0
    with pytest.raises(NoServerError):
        run_command(tmp_path, "drain", {"seconds": 1.0})


def test_drain_whose_time_is_over_refuses_what_waits(tmp_path: Path) -> None:
    signer = _WaitingSigner()
    with running_server(signer, tmp_path) as address, WireClient(address) as first, WireClient(address) as second:
        first.send(request(signer, 1))
        assert signer.begun.wait(60)
        second.send(request(signer, 2))
        drained = run_in_process(command, "drain", "--within", "0s", "--data", str(tmp_path))
        assert drained.code == 1
        assert "2 connections did not get the reply in time" in drained.out
        refused = second.receive()
        assert isinstance(refused, ErrorReply)
        assert refused.code == Code.SERVER_STOPPING
        signer.may_sign.set()
        assert isinstance(first.receive(), CertificatesReply), "what a module is at gets its reply"


@pytest.mark.parametrize("seconds", [-1, "60", None, 1e9])
def test_time_of_a_drain_is_checked(tmp_path: Path, seconds: object) -> None:
    with running_server(MemorySigner(), tmp_path):
        with pytest.raises(UsageError, match="drains within 0 to 86400 seconds"):
            run_command(tmp_path, "drain", {"seconds": seconds})
        assert run_command(tmp_path, "status", {})["running"] is True


def test_idle_server_drains_at_once(tmp_path: Path) -> None:
    with running_server(MemorySigner(), tmp_path) as address, WireClient(address):
        drained = run_in_process(command, "drain", "--data", str(tmp_path))
    assert (drained.code, drained.out) == (0, "The server stops. All open requests have their replies.\n")
