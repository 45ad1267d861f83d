"""What the pages show of a ledger, and what an administrator does on them."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov.errors import Code, UsageError
from atcaprov.web.roles import Role
from provisioning_server.web.certificate_pages import SHOWN
from tests.support import ledgers
from tests.support.factory_days import administer, fill
from tests.support.in_memory_signer import NOW
from tests.support.server_parts import chip_serial
from tests.support.web_pages import MemoryPages

HOURS = 30


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MemoryPages]:
    with contextlib.closing(MemoryPages(tmp_path_factory.mktemp("data"), now=NOW)) as found:
        fill(found.ledger, NOW, HOURS)
        administer(found.ledger, NOW)
        yield found


def text_of(pages: MemoryPages, path: str, role: Role = Role.LOOK) -> str:
    reply = pages.ask("GET", path, pages.log_in(role))
    assert reply.status == 200, reply
    return reply.text


def links(text: str) -> list[int]:
    """Return the certificates that a list links to."""
    return [int(index) for index in re.findall(r'href="/certificates/(\d+)"', text)]


def test_the_overview_counts_what_the_ledger_has(pages: MemoryPages) -> None:
    text = text_of(pages, "/overview")
    stored = pages.ledger.tables.newest(None, 1000)
    begin = (NOW - timedelta(hours=23)).replace(minute=0, second=0)
    in_day = [each for each in stored if each.record.time >= begin]
    assert f"<dt>Certificates in 24 hours</dt><dd>{len(in_day)}</dd>" in text
    failed = sum(each.fate in ("retry", "set-aside", "scrap") for each in in_day)
    assert f"<dt>Failed in 24 hours</dt><dd>{failed}</dd>" in text
    good, final = (sum(each.fate in fates for each in in_day) for fates in (("good",), ("good", "set-aside", "scrap")))
    assert f"<dt>Yield in 24 hours</dt><dd>{100 * good / final:.1f} %</dd>" in text
    assert '<th scope="row">chip-communication</th>' in text
    assert text.count("<svg ") == 4


def test_each_plot_says_the_same_in_a_table(pages: MemoryPages) -> None:
    figure = text_of(pages, "/overview").split('id="rate-title"')[1].split("</figure>")[0]
    drawn = [int(number) for number in re.findall(r"<title>\d\d:\d\d: (\d+)</title>", figure)]
    told = [int(number) for number in re.findall(r'<td class="amount">(\d+)</td>', figure)]
    assert len(told) == 24
    assert [number for number in told if number] == drawn


def test_alarms_name_what_ends_soon(pages: MemoryPages) -> None:
    text = text_of(pages, "/overview")
    assert "The certificate of station line-2 ends 2026-11-24." in text
    assert "Work order A-1001 ends 2026-11-21 22:30 UTC." in text
    assert "alarms:</span> 2</span>" in text


@pytest.mark.parametrize("number", [1, 20])
def test_certificate_is_found_by_each_of_its_names(pages: MemoryPages, number: int) -> None:
    (stored,) = pages.ledger.known([chip_serial(number)], []).of_chip(chip_serial(number))
    record = stored.record
    chip, serial = record.chip_serial.hex(), record.certificate_serial.hex()
    spaced = " ".join(chip[at : at + 2] for at in range(0, 18, 2))
    for text in (chip, chip.upper(), spaced, serial, serial[:10], serial[:19], record.origin.label, record.origin.unit):
        assert links(text_of(pages, f"/certificates?q={text.replace(' ', '+')}")) == [stored.index], text


@pytest.mark.parametrize("text", ["0123000000000000FFEE", "box", "U", "%", "_", "' OR 1=1 --", "0" * 41, "é"])
def test_what_does_not_exist_is_not_found(pages: MemoryPages, text: str) -> None:
    assert links(text_of(pages, f"/certificates?q={quote(text)}")) == []


@pytest.mark.parametrize("query", ["q=%00", "q=a%0Ab", "order=%1B", "q=" + "1" * 129, "list=%00"])
def test_questions_that_cannot_be_typed_are_refused(pages: MemoryPages, query: str) -> None:
    assert pages.ask("GET", f"/certificates?{query}", pages.log_in(Role.LOOK)).status == 400


def test_lists_are_read_page_by_page(pages: MemoryPages) -> None:
    found: list[int] = []
    path = "/certificates"
    while path:
        text = text_of(pages, path)
        found += links(text)
        older = re.search(r'<a href="([^"]+)">Older ones</a>', text)
        path = older[1].replace("&amp;", "&") if older else ""
    assert found == [each.index for each in pages.ledger.tables.newest(None, 1000)]
    assert len(found) > SHOWN


def test_lists_of_what_is_unproven_and_revoked(pages: MemoryPages) -> None:
    assert links(text_of(pages, "/certificates?list=revoked")) == [0]
    unproven = links(text_of(pages, "/certificates?list=unproven"))
    assert unproven == [each.index for each in pages.ledger.tables.newest(None, 1000) if each.proven is None][:SHOWN]
    assert pages.ask("GET", "/certificates?list=other", pages.log_in(Role.LOOK)).status == 400


def test_one_certificate_has_its_facts_and_its_history(pages: MemoryPages) -> None:
    text = text_of(pages, "/certificates/0")
    assert "<dt>Label</dt><dd>box 0</dd>" in text
    assert "<dt>Station</dt><dd>line-1</dd>" in text
    assert "Revoked, keyCompromise. lost in the mail. By test." in text
    assert "Reported as good, with its proof." in text


@pytest.mark.parametrize("path", ["99999", "x", "-1", "1" * 30, "0/other", "0/..%2fdevice.pem", "٣"])
def test_other_paths_lead_nowhere(pages: MemoryPages, path: str) -> None:
    assert pages.ask("GET", f"/certificates/{path}", pages.log_in(Role.LOOK)).status == 404


def test_downloads_are_the_certificates(pages: MemoryPages) -> None:
    stored = pages.ledger.tables.at(0)
    assert stored is not None
    session = pages.log_in(Role.LOOK)
    der = pages.ask("GET", "/certificates/0/device.der", session)
    assert der.body == stored.record.certificate
    assert der.headers["content-disposition"] == (
        f'attachment; filename="{stored.record.chip_serial.hex().upper()}_0_device.der"'
    )
    (device,) = x509.load_pem_x509_certificates(pages.ask("GET", "/certificates/0/device.pem", session).body)
    assert device.public_bytes(Encoding.DER) == stored.record.certificate
    chain = x509.load_pem_x509_certificates(pages.ask("GET", "/certificates/0/chain.pem", session).body)
    assert len(chain) == 3
    for issued, issuer in itertools.pairwise(chain):
        issued.verify_directly_issued_by(issuer)


def test_stations_have_their_last_sign_of_life(pages: MemoryPages) -> None:
    pages.connected.add("line-2")
    rows = dict(re.findall(r'<th scope="row">(line-\d|old)</th>(.*?)</tr>', text_of(pages, "/stations")))
    assert "Admitted" in rows["line-1"]
    assert "ago" in rows["line-1"]
    assert "Connected" in rows["line-2"]
    assert "<td>now</td>" in rows["line-2"]
    assert "Invited" in rows["line-3"]
    assert "Removed" in rows["old"]
    assert "Remove<" not in rows["line-1"]
    pages.connected.clear()


def test_orders_show_how_far_they_are(pages: MemoryPages) -> None:
    text = text_of(pages, "/orders", Role.ADMINISTER)
    names = re.findall(r'<a href="/certificates\?order=[^"]*">([^<]+)</a>', text)
    assert names == ["A-1002", "A-1001", "A-0999"]
    assert '0 of 500 <progress value="0" max="500"' in text
    assert text.count("/orders/close?name=") == 2


def test_the_audit_page_shows_the_head_of_the_log(pages: MemoryPages) -> None:
    text = text_of(pages, "/audit")
    head = pages.ledger.head()
    assert f"<dt>Entries</dt><dd>{head.size}</dd>" in text
    assert head.root.hex() in text
    assert '<a href="/certificates?list=revoked">1</a>' in text


ACTS = [
    ("/stations/remove?name=line-1", "/stations", ("station-remove", {"name": "line-1", "reason": "worn out"})),
    ("/orders/close?name=A-1002", "/orders", ("order-close", {"order": "A-1002", "reason": "worn out"})),
    (
        "/certificates/1/revoke",
        "/certificates/1",
        ("revoke", {"reason": "superseded", "note": "worn out"}),
    ),
]


@pytest.mark.parametrize(("path", "after", "done"), ACTS)
def test_an_administrator_confirms_and_it_is_done_in_his_name(
    pages: MemoryPages, path: str, after: str, done: tuple[str, dict[str, object]]
) -> None:
    session = pages.log_in(Role.ADMINISTER, "192.0.2.9")
    assert "This cannot be undone" in pages.ask("GET", path, session, peer="192.0.2.9").text
    pages.done.clear()
    fields = {"note": "worn out", "reason": "superseded"}
    reply = pages.ask("POST", path, session, fields, peer="192.0.2.9")
    assert (reply.status, reply.headers["location"]) == (303, after)
    who = f"web administer {session.name} 192.0.2.9"
    ((command, arguments),) = pages.done
    assert command == done[0]
    assert {**done[1], "by": who}.items() <= arguments.items()
    assert pages.log.lines[-1] == f"info: {done[0]} was asked for by {who}."


@pytest.mark.parametrize(("path", "after", "done"), ACTS)
def test_what_the_server_refuses_is_said(
    pages: MemoryPages, path: str, after: str, done: tuple[str, dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "refusal", UsageError("That <b>cannot</b> be.", advice="Try later.", code=Code.USAGE))
    reply = pages.ask("POST", path, pages.log_in(Role.ADMINISTER), {"reason": "superseded"})
    assert reply.status == 409
    assert "That &lt;b&gt;cannot&lt;/b&gt; be." in reply.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/stations/remove?name=nobody", 404),
        ("/stations/remove?name=old", 404),
        ("/stations/remove", 404),
        ("/orders/close?name=A-0999", 404),
        ("/certificates/0/revoke", 409),
        ("/certificates/7777/revoke", 404),
    ],
)
def test_what_cannot_be_done_is_not_offered(pages: MemoryPages, path: str, status: int) -> None:
    assert pages.ask("GET", path, pages.log_in(Role.ADMINISTER)).status == status


def test_a_reason_that_does_not_exist_revokes_nothing(pages: MemoryPages) -> None:
    pages.done.clear()
    reply = pages.ask("POST", "/certificates/1/revoke", pages.log_in(Role.ADMINISTER), {"reason": "certificateHold"})
    assert reply.status == 400
    assert pages.done == []


def test_links_for_acts_are_shown_to_administrators_only(pages: MemoryPages) -> None:
    for path, link in (("/stations", "/stations/remove"), ("/orders", "/orders/close"), ("/certificates/1", "/revoke")):
        shown = {role: link in text_of(pages, path, role) for role in Role}
        assert shown == {Role.LOOK: False, Role.UNLOCK: False, Role.ADMINISTER: True}


def test_a_ledger_that_cannot_be_read_leaves_the_pages_and_the_server_working(
    pages: MemoryPages, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise UsageError("The disk is gone.", code=Code.RECORDS_FAILED)

    monkeypatch.setattr(pages.reader, "_opened", fail)
    monkeypatch.setattr(pages.reader, "_ledger", None)
    reply = pages.ask("GET", "/certificates", pages.log_in(Role.LOOK))
    assert reply.status == 503
    assert "The disk is gone." in reply.text
    assert ledgers.records_of(pages.ledger, chip_serial(1))
