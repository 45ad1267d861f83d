"""Revocation with a running server: commands, lists as files and over HTTP, the factory's command, a module's quota."""

from __future__ import annotations

import contextlib
import http.client
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from cryptography import x509

from atcaprov import Code
from atcaprov.web.address import WebAddress
from atcaprov.wire.messages import ErrorReply, SignerRequest
from provisioning_server.cli import command
from provisioning_server.control.client import run_command
from tests.support.crl_judges import ChainFiles, openssl_verdict
from tests.support.crl_server import CountingModule
from tests.support.in_memory_signer import MemorySigner
from tests.support.late_files import arrived
from tests.support.ledgers import ledger_in
from tests.support.programs import Ended, run_in_process
from tests.support.server import PATIENCE, ServerAddress, WireClient, running_server
from tests.support.server_parts import chip_serial, request

pytestmark = pytest.mark.slow
HOOK = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"


class Line:
    """A running server, its commands, and its web port."""

    def __init__(self, data: Path, address: ServerAddress) -> None:
        self.data = data
        self.client = WireClient(address)

    def run(self, *words: str) -> Ended:
        return run_in_process(command, "--data", str(self.data), *words)

    def revoke(self, number: int, reason: str = "keyCompromise") -> None:
        ended = self.run("revoke", "--chip", chip_serial(number).hex(), "--reason", reason, "--yes")
        assert ended.code == 0, ended.err

    def status_when(self, code: str) -> dict[str, Any]:
        """Wait until the health check has a code, which the keeper of the lists gives it in its next look."""
        end = monotonic() + PATIENCE
        while (status := run_command(self.data, "status", {}))["code"] != code and monotonic() < end:
            Event().wait(0.02)
        return status

    def crl_file(self, signer: MemorySigner) -> Path:
        """Wait for the list of a signer (PEM)."""
        return arrived(self.data / "crls" / f"{signer.serial.hex().upper()}.crl.pem")

    def get(self, path: str, method: str = "GET", **headers: str) -> Reply:
        """Ask the web port."""
        place = urlsplit(run_command(self.data, "status", {})["web"]).netloc
        with contextlib.closing(http.client.HTTPConnection(place, timeout=PATIENCE)) as connection:
            connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            reply = connection.getresponse()
            return Reply(reply.status, reply.headers, reply.read())


