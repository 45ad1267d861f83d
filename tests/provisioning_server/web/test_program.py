"""The page as a part of the program: options, what is logged, the console beside it, the end."""

from __future__ import annotations

import re
import socket
import ssl
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import pexpect
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from atcaprov import Code, TransportError, UsageError
from atcaprov.web import bounded_http as protocol
from atcaprov.web.address import WebAddress
from atcaprov.web.login_links import FILE_NAME
from atcaprov.web.tls import date_warning
from signer_module.on_files.signer_folder import SignerFolder
from tests.support.in_memory_signer import MemorySigner
from tests.support.raw_http_client import Visitor
from tests.support.server import PATIENCE, running_server, server_command, server_environment, server_program
from tests.support.signer_folders import make_signer_folder

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def locked_signer(tmp_path_factory: pytest.TempPathFactory) -> SignerFolder:
    return make_signer_folder(tmp_path_factory.mktemp("locked"), password=PASSWORD.encode())


def label(signer: SignerFolder) -> str:
    return f"Signer ({signer.serial.hex().upper()}, {signer.name})"


def unlock(visitor: Visitor, password: str) -> str:
    """Give a password to the first signer; return what came of it."""
    with visitor.events() as events:
        key = next(events)["signers"][0]["key"]
    return str(visitor.give_password(key, password)["outcome"])


@pytest.mark.slow
def test_it_stops_in_order_with_pages_open_and_keeps_every_secret(locked_signer: SignerFolder, tmp_path: Path) -> None:
    with server_program("--signer", locked_signer.path, "--data", tmp_path, "--web", "0") as server:
        server.address()
        visitor = Visitor(tmp_path)
        first_code = visitor.code
        visitor.log_in()
        assert unlock(visitor, "wrong guess") == "wrong"
        server.wait_for("password wrong.")
        second_code = visitor.code
        assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600
        with visitor.events() as events:
            next(shown for shown in events if not shown["signers"][0]["wait"])
            assert unlock(visitor, PASSWORD) == "accepted"
            server.process.terminate()
            list(events)
        assert server.finish() == 0
    assert server.errors == ""
    assert server.lines[-1].endswith("Provisioning Server stopped.")
    assert any("logged in to the web page" in line for line in server.lines)
    assert not (tmp_path / FILE_NAME).exists()
    said = "\n".join(server.lines) + "".join(log.read_text() for log in (tmp_path / "logs").iterdir())
    for secret in (PASSWORD, "wrong guess", first_code, second_code, visitor.cookie.partition("=")[2], visitor.secret):
        assert secret not in said


