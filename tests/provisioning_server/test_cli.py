"""The program as a user starts it: options, exit codes, what it says when it cannot start, how it stops."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import resource
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from atcaprov import AtcaProvError, Code, Device, UsageError
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.config_zone.locks import is_config_locked
from atcaprov.wire.messages import AnyMessage, CertificatesReply, CertificatesRequest, ErrorReply
from provisioning_server.cli import command
from provisioning_server.passwords.given_passwords import GivenPassword
from provisioning_server.settings import Settings
from signer_module.on_files.signer_folder import SignerFolder
from tests.support.programs import run, run_in_process
from tests.support.secret_files import secret_file
from tests.support.server import PATIENCE, WireClient, server_program
from tests.support.server_parts import config_zone, key_of
from tests.support.signer_folders import make_signer_folder

pytestmark = pytest.mark.slow

PASSWORD = b"correct horse"


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> SignerFolder:
    return make_signer_folder(tmp_path_factory.mktemp("open"))


@pytest.fixture(scope="module")
def locked_signer(tmp_path_factory: pytest.TempPathFactory) -> SignerFolder:
    return make_signer_folder(tmp_path_factory.mktemp("locked"), password=PASSWORD)


def _request(signer: SignerFolder, number: int) -> CertificatesRequest:
    return CertificatesRequest(config_zone(number), key_of(number), signer.public_key)


def test_help_names_every_option() -> None:
    done = CliRunner().invoke(command, ["--help"])
    assert done.exit_code == 0
    for option in (
        "settings",
        "signer",
        "data",
        "bind",
        "port",
        "plain-network",
        "password-file",
        "password-fd",
        "allow-rekey",
    ):
        assert f"--{option}" in done.output


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ([], 2, "--signer"),
        (["--signer", "nowhere"], 2, "nowhere"),
        (["--signer", "{signer}", "--port", "70000"], 2, "--port"),
        (["--signer", "{signer}", "--password-fd", "-1"], 2, "--password-fd"),
        (["--signer", "{signer}", "--password-fd", "99999999999"], 2, "--password-fd"),
        (["--module", "nonsense:x"], 2, "not a device URL"),
        (["--module-folder", "nowhere"], 2, "--module-folder"),
        (["--module-folder", "x" * 300], 2, "--module-folder"),
        (["--signer", "x" * 300], 2, "can"),
        (["--signer", "{signer}", "--bind", "0.0.0.0"], 2, "--plain-network"),
        (["--signer", "{signer}", "--bind", "::"], 2, "--plain-network"),
        (["--signer", "{signer}", "--signer", "{signer}"], 2, "is connected already"),
        (["--signer", "{signer}", "--bind", "no-such-host.invalid", "--plain-network"], 2, "cannot listen"),
        (["--signer", "{signer}", "--bind", "192.0.2.1", "--plain-network"], 2, "cannot listen"),
        (["--signer", "{signer}", "--password-file", "nowhere"], 2, "nowhere"),
        (["--signer", "{signer}", "--config", "nowhere"], 2, "nowhere"),
        (["--signer", "{signer}", "--config", __file__], 2, "test_cli.py"),
        (["--signer", "{signer}", "--data", "/dev/null"], 2, "/dev/null"),
        (["--signer", "{locked}"], 2, "requires password|waits for its password"),
    ],
)
def test_failed_start_says_why_and_exits(
    signer: SignerFolder, locked_signer: SignerFolder, tmp_path: Path, options: list[str], code: int, says: str
) -> None:
    words = [option.format(signer=signer.path, locked=locked_signer.path) for option in options]
    ended = run_in_process(command, "--port", "0", "--data", str(tmp_path), *words)
    assert ended.code == code, ended.err
    assert re.search(says, ended.out + ended.err), ended.err


_NAME_ADVICE = "Give --tls-name as stations write it after --host, without a port."


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        (["--tls", "--plain-network"], "Leave out --plain-network."),
        (["--tls-name", "line.example"], "Add --tls."),
        (
            ["--tls", "--tls-name", "line.example:1"],
            _NAME_ADVICE,
        ),
        (["--tls", "--tls-name", "0.0.0.0"], _NAME_ADVICE),
        (["--tls", "--tls-name", "*.example"], _NAME_ADVICE),
    ],
)
def test_tls_options_that_do_not_fit_are_refused(options: list[str], advice: str) -> None:
    done = CliRunner().invoke(command, ["--signer", "signer", *options])
    assert isinstance(done.exception, UsageError)
    assert done.exception.advice == advice


def test_loopback_needs_no_flag() -> None:
    for address in ("127.0.0.1", "127.1.2.3", "::1", "localhost"):
        Settings((Path("signer"),), Path("data"), bind=address)
    for address in ("0.0.0.0", "::", "192.168.1.1", "example.invalid"):
        with pytest.raises(UsageError, match="plain-network"):
            Settings((Path("signer"),), Path("data"), bind=address)
        Settings((Path("signer"),), Path("data"), bind=address, plain_network=True)


def test_no_password_is_in_the_repr_of_the_settings() -> None:
    assert "geh" not in repr(Settings((Path("signer"),), Path("data"), passwords=(GivenPassword(b"geheim", "geh"),)))


def test_port_in_use_is_reported(signer: SignerFolder, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with server_program("--signer", signer.path, "--data", tmp_path, "--port", port) as server:
            assert server.finish() == 3
        assert f"Port {port} of 127.0.0.1 is in use by another program." in server.errors
    (log,) = (tmp_path / "logs").glob("server-*.log")
    assert "is in use by another program" in log.read_text()


def test_a_second_server_on_the_same_data_is_refused(signer: SignerFolder, tmp_path: Path) -> None:
    options = ("--signer", signer.path, "--data", tmp_path)
    with server_program(*options) as first:
        first.address()
        with server_program(*options) as second:
            assert second.finish() == 2
        assert "uses the data folder" in second.errors
        with server_program("--signer", signer.path, "--data", tmp_path / "its own") as beside:
            beside.address()
            assert beside.stop() == 0
        assert first.stop() == 0
    with server_program(*options) as third:
        third.address()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_leads_to_an_orderly_stop(signer: SignerFolder, tmp_path: Path, number: signal.Signals) -> None:
    with server_program("--signer", signer.path, "--data", tmp_path) as server:
        address = server.address()
        server.wait_for("ready.")
        with WireClient(address) as client:
            assert isinstance(client.ask(_request(signer, 1)), CertificatesReply)
            server.process.send_signal(number)
            assert isinstance(reply := client.receive(), ErrorReply)
            assert reply.code == Code.SERVER_STOPPING
            assert client.closed_by_server()
        assert server.finish() == 0
    assert server.lines[-1].endswith(", info] Provisioning Server stopped.")
    assert server.errors == ""
    (log,) = (tmp_path / "logs").glob("server-*.log")
    assert log.read_text().splitlines() == server.lines


def test_without_terminal_keys_are_not_mentioned(signer: SignerFolder, tmp_path: Path) -> None:
    with server_program("--signer", signer.path, "--data", tmp_path) as server:
        server.address()
        server.stop()
    assert not any("ESC" in line for line in server.lines)


def test_a_password_file_unlocks(locked_signer: SignerFolder, tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    secret_file(passwords, b"wrong\n" + PASSWORD + b"\n")
    options = ("--signer", locked_signer.path, "--data", tmp_path / "data", "--password-file", passwords)
    with server_program(*options) as server:
        address = server.address()
        server.wait_for("password accepted, ready.")
        with WireClient(address) as client:
            assert isinstance(client.ask(_request(locked_signer, 1)), CertificatesReply)
        server.stop()
    for log in (tmp_path / "data" / "logs").iterdir():
        assert PASSWORD not in log.read_bytes()


def test_certificates_are_known_after_restart(signer: SignerFolder, tmp_path: Path) -> None:
    replies = []
    for _ in range(2):
        with server_program("--signer", signer.path, "--data", tmp_path) as server:
            with WireClient(server.address()) as client:
                replies.append(client.certificates(_request(signer, 1)))
            assert server.stop() == 0
    assert replies[0] == replies[1]
    assert len(list((tmp_path / "logs").glob("signing-*.tsv"))) == 2


def test_who_asked_and_for_which_part_is_recorded(signer: SignerFolder, tmp_path: Path) -> None:
    with server_program("--signer", signer.path, "--data", tmp_path) as server:
        with WireClient(server.address()) as client:
            own = "{}:{}".format(*client.socket.getsockname())
            request = replace(_request(signer, 1), revision=0x00006004)
            assert isinstance(client.ask(request), CertificatesReply)
            server.wait_for(f"certified by Signer ({signer.serial.hex().upper()}, {signer.name}), asked by {own}.")
        assert server.stop() == 0
    (log,) = (tmp_path / "logs").glob("signing-*.tsv")
    header, line = (text.split("\t") for text in log.read_text().splitlines())
    assert line[header.index("client")] == own
    assert line[header.index("revision")] == "00006004"
    assert line[header.index("config_revision")] == request.config_zone[4:8].hex().upper()


def test_rate_of_the_server_is_met_and_raised(signer: SignerFolder, tmp_path: Path) -> None:
    replies = []
    for rate in ("2/h", "none"):
        options = ("--signer", signer.path, "--data", tmp_path, "--rate", "none", "--server-rate", rate)
        with server_program(*options) as server:
            with WireClient(server.address()) as client:
                replies += [client.ask(_request(signer, number)) for number in range(1, 5)]
            if rate != "none":
                server.wait_for("Too many certificates asked for by the server's own computer: a request was refused.")
            assert server.stop() == 0
    refused = [reply.code if isinstance(reply, ErrorReply) else "" for reply in replies]
    assert refused == ["", *[Code.SERVER_BUSY] * 3, *[""] * 4]


@pytest.mark.parametrize(("changed", "code"), [(None, 0), (20, 8)])
def test_station_for_another_product_is_refused_before_it_touches_a_chip(
    signer: SignerFolder, tmp_path: Path, changed: int | None, code: int
) -> None:
    zone = bytearray(DEFAULT_608A)
    if changed is not None:
        zone[changed] ^= 1
    product, chip = tmp_path / "product.txt", f"emulator:{tmp_path / 'chip.json'}"
    product.write_text(f"const uint8_t product[{len(zone)}] = {{ {', '.join(map(hex, zone))} }};\n")
    options = ("--signer", signer.path, "--data", tmp_path / "data", "--config", product)
    with server_program(*options) as server:
        address = server.address()
        info = signer.path / "atcaprov_cert_info_0.c"
        own = ("--config", product) if changed is None else ()  # both sides read an array of C
        done = run("provisioning-client", "--auto", "--certinfo", info, "--port", address.port, "--device", chip, *own)
    assert done.returncode == code, done.stdout + done.stderr
    if changed is None:
        return
    assert f"[{Code.REQUEST_INVALID}]" in done.stderr
    assert "slot 0 SlotConfig is 0085, not 0084" in " ".join(done.stderr.split())
    with Device.open(chip) as device:
        assert not is_config_locked(device.read_config())


def _small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))


def test_full_disk_sends_no_certificate(signer: SignerFolder, tmp_path: Path) -> None:
    with server_program("--signer", signer.path, "--data", tmp_path, preexec_fn=_small_files) as server:
        with WireClient(server.address()) as client:
            replies = [client.ask(_request(signer, number)) for number in range(1, 40)]
        assert server.stop() == 0
    good = [isinstance(reply, CertificatesReply) for reply in replies]
    issued = good.index(False)
    assert 0 < issued < len(replies)
    assert not any(good[issued:]), "after the first failure nothing more is issued"
    refused = [reply for reply in replies if isinstance(reply, ErrorReply)]
    assert {reply.code for reply in refused} == {Code.RECORDS_FAILED}
    assert any("error] The ledger cannot be read or written: " in line for line in server.lines)
    given = [_certificate(reply) for reply in replies[:issued]]
    with server_program("--signer", signer.path, "--data", tmp_path) as server, WireClient(server.address()) as client:
        assert [_certificate(client.ask(_request(signer, number + 1))) for number in range(issued)] == given
        assert isinstance(client.ask(_request(signer, issued + 1)), CertificatesReply)
        assert server.stop() == 0
    assert len(list((tmp_path / "certs").glob("*_device.pem"))) == issued + 1


def _certificate(reply: AnyMessage) -> bytes:
    assert isinstance(reply, CertificatesReply), reply
    return reply.device_certificate


def test_a_password_comes_over_a_file_descriptor(locked_signer: SignerFolder, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, PASSWORD + b"\n")
    os.close(writer)
    options = ("--signer", locked_signer.path, "--data", tmp_path, "--password-fd", reader)
    with server_program(*options, pass_fds=(reader,)) as server:
        os.close(reader)
        server.wait_for("password accepted, ready.")
        assert server.stop() == 0


def test_certificates_sent_before_a_kill_are_recorded(signer: SignerFolder, tmp_path: Path) -> None:
    """Eight clients ask without end; the server is killed in the middle of it, as by a power cut of the program."""
    replies: dict[int, CertificatesReply] = {}
    enough = threading.Event()

    def client(first: int) -> None:
        with contextlib.suppress(OSError, AtcaProvError), WireClient(address) as wire:
            for number in range(first, 10**6, 8):
                replies[number] = wire.certificates(_request(signer, number))
                if len(replies) > 200:
                    enough.set()

    with server_program("--signer", signer.path, "--data", tmp_path) as server, ThreadPoolExecutor(8) as pool:
        address = server.address()
        clients = [pool.submit(client, number) for number in range(1, 9)]
        assert enough.wait(PATIENCE)
        server.process.kill()
        for future in clients:
            future.result(PATIENCE)
    with server_program("--signer", signer.path, "--data", tmp_path) as server, WireClient(server.address()) as wire:
        for number, reply in replies.items():
            assert wire.certificates(dataclasses.replace(_request(signer, number), existing_only=True)) == reply


def test_an_ignored_hangup_stays_ignored(signer: SignerFolder, tmp_path: Path) -> None:
    def like_nohup() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with server_program("--signer", signer.path, "--data", tmp_path, preexec_fn=like_nohup) as server:
        address = server.address()
        server.wait_for("ready.")
        server.process.send_signal(signal.SIGHUP)
        with WireClient(address) as client:
            assert isinstance(client.ask(_request(signer, 1)), CertificatesReply)
        assert server.stop() == 0


def test_a_name_with_several_addresses_is_listened_on_under_each(signer: SignerFolder, tmp_path: Path) -> None:
    addresses = {entry[4][0] for entry in socket.getaddrinfo("localhost", None, type=socket.SOCK_STREAM)}
    with server_program("--signer", signer.path, "--data", tmp_path, "--bind", "localhost") as server:
        server.wait_for("ready.")
        server.stop()
    listening = [line for line in server.lines if "Server listening on" in line]
    assert len(listening) == len(addresses)


@pytest.mark.parametrize("words", ["", "   ", "'unfinished"])
def test_a_command_for_revocations_must_be_one(words: str) -> None:
    ended = run_in_process(command, "--signer", "missing", "--on-revoked", words)
    assert ended.code == 2
    assert "is not a command with its arguments." in ended.err


@pytest.mark.parametrize("validity", ["59m", "3651d", "7", "-1d"])
def test_the_validity_of_lists_has_limits(validity: str) -> None:
    ended = run_in_process(command, "--signer", "missing", "--crl-validity", validity)
    assert ended.code == 2
    assert "is not a duration" in ended.err
