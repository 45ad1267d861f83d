"""The page over real HTTP: what it shows, what it refuses, how it ends."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atcaprov.web import bounded_http as protocol
from atcaprov.web.address import WebAddress
from atcaprov.web.forms import BODY_MAX
from atcaprov.web.gate import SECURITY_HEADERS
from atcaprov.web.login_links import FILE_NAME
from atcaprov.wire.messages import CertificatesReply
from provisioning_server.passwords import wrong_password_pause
from tests.support.in_memory_signer import MemorySigner
from tests.support.raw_http_client import FORM, Visitor
from tests.support.server import PATIENCE, ServerAddress, WireClient, running_server
from tests.support.server_parts import request

PASSWORD = "Größe 5&ü=%"


class Site:
    """A server with a page, one signer that waits and one that is ready."""

    def __init__(self, data: Path, address: ServerAddress, waiting: MemorySigner) -> None:
        self.visitor = Visitor(data)
        self.address = address
        self.waiting = waiting

    def key(self) -> str:
        """How the page names the signer that waits."""
        with self.visitor.events() as events:
            views = next(events)["signers"]
        return str(next(view["key"] for view in views if view["serial"] == self.waiting.serial.hex().upper()))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    waiting = MemorySigner(password=PASSWORD.encode())
    with running_server([waiting, MemorySigner()], tmp_path, web=WebAddress("127.0.0.1", 0)) as address:
        yield Site(tmp_path, address, waiting)


@pytest.fixture
def visitor(site: Site) -> Visitor:
    site.visitor.log_in()
    return site.visitor


def test_a_password_from_the_page_makes_the_signer_ready_and_a_client_gets_its_certificate(
    site: Site, visitor: Visitor
) -> None:
    key = site.key()
    answer = visitor.give_password(key, PASSWORD)
    assert answer["outcome"] == "accepted"
    assert answer["summary"] == "2 of 2 ready"
    assert [view["state"] for view in answer["signers"]] == ["ready", "ready"]
    with WireClient(site.address) as wire:
        assert isinstance(wire.ask(request(site.waiting)), CertificatesReply)
    with visitor.events() as events:
        (view,) = (view for view in next(events)["signers"] if view["key"] == key)
    assert view["issued"] == "1"
    assert view["last"].startswith("0123000000000001EE, ")
    assert visitor.give_password(key, PASSWORD)["outcome"] == "not-waiting"


@pytest.mark.slow
def test_wrong_password_is_reported_and_the_right_one_accepted_after_the_pause(site: Site, visitor: Visitor) -> None:
    key = site.key()
    answer = visitor.give_password(key, "wrong")
    assert answer["outcome"] == "wrong"
    assert answer["signers"][0]["state"] == "waiting"
    assert answer["signers"][0]["detail"].startswith("The password is wrong. ")
    with visitor.events() as events:
        next(shown for shown in events if not shown["signers"][0]["wait"])
    assert visitor.give_password(key, PASSWORD)["outcome"] == "accepted"


def test_pause_cannot_be_bypassed(site: Site, visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_PAUSE_SECONDS", "LONGEST_PAUSE_SECONDS"):
        monkeypatch.setattr(wrong_password_pause, name, 10_000.0)
    key, other = site.key(), Visitor(visitor._data)
    other.log_in()
    assert visitor.give_password(key, "wrong")["signers"][0]["wait"].startswith("Next try in ")
    for each in (visitor, other):
        assert each.give_password(key, PASSWORD)["outcome"] == "too-early"
    assert not site.waiting.ready


def test_without_scripts_the_form_leads_back_to_the_page(site: Site, visitor: Visitor) -> None:
    path = f"/signers/{site.key()}/password"
    reply = visitor.send_form(path, {"secret": visitor.secret, "password": "wrong"})
    assert (reply.status, reply.headers["location"]) == (303, "/signers")
    page = visitor.ask("GET", "/signers").text
    assert "The password is wrong." in page
    assert 'value="wrong"' not in page
    assert f'action="{path}"' in page


def test_events_tell_each_change(site: Site, visitor: Visitor) -> None:
    key = site.key()
    with visitor.events() as events:
        first = next(events)
        assert first["summary"] == "1 of 2 ready, 1 waits for its password"
        visitor.give_password(key, PASSWORD)
        next(shown for shown in events if shown["summary"] == "2 of 2 ready")


@pytest.mark.slow
def test_link_is_valid_for_one_login(site: Site) -> None:
    visitor, code = site.visitor, site.visitor.code
    reply = visitor.log_in()
    assert (reply.status, reply.headers["location"]) == (303, "/signers")
    attributes = reply.headers["set-cookie"].partition("; ")[2]
    assert sorted(attributes.split("; ")) == ["HttpOnly", "Path=/", "SameSite=strict"]
    assert visitor.code != code
    again = visitor.send_form("/login", {"code": code}, {"Cookie": ""})
    assert again.status == 403
    assert "Use the newest link." in again.text
    assert "set-cookie" not in again.headers


@pytest.mark.slow
def test_login_is_valid_though_the_next_link_cannot_be_written(site: Site, tmp_path: Path) -> None:
    (tmp_path / f".{FILE_NAME}").mkdir()
    assert site.visitor.log_in().status == 303
    assert site.visitor.ask("GET", "/signers").status == 200


@pytest.mark.slow
def test_a_wrong_code_is_refused(site: Site) -> None:
    reply = site.visitor.send_form("/login", {"code": site.visitor.code + "x"})
    assert reply.status == 403
    assert site.visitor.send_form("/login", {}).status == 403
    assert site.visitor.log_in().status == 303


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/signers", "/"])
def test_without_a_login_nothing_is_shown(site: Site, path: str) -> None:
    reply = site.visitor.ask("GET", path)
    assert reply.status == 303
    assert site.waiting.serial.hex().upper() not in reply.text
    for cookie in ("", f"atcaprov-{site.visitor.place.rpartition(':')[2]}=guess", "atcaprov=\xff"):
        assert site.visitor.ask("GET", "/signers/events", headers={"Cookie": cookie}).status == 401


@pytest.mark.slow
def test_without_a_login_no_password_is_tried(site: Site) -> None:
    site.visitor.log_in()
    key, cookie = site.key(), site.visitor.cookie
    path, fields = f"/signers/{key}/password", {"secret": site.visitor.secret, "password": PASSWORD}
    assert site.visitor.send_form(path, fields, {"Cookie": ""}).status == 401
    assert site.visitor.send_form(path, fields, {"Cookie": cookie + "x"}).status == 401
    assert not site.waiting.ready


def test_a_forged_form_is_refused(site: Site, visitor: Visitor) -> None:
    key, mine = site.key(), visitor.secret
    other = Visitor(visitor._data)
    other.log_in()
    for secret in ("", "guess", other.secret, mine[:-1]):
        reply = visitor.send_form(f"/signers/{key}/password", {"secret": secret, "password": PASSWORD})
        assert reply.status == 403
    assert visitor.send_form("/logout", {"secret": "guess"}).status == 403
    assert not site.waiting.ready


@pytest.mark.slow
@pytest.mark.parametrize("origin", ["", "null", "http://evil.example", "http://127.0.0.1:1", "https://{place}"])
def test_a_form_from_another_page_is_refused(site: Site, visitor: Visitor, origin: str) -> None:
    path, fields = f"/signers/{site.key()}/password", {"secret": visitor.secret, "password": PASSWORD}
    assert visitor.send_form(path, fields, {"Origin": origin.format(place=visitor.place)}).status == 403
    assert not site.waiting.ready


@pytest.mark.slow
def test_another_page_may_not_even_read(visitor: Visitor) -> None:
    assert visitor.ask("GET", "/signers/events", headers={"Origin": "http://evil.example"}).status == 403


@pytest.mark.slow
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.1:{port}."]
)
def test_another_name_for_this_address_is_refused(visitor: Visitor, host: str) -> None:
    port = visitor.place.rpartition(":")[2]
    for path in ("/signers", "/login", "/static/style.css"):
        assert visitor.ask("GET", path, headers={"Host": host.format(port=port)}).status == 421


@pytest.mark.slow
@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "[::1]"])
def test_loopback_has_several_names(visitor: Visitor, name: str) -> None:
    port = visitor.place.rpartition(":")[2]
    assert visitor.ask("GET", "/signers", headers={"Host": f"{name}:{port}"}).status == 200


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/signers", 200),
        ("GET", "/login", 303),
        ("GET", "/static/signers.js", 200),
        ("GET", "/static/pages.css", 200),
        ("GET", "/static/..%2fpages.py", 404),
        ("GET", "/static/pages.py", 404),
        ("GET", "/nothing", 404),
        ("PUT", "/signers", 405),
        ("DELETE", "/signers", 403),
        ("POST", "/login", 415),
        ("HEAD", "/signers/events", 503),
        ("GET", "/signers/x/password", 405),
    ],
)
def test_every_reply_is_kept_from_other_pages_and_caches(visitor: Visitor, method: str, path: str, status: int) -> None:
    headers = {"Origin": visitor.origin} if method != "DELETE" else {}
    reply = visitor.ask(method, path, headers=headers)
    assert reply.status == status
    for name, value in SECURITY_HEADERS.items():
        assert reply.headers[name.lower()] == value
    assert "unsafe" not in reply.headers["content-security-policy"]
    assert "server" not in reply.headers


def test_bad_form_is_refused(site: Site, visitor: Visitor) -> None:
    path = f"/signers/{site.key()}/password"
    good = f"secret={visitor.secret}&password="
    for body, headers, status in [
        (b"{}", {"Content-Type": "application/json"}, 415),
        (b"{}", {"Content-Type": ""}, 415),
        (b"\xff\x00", FORM, 400),
        (f"{good}%ff".encode(), FORM, 400),
        (f"{good}a&password=b".encode(), FORM, 400),
        (f"{good}{'x' * 1025}".encode(), FORM, 400),
        (f"{good}{'x' * BODY_MAX}".encode(), FORM, 413),
        (b"x" * 1_000_000, FORM, 413),
    ]:
        assert visitor.ask("POST", path, body, headers).status == status
    assert visitor.give_password("nobody", PASSWORD)["outcome"] == "not-waiting"
    assert visitor.give_password(site.key(), "")["outcome"] == "not-waiting"
    assert not site.waiting.ready


def test_logging_out_ends_session_and_streams(visitor: Visitor) -> None:
    with visitor.events() as events:
        next(events)
        reply = visitor.send_form("/logout", {"secret": visitor.secret})
        assert (reply.status, reply.headers["location"]) == (303, "/login")
        assert list(events) == []
    assert visitor.ask("GET", "/signers").status == 303


def everything(connection: socket.socket) -> bytes:
    """Return all that comes until the server hangs up."""
    received = b""
    try:
        while part := connection.recv(65536):
            received += part
    except ConnectionResetError:
        pass
    return received


def connected(visitor: Visitor) -> socket.socket:
    host, _, port = visitor.place.rpartition(":")
    return socket.create_connection((host, int(port)), PATIENCE)


def raw(visitor: Visitor, sent: bytes) -> bytes:
    """Send bytes, and return all that comes back until the server hangs up."""
    with connected(visitor) as connection:
        with contextlib.suppress(OSError):  # it may hang up before it has read all
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
        return everything(connection)


@pytest.fixture(scope="module")
def one_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    data = tmp_path_factory.mktemp("garbage")
    waiting = MemorySigner(password=PASSWORD.encode())
    with running_server([waiting], data, web=WebAddress("127.0.0.1", 0)) as address:
        yield Site(data, address, waiting)


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=1, max_size=300) | st.binary(max_size=80).map(lambda tail: b"GET / HTTP/1.1\r\n" + tail))
def test_garbage_ends_its_own_connection_only(one_site: Site, garbage: bytes) -> None:
    reply = raw(one_site.visitor, garbage)
    assert reply == b"" or reply.startswith(b"HTTP/1.1 4")
    assert one_site.visitor.ask("GET", "/login").status == 200


def test_endless_headers_are_cut(one_site: Site) -> None:
    reply = raw(one_site.visitor, b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000)
    assert reply == b"" or reply.startswith(b"HTTP/1.1 400")
    assert one_site.visitor.ask("GET", "/login").status == 200


@pytest.mark.slow
@pytest.mark.parametrize(
    "begun",
    [
        "",
        "GET / HT",
        "POST /login HTTP/1.1\r\nHost: {place}\r\nOrigin: http://{place}\r\nContent-Length: 9\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\nco",
    ],
)
def test_a_request_that_does_not_end_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: str) -> None:
    monkeypatch.setattr(protocol, "REQUEST_SECONDS", 0.1)
    with running_server(MemorySigner(), tmp_path, web=WebAddress("127.0.0.1", 0)):
        visitor = Visitor(tmp_path)
        with connected(visitor) as connection:
            connection.sendall(begun.format(place=visitor.place).encode())
            assert everything(connection) == b""


@pytest.mark.slow
def test_one_connection_too_many_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "CONNECTIONS_MAX", 2)
    monkeypatch.setattr(protocol, "REQUEST_SECONDS", 10.0 * PATIENCE)
    with running_server(MemorySigner(), tmp_path, web=WebAddress("127.0.0.1", 0)):
        visitor = Visitor(tmp_path)
        with connected(visitor), connected(visitor), connected(visitor) as third:
            assert everything(third) == b""
