"""What others write into names, paths and forms stays what it is: a text, an unknown path, a refused form."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atcaprov.certs.issued_record import Origin
from atcaprov.terminal.printable import printable
from atcaprov.web.page_files import static_files
from atcaprov.web.roles import Role
from provisioning_server import web
from provisioning_server.ledger.administration import OrderOpened, Revoked, StationInvited
from provisioning_server.ledger.changes import Changes, Event, Issued
from tests.support.in_memory_signer import NOW, MemorySigner
from tests.support.ledgers import record, signer
from tests.support.web_pages import MemoryPages

MARKUP = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title></h1><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% include 'login.html' %}",
    "javascript:alert(1)",
    "&lt;b&gt;&#x27;",
    "a\r\nSet-Cookie: b=c",
    "<!--",
    "]]>",
)
FILES = static_files(Path(web.__path__[0]))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MemoryPages]:
    with contextlib.closing(MemoryPages(tmp_path_factory.mktemp("data"), now=NOW)) as found:
        yield found


class Seen(HTMLParser):
    """What a browser makes of a page: its elements with the names of their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def require_harmless(text: str, names: Sequence[str]) -> None:
    """Look for the names as texts, and for anything that a browser would run or load."""
    seen = Seen(text)
    for tag, attributes in seen.elements:
        assert tag not in ("img", "iframe", "object", "embed", "base", "style"), tag
        assert not [name for name in attributes if name.startswith("on") or name == "style"], attributes
        if tag == "script":
            assert str(attributes["src"]).startswith("/static/")
        for name in ("href", "action", "src"):
            assert str(attributes.get(name) or "/").startswith(("/", "#")), attributes
    for name in names:
        assert " ".join(printable(name).split()) in " ".join(seen.text.split()), name


def shown_everywhere(names: Sequence[str]) -> dict[str, str]:
    """Return the pages of a ledger in which everything has one of the names."""
    one = MemorySigner()
    one.name, one.remaining = names[0], 5
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(MemoryPages(Path(folder), [one], NOW)) as pages:
        origin = Origin(names[0], names[0], names[0], names[0], names[0])
        certified = replace(record(1), signer_name=names[0], client=names[0], origin=origin)
        numbers = certified.chip_serial, certified.signer_serial, certified.certificate_serial
        events: list[Event] = [
            Issued(certified),
            *(StationInvited(NOW, name, bytes([place]) * 32, NOW + timedelta(1)) for place, name in enumerate(names)),
            *(OrderOpened(NOW, name, name, ends=NOW + timedelta(hours=1)) for name in names),
            Revoked(NOW, 0, *numbers, names[0], names[0], names[0]),
        ]
        pages.ledger.commit(Changes([signer().documents], events=events))
        session = pages.log_in(Role.ADMINISTER)
        paths = ("/overview", "/signers", "/stations", "/orders", "/certificates", "/certificates/0", "/audit")
        return {path: pages.ask("GET", path, session).text for path in paths}


def test_markup_in_names_stays_text() -> None:
    found = shown_everywhere(MARKUP)
    for text in found.values():
        require_harmless(text, ())
    require_harmless(found["/stations"], MARKUP)
    require_harmless(found["/orders"], MARKUP)
    for path in ("/overview", "/signers", "/certificates/0"):
        require_harmless(found[path], MARKUP[:1])


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=4, unique=True))
def test_any_name_stays_text(names: list[str]) -> None:
    for text in shown_everywhere(names).values():
        require_harmless(text, ())


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40) | st.tuples(st.sampled_from(sorted(FILES)), st.text(max_size=3)).map("".join))
def test_only_the_files_that_are_meant_are_served(pages: MemoryPages, name: str) -> None:
    reply = pages.ask("GET", f"/static/{name.replace('?', '')}")
    assert reply.status == 404 or reply.body == FILES[name.replace("?", "")].content


@pytest.mark.parametrize(
    "path",
    [
        "/static/../routes.py",
        "/static/..\\routes.py",
        "/static//etc/passwd",
        "/static/style.css/",
        "/static/./style.css",
        "/static/STYLE.CSS",
        "/static/style.css\x00.js",
        "/static/",
        "/static",
        "//static/style.css",
        "/static/templates/login.html",
        "/templates/login.html",
    ],
)
def test_path_tricks_lead_nowhere(pages: MemoryPages, path: str) -> None:
    reply = pages.ask("GET", path)
    assert reply.status == 404
    assert reply.body.lower() in (b"not found\n", b"not found.\n")


def test_a_form_of_an_ended_session_is_worth_nothing(pages: MemoryPages) -> None:
    session = pages.log_in(Role.ADMINISTER)
    pages.ask("POST", "/logout", session)
    pages.done.clear()
    reply = pages.ask("POST", "/stations/remove?name=x", session, {"note": "replayed"})
    assert reply.status == 401
    assert pages.done == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "CONNECT", "X"])
def test_other_methods_are_refused(pages: MemoryPages, method: str) -> None:
    session = pages.log_in(Role.ADMINISTER)
    for path in ("/overview", "/stations/remove", "/certificates/0/device.der", "/login"):
        assert pages.ask(method, path, session).status == 405


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=20), max_size=6))
def test_any_query_and_form_is_answered_without_an_internal_error(pages: MemoryPages, fields: dict[str, str]) -> None:
    session = pages.log_in(Role.ADMINISTER)
    for path in ("/certificates", "/stations/remove", "/orders/close"):
        assert pages.ask("GET", f"{path}?{urlencode(fields)}", session).status in (200, 400, 404)
    assert pages.ask("POST", "/stations/remove?name=x", session, fields).status in (400, 403, 404)


def test_no_text_from_outside_reaches_a_header(pages: MemoryPages) -> None:
    origin = Origin(*MARKUP[:5])
    committed = pages.ledger.commit(
        Changes([signer().documents], events=[Issued(replace(record(7), client=MARKUP[7], origin=origin))])
    )
    session = pages.log_in(Role.LOOK)
    for name in ("device.der", "device.pem", "chain.pem"):
        reply = pages.ask("GET", f"/certificates/{committed.first_index}/{name}", session)
        assert re.fullmatch(rf'attachment; filename="[0-9A-F]{{18}}_\d+_{name}"', reply.headers["content-disposition"])
        assert set(reply.headers) == {"content-disposition", "content-length", "content-type"}