@pytest.mark.slow
def test_log_of_uvicorn_does_not_reach_the_console(tmp_path: Path, locked_signer: SignerFolder) -> None:
    with server_program("--signer", locked_signer.path, "--data", tmp_path, "--web", "0") as server:
        server.address()
        place = urlsplit(Visitor(tmp_path).link)
        assert place.port is not None
        with socket.create_connection((str(place.hostname), place.port), PATIENCE) as connection:
            connection.sendall(b"garbage\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 400")
        assert server.stop() == 0
    assert server.errors == ""
    assert all(re.match(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d, (info|warning)\] ", line) for line in server.lines)


@pytest.mark.slow
def test_console_prompt_closes_when_the_page_was_quicker(locked_signer: SignerFolder, tmp_path: Path) -> None:
    program, *options = server_command("--signer", locked_signer.path, "--data", tmp_path, "--port", 0, "--web", 0)
    console = pexpect.spawn(program, options, env=server_environment(), timeout=PATIENCE, encoding="utf-8")
    console.delaybeforesend = None
    console.setwinsize(24, 200)
    console.expect(r"Log in to the web page, once, with (\S+)\r\n")
    link = console.match[1]
    console.expect_exact(f"{label(locked_signer)} password: ")
    console.send("half a pass")
    (tmp_path / FILE_NAME).write_text(link)  # where a visitor looks for it
    visitor = Visitor(tmp_path)
    visitor.log_in()
    console.expect(r"Log in to the web page, once, with (\S+)\r\n")
    assert console.match[1] != link
    assert unlock(visitor, PASSWORD) == "accepted"
    console.expect_exact(f"{label(locked_signer)} password accepted, ready.\r\n")
    console.send("\x1b")
    console.expect(pexpect.EOF)
    assert "password: " not in console.before
    console.wait()
    assert console.exitstatus == 0
    (log,) = (tmp_path / "logs").glob("server-*.log")
    assert urlsplit(link).fragment not in log.read_text()


@pytest.mark.slow
def test_bad_options_of_the_page_are_refused(locked_signer: SignerFolder, tmp_path: Path) -> None:
    for options, said in [
        (("--web", "0.0.0.0:0"), "--web-cert"),
        (("--web", "x"), "not an address"),
        (("--web-cert", "cert.pem"), "--web"),
        (("--web", "0", "--web-cert", "missing.pem", "--web-key", "missing.pem"), "cannot be read"),
    ]:
        with server_program("--signer", locked_signer.path, "--data", tmp_path, *options) as server:
            assert server.finish() == 2
        assert said in server.errors
        assert "Traceback" not in server.errors


def test_port_in_use_is_reported(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = WebAddress("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(TransportError) as caught, running_server(MemorySigner(), tmp_path, web=address):
            pass
    assert caught.value.code == Code.PORT_IN_USE
    assert "--web" in caught.value.advice


def test_address_of_another_computer_is_reported(tmp_path: Path) -> None:
    certificate, key = certificate_files(tmp_path, [x509.DNSName("line.example")])
    address = WebAddress("192.0.2.1", 0, certificate, key)
    with pytest.raises(UsageError, match="cannot be served at"), running_server(MemorySigner(), tmp_path, web=address):
        pass


def test_without_the_packages_of_the_page_it_says_which_extra_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in {
        "provisioning_server.web.page",
        "atcaprov.web.server",
        "atcaprov.web.bounded_http",
    } & sys.modules.keys():
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(UsageError) as caught, running_server(MemorySigner(), tmp_path, web=WebAddress("127.0.0.1", 0)):
        pass
    assert caught.value.code == Code.LIBRARY_MISSING
    assert "uvicorn" in caught.value.what
    assert '-m pip install "jinja2' in caught.value.advice


def certificate_files(
    folder: Path, names: Sequence[x509.GeneralName], encryption: KeySerializationEncryption | None = None
) -> tuple[Path, Path]:
    """Write a certificate for names and its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "page")])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, now, now + timedelta(days=1))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    certificate, key_file = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()))
    return certificate, key_file


@pytest.mark.slow
def test_with_a_certificate_the_connection_is_secret(tmp_path: Path) -> None:
    names = [x509.DNSName("line.example"), x509.IPAddress(ip_address("127.0.0.1"))]
    certificate, key = certificate_files(tmp_path, names)
    with running_server(MemorySigner(), tmp_path, web=WebAddress("127.0.0.1", 0, certificate, key)):
        link = urlsplit((tmp_path / FILE_NAME).read_text())
        assert link.scheme == "https"
        assert link.hostname == "line.example"
        visitor = Visitor(tmp_path, ssl.create_default_context(cafile=certificate), "127.0.0.1")
        reply = visitor.log_in()
        assert "; Secure" in reply.headers["set-cookie"]
        assert visitor.ask("GET", "/signers", headers={"Host": f"line.example:{link.port}"}).status == 200
        assert visitor.ask("GET", "/signers", headers={"Host": f"other.example:{link.port}"}).status == 421


DAY = timedelta(days=1)


def test_dates_of_the_pages_certificate_that_do_not_fit_are_reported(tmp_path: Path) -> None:
    certificate, key = certificate_files(tmp_path, [x509.DNSName("line.example")])
    address, now = WebAddress("127.0.0.1", 0, certificate, key), datetime.now(UTC)
    assert date_warning(address, now) == ""
    early, late = (
        date_warning(address, datetime(1970, 1, 1, tzinfo=UTC)),
        date_warning(address, now + timedelta(days=2)),
    )
    assert "clock says 1970-01-01 00:00 UTC, but the certificate of the web page begins on" in early
    assert "the certificate of the web page ended on" in late
    assert date_warning(WebAddress("127.0.0.1", 0), now) == ""


@pytest.mark.slow
def test_connections_that_never_begin_with_tls_are_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "CONNECTIONS_MAX", 2)
    monkeypatch.setattr(protocol, "REQUEST_SECONDS", 10.0 * PATIENCE)
    certificate, key = certificate_files(tmp_path, [x509.DNSName("line.example")])
    with running_server(MemorySigner(), tmp_path, web=WebAddress("127.0.0.1", 0, certificate, key)):
        port = urlsplit((tmp_path / FILE_NAME).read_text()).port
        first, second, third = (socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(3))
        with third:
            assert third.recv(1) == b""
        context = ssl.create_default_context(cafile=certificate)
        for dumb in (first, second):
            with context.wrap_socket(dumb, server_hostname="line.example") as begun:
                begun.sendall(f"GET /login HTTP/1.1\r\nHost: line.example:{port}\r\n\r\n".encode())
                assert begun.recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.slow
def test_a_handshake_that_does_not_end_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "REQUEST_SECONDS", 0.1)
    certificate, key = certificate_files(tmp_path, [x509.DNSName("line.example")])
    with running_server(MemorySigner(), tmp_path, web=WebAddress("127.0.0.1", 0, certificate, key)):
        port = urlsplit((tmp_path / FILE_NAME).read_text()).port
        with socket.create_connection(("127.0.0.1", port), PATIENCE / 2) as dumb:  # asyncio would cut it after a minute
            assert dumb.recv(1) == b""


def test_unusable_page_certificate_is_refused(tmp_path: Path) -> None:
    def refused(certificate: Path, key: Path) -> UsageError:
        address = WebAddress("127.0.0.1", 0, certificate, key)
        with pytest.raises(UsageError) as caught, running_server(MemorySigner(), tmp_path / "data", web=address):
            pass
        return caught.value

    name = [x509.DNSName("line.example")]
    folders = [tmp_path / "good", tmp_path / "other", tmp_path / "nameless", tmp_path / "locked"]
    for folder in folders:
        folder.mkdir()
    good, other, nameless, locked = folders
    certificate, key = certificate_files(good, name)
    assert refused(certificate, certificate_files(other, name)[1]).code == Code.FILE_INVALID
    assert "names no host" in refused(*certificate_files(nameless, [])).what
    assert refused(*certificate_files(locked, name, BestAvailableEncryption(b"x"))).code == Code.FILE_INVALID
    assert refused(key, key).code == Code.FILE_INVALID
    assert refused(certificate, tmp_path / "missing").code == Code.FILE_UNREADABLE