class Reply(NamedTuple):
    """What came over HTTP."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


@contextlib.contextmanager
def line(data: Path, signer: MemorySigner, **options: Any) -> Iterator[Line]:
    with running_server(signer, data, **options) as address:
        started = Line(data, address)
        with started.client:
            yield started


def test_a_revoked_device_is_on_the_published_list(tmp_path: Path) -> None:
    signer, told = MemorySigner(), tmp_path / "told"
    web = WebAddress.parse("127.0.0.1:0", None, None)
    with line(tmp_path / "data", signer, web=web, on_revoked=(sys.executable, "-c", HOOK, str(told))) as server:
        certificate = server.client.certificates(request(signer)).device_certificate
        server.client.certificates(request(signer, 2))
        server.revoke(1)
        pem = server.crl_file(signer)
        check_http(server, signer)
        documents = signer.documents
        files = ChainFiles.write(tmp_path, documents.root_certificate, documents.signer_certificate, certificate)
        assert openssl_verdict(files, [pem], datetime.now(UTC)).endswith("certificate revoked")
        refused = server.client.ask(request(signer))
        assert isinstance(refused, ErrorReply)
        assert (refused.code, refused.retryable) == (Code.CERTIFICATE_REVOKED, False)
        offer = server.client.ask(SignerRequest(documents.signer_public_key, chip_serial=chip_serial(1)))
        assert isinstance(offer, ErrorReply)
        assert offer.code == Code.CERTIFICATE_REVOKED
        check_commands(server, signer)
        (line_told,) = arrived(told).read_text().splitlines()
    assert json.loads(line_told)["chip_serial"] == chip_serial(1).hex().upper()


def check_http(server: Line, signer: MemorySigner) -> None:
    found = server.get(f"/crl/{signer.serial.hex()}.crl")
    assert (found.status, found.headers["Content-Type"]) == (200, "application/pkix-crl")
    assert found.body == server.crl_file(signer).with_suffix("").read_bytes()
    crl = x509.load_der_x509_crl(found.body)
    assert len(crl) == 1
    assert found.headers["Cache-Control"] == "public, max-age=300"
    (key_id,) = (
        each.value.key_identifier for each in crl.extensions if isinstance(each.value, x509.AuthorityKeyIdentifier)
    )
    assert key_id is not None
    foreign = server.get(f"/crl/{key_id.hex().upper()}.crl", Host="crl.example.com")
    assert (foreign.status, foreign.body) == (200, found.body)
    head = server.get(f"/crl/{signer.serial.hex()}.crl", "HEAD")
    assert (head.status, head.body, head.headers["ETag"]) == (200, b"", found.headers["ETag"])
    path = f"/crl/{signer.serial.hex()}.crl"
    for known in ({"If_None_Match": found.headers["ETag"]}, {"If_Modified_Since": found.headers["Last-Modified"]}):
        assert (server.get(path, **known).status, server.get(path, **known).body) == (304, b"")
    assert server.get(path, If_None_Match='"other"', If_Modified_Since=found.headers["Last-Modified"]).status == 200
    assert server.get(path, If_Modified_Since="yesterday").status == 200
    assert server.get(path, If_Modified_Since="Mon, 01 Jan 99999999999999999999 00:00:00 GMT").status == 200
    assert server.get(path, "POST").status == 405
    for other in ("/crl/", "/crl/00.crl", f"/crl/{'0' * 18}.crl", f"/crl/..%2f{signer.serial.hex()}.crl"):
        assert server.get(other).status == 404
    assert server.get("/signers", Host="crl.example.com").status == 421, "the page itself stays behind its gate"


def check_commands(server: Line, signer: MemorySigner) -> None:
    assert server.run("crl", "due").code == 0
    (listed,) = server.run("crl", "list").out.splitlines()
    assert "revoked: 1" in listed
    shown = server.run("crl", "show", signer.serial.hex()).out
    assert "keyCompromise" in shown
    assert server.run("crl", "show", signer.serial.hex(), "--pem").out == server.crl_file(signer).read_text()


def test_a_module_signs_a_list_only_when_it_is_asked_to(tmp_path: Path) -> None:
    module = CountingModule()
    with line(tmp_path, module) as server:
        server.client.certificates(request(module))
        server.revoke(1)
        asked = server.run("crl", "publish")
        assert asked.code == 2
        assert "It costs the quota of Example ATECC608A Signer: 1 of 1000 signatures." in asked.err
        assert module.signatures == 1
        status = server.status_when("crl-due")
        assert status["health"] == "degraded"
        assert "revoked certificates are on no list. 'provisioning-server crl publish'" in status["warnings"][0]
        done = server.run("crl", "publish", module.serial.hex(), "--yes")
        assert done.code == 0, done.err
        assert server.status_when("")["warnings"] == []
        assert server.crl_file(module).exists()
        assert server.run("crl", "publish", "00" * 9, "--yes").code == 2
        assert module.serial.hex().upper() in server.run("crl", "list").out
    assert module.signatures == 2
    with contextlib.closing(ledger_in(tmp_path)) as ledger:
        tally = ledger.tally(module.serial)
    assert tally is not None
    assert (tally.issued, tally.crls, tally.signatures) == (1, 1, 2)


def test_a_module_signs_by_itself_if_it_may(tmp_path: Path) -> None:
    module = CountingModule()
    with line(tmp_path, module, crl_from_quota=True) as server:
        server.client.certificates(request(module))
        server.revoke(1)
        assert server.crl_file(module).exists()
    assert module.signatures == 2


def test_a_certificate_revoked_as_superseded_makes_room_for_another(tmp_path: Path) -> None:
    signer = MemorySigner()
    with line(tmp_path, signer) as server:
        first = server.client.certificates(request(signer)).device_certificate
        server.revoke(1, "superseded")
        server.client.certificates(request(signer, key=MemorySigner().documents.signer_public_key))
        numbers = {x509.load_der_x509_certificate(first).serial_number}
        assert numbers == {each.serial_number for each in x509.load_pem_x509_crl(server.crl_file(signer).read_bytes())}
