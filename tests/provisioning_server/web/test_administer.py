"""An administrator at the page of a running server: what is done there is done, recorded and shown."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from atcaprov.web.address import WebAddress
from atcaprov.web.roles import Role
from atcaprov.wire.messages import CertificatesReply
from provisioning_server.control.client import run_command
from provisioning_server.ledger.administration import OrderClosed, StationRemoved
from provisioning_server.ledger.entry_bodies import decode
from tests.support.in_memory_signer import MemorySigner
from tests.support.ledgers import ledger_in
from tests.support.raw_http_client import Visitor
from tests.support.server import WireClient, running_server
from tests.support.server_parts import request

pytestmark = pytest.mark.slow


def logged_in(data: Path, role: Role) -> Visitor:
    """Return a visitor with a link that was asked for over the control channel."""
    visitor = Visitor(data)
    link = run_command(data, "web-link", {"role": role.value})["link"]
    visitor.log_in(urlsplit(link).fragment)
    return visitor


def test_certificate_that_is_revoked_on_the_page_is_revoked_in_the_ledger(tmp_path: Path) -> None:
    signer = MemorySigner()
    with running_server(signer, tmp_path, web=WebAddress("127.0.0.1", 0)) as address:
        with WireClient(address) as wire:
            assert isinstance(wire.ask(request(signer)), CertificatesReply)
        visitor = logged_in(tmp_path, Role.ADMINISTER)
        assert "Not proven" in visitor.ask("GET", "/certificates/0").text
        assert "Revoke it" in visitor.ask("GET", "/certificates/0/revoke").text
        fields = {"secret": visitor.secret, "reason": "superseded", "note": "worn out"}
        for role in (Role.LOOK, Role.UNLOCK):
            other = logged_in(tmp_path, role)
            assert other.send_form("/certificates/0/revoke", {**fields, "secret": other.secret}).status == 403
        assert visitor.send_form("/certificates/0/revoke", fields).status == 303
        shown = visitor.ask("GET", "/certificates/0").text
        assert "Revoked, superseded. worn out. By web administer " in shown
        assert visitor.send_form("/certificates/0/revoke", fields).status == 409
    with contextlib.closing(ledger_in(tmp_path)) as ledger:
        (revoked,) = ledger.administered.revocations()
    assert (revoked.certificate_index, revoked.reason, revoked.note) == (0, "superseded", "worn out")
    assert re.fullmatch(r"web administer [0-9a-f]{8} 127\.0\.0\.1", revoked.by)


def test_station_is_removed_and_work_order_closed_on_the_page(tmp_path: Path) -> None:
    with running_server(MemorySigner(), tmp_path, web=WebAddress("127.0.0.1", 0)):
        station = {"name": "line-1", "valid_seconds": 3600, "servers": ["127.0.0.1:11235"], "by": "test"}
        run_command(tmp_path, "station-add", station)
        run_command(tmp_path, "order-open", {"order": "A-1", "count": 5, "stations": [], "by": "test"})
        visitor = logged_in(tmp_path, Role.ADMINISTER)
        assert "Invited" in visitor.ask("GET", "/stations").text
        assert "0 of 5" in visitor.ask("GET", "/orders").text
        fields = {"secret": visitor.secret, "note": "worn out"}
        for path, back in (("/stations/remove?name=line-1", "/stations"), ("/orders/close?name=A-1", "/orders")):
            assert "This cannot be undone" in visitor.ask("GET", path).text
            reply = visitor.send_form(path, fields)
            assert (reply.status, reply.headers["location"]) == (303, back), reply.text
        assert "line-1" not in visitor.ask("GET", "/stations").text
        assert "Closed" in visitor.ask("GET", "/orders").text
    with contextlib.closing(ledger_in(tmp_path)) as ledger:
        (order,) = ledger.administered.orders()
        (invitation,) = ledger.administered.invitations()
        assert order.closed is not None
        assert invitation.closed is not None
        for index in (order.closed, invitation.closed):
            event = decode(ledger.entries(index, 1)[0].body.decode())
            assert isinstance(event, OrderClosed | StationRemoved)
            assert event.reason == "worn out"
            assert event.by.startswith("web administer ")
