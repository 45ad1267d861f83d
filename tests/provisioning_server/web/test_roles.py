"""Who may reach which page: every route, with every login."""

from __future__ import annotations

import contextlib
import functools
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from atcaprov.web.roles import Role
from provisioning_server.web import login_pages
from provisioning_server.web.visits import VisitorRoute
from tests.support.in_memory_signer import MemorySigner
from tests.support.web_pages import MemoryPages, PageReply

ROLES = {
    ("GET", "/"): Role.LOOK,
    ("POST", "/logout"): Role.LOOK,
    ("GET", "/overview"): Role.LOOK,
    ("GET", "/signers"): Role.LOOK,
    ("GET", "/signers/events"): Role.LOOK,
    ("POST", "/signers/{key}/password"): Role.UNLOCK,
    ("GET", "/stations"): Role.LOOK,
    ("GET", "/stations/remove"): Role.ADMINISTER,
    ("POST", "/stations/remove"): Role.ADMINISTER,
    ("GET", "/orders"): Role.LOOK,
    ("GET", "/orders/close"): Role.ADMINISTER,
    ("POST", "/orders/close"): Role.ADMINISTER,
    ("GET", "/certificates"): Role.LOOK,
    ("GET", "/certificates/{index}"): Role.LOOK,
    ("GET", "/certificates/{index}/revoke"): Role.ADMINISTER,
    ("POST", "/certificates/{index}/revoke"): Role.ADMINISTER,
    ("GET", "/certificates/{index}/{file}"): Role.LOOK,
    ("GET", "/audit"): Role.LOOK,
}
"""What the pages of docs/reference say; a new route needs its line."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MemoryPages]:
    data = tmp_path_factory.mktemp("data")
    with contextlib.closing(MemoryPages(data, [MemorySigner(password=b"geheim")])) as found:
        yield found


def example(path: str) -> str:
    """Return a path that fits a route."""
    return re.sub(r"\{[^}]+\}", "1", path)


def refused(reply: PageReply) -> bool:
    return reply.status == 403 and "This needs a login that may" in reply.text


@functools.cache
def every_route() -> list[VisitorRoute]:
    with tempfile.TemporaryDirectory() as data, contextlib.closing(MemoryPages(Path(data))) as found:
        return found.pages.routes()


def test_every_route_has_its_role_in_the_table() -> None:
    assert {(route.method, route.path): route.role for route in every_route()} == ROLES


def test_nothing_else_is_served_without_a_login(pages: MemoryPages) -> None:
    public = {route.path for route in pages.pages.public_routes()}
    assert public == {"/health", "/ready", "/login", "/static/{name}"}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("route", every_route(), ids=lambda route: f"{route.method} {route.path}")
def test_a_login_reaches_what_its_role_allows_and_nothing_else(
    pages: MemoryPages, route: VisitorRoute, role: Role
) -> None:
    session = pages.log_in(role)
    reply = pages.ask(route.method, example(route.path), session)
    assert refused(reply) != role.includes(route.role), reply
    assert reply.status != 401


@pytest.mark.parametrize("route", every_route(), ids=lambda route: f"{route.method} {route.path}")
def test_no_route_is_reached_without_a_login_or_from_another_address(pages: MemoryPages, route: VisitorRoute) -> None:
    stolen = pages.log_in(Role.ADMINISTER)
    for reply in (
        pages.ask(route.method, example(route.path)),
        pages.ask(route.method, example(route.path), stolen, peer="192.0.2.78"),
    ):
        if route.method == "GET" and not route.stream:
            assert (reply.status, reply.headers["location"]) == (303, "/login")
        else:
            assert reply.status == 401
        assert reply.body in (b"", b"Log in first.\n")


@pytest.mark.parametrize(
    "route", [route for route in every_route() if route.method == "POST"], ids=lambda route: route.path
)
def test_no_form_is_taken_without_the_secret_of_its_session(pages: MemoryPages, route: VisitorRoute) -> None:
    session, other = pages.log_in(Role.ADMINISTER), pages.log_in(Role.ADMINISTER)
    for secret in ("", other.form_secret, session.cookie):
        reply = pages.ask("POST", example(route.path), session, {"secret": secret})
        assert reply.status == 403
        assert "another login" in reply.text
    assert pages.logins.open(session)


def test_who_only_looks_sees_no_field_for_a_password(pages: MemoryPages) -> None:
    shown = {role: 'type="password"' in pages.ask("GET", "/signers", pages.log_in(role)).text for role in Role}
    assert shown == {Role.LOOK: False, Role.UNLOCK: True, Role.ADMINISTER: True}


def test_logging_in_again_ends_the_session_before(pages: MemoryPages) -> None:
    before = pages.log_in(Role.ADMINISTER)
    reply = pages.ask("POST", "/login", before, {"code": pages.logins.new_code(Role.LOOK)})
    assert reply.status == 303
    assert f"login={before.cookie}" not in reply.headers["set-cookie"]
    assert not pages.logins.open(before)


def test_a_cookie_that_is_set_by_others_is_never_made_valid(pages: MemoryPages) -> None:
    """Session fixation: the cookie of a login is always a new one."""
    code = pages.logins.new_code(Role.LOOK)
    reply = pages.ask("POST", "/login", None, {"code": code}, headers={"cookie": "login=chosen"})
    assert reply.status == 303
    assert pages.logins.session("chosen") is None


def test_wrong_codes_are_slowed_down_and_bounded_and_the_right_one_is_taken_meanwhile(
    pages: MemoryPages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_pages, "WRONG_CODE_SECONDS", 0)
    code = pages.logins.new_code(Role.LOOK)
    assert pages.ask("POST", "/login", None, {"code": "wrong"}).status == 403
    monkeypatch.setattr(login_pages, "WRONG_CODES_MAX", 0)
    lines = len(pages.log.lines)
    reply = pages.ask("POST", "/login", None, {"code": "wrong"})
    assert (reply.status, reply.headers["retry-after"]) == (429, "1")
    assert len(pages.log.lines) == lines
    assert pages.ask("POST", "/login", None, {"code": code}).status == 303


def test_only_a_screen_on_the_wall_keeps_its_cookie_when_it_is_switched_off(pages: MemoryPages) -> None:
    kept = {}
    for role in Role:
        reply = pages.ask("POST", "/login", None, {"code": pages.logins.new_code(role)})
        kept[role] = "Max-Age=2592000" in reply.headers["set-cookie"]
        assert "HttpOnly" in reply.headers["set-cookie"]
    assert kept == {Role.LOOK: True, Role.UNLOCK: False, Role.ADMINISTER: False}
