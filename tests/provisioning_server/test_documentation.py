"""The pages of the server in docs/reference and the codes of the wire protocol say what the code does."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from atcaprov.certs.issued_record import COLUMNS
from atcaprov.product_profile.profile import ProofRule
from atcaprov.web import bounded_http, forms, logins
from atcaprov.web.roles import Role
from atcaprov.wire.messages import ErrorReply
from provisioning_server import rejections
from provisioning_server.cli import command
from provisioning_server.orders.rate_limits import DEFAULT_RATE, DEFAULT_SERVER_RATE
from provisioning_server.passwords.wrong_password_pause import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS
from provisioning_server.settings import DEFAULT_BIND, DEFAULT_PORT, default_data
from provisioning_server.transport.limits import ConnectionLimits
from provisioning_server.web import login_pages, signer_pages

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
PAGE = (REFERENCE / "provisioning-server.md").read_text(encoding="utf-8")
LIMITS_PAGE = (REFERENCE / "limits.md").read_text(encoding="utf-8")
WIRE = (REFERENCE / "wire-protocol.md").read_text(encoding="utf-8")


def _section(title: str, page: str = "provisioning-server.md") -> str:
    text = (REFERENCE / page).read_text(encoding="utf-8")
    return text.split(f" {title}\n", 1)[1].split("\n#", 1)[0]


def test_every_option_is_explained_once_and_no_other() -> None:
    explained = re.findall(r"^\| `(--[a-z-]+)", _section("Options"), re.MULTILINE)
    long = [option for param in command.params for option in param.opts if option.startswith("--")]
    assert sorted(explained) == sorted([*long, "--help"])
    assert f"| `{DEFAULT_BIND}` |" in PAGE
    assert f"| `{DEFAULT_PORT}` |" in PAGE


@pytest.mark.skipif(sys.platform != "linux", reason="the page names the folder of Linux")
def test_the_data_folder_is_where_page_and_help_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/line")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    named = f"~/{default_data().relative_to('/home/line')}"
    assert f"`{named}` on Linux" in PAGE
    assert next(named in str(option.show_default) for option in command.params if option.name == "data")  # type: ignore[attr-defined]


def test_the_columns_of_the_signing_log_are_explained_in_order() -> None:
    assert re.findall(
        r"^\| `([a-z_]+)` \|", _section("Columns of the signing log", "server-records.md"), re.MULTILINE
    ) == list(COLUMNS)


def test_the_bounds_of_the_web_page_are_those_of_the_code() -> None:
    section = (REFERENCE / "server-web-page.md").read_text(encoding="utf-8")
    for bound in (
        f"{bounded_http.CONNECTIONS_MAX} connections, {signer_pages.STREAMS_MAX} pages open,",
        f"{bounded_http.REQUEST_SECONDS:.0f} seconds for a request",
        f"{forms.BODY_MAX // 1024} KiB for a form",
        f"more than {logins.SESSIONS_MAX} of a role the oldest",
        f"answered after a second, at most {login_pages.WRONG_CODES_MAX} at",
        f"{logins.CODE_SECONDS / 60:.0f} minutes",
        f"of {FIRST_PAUSE_SECONDS:.0f} second, then 2, 4, ... at most {LONGEST_PAUSE_SECONDS:.0f}",
    ):
        assert bound in section, bound


@pytest.mark.parametrize("role", Role)
def test_the_times_of_a_login_are_those_of_the_code(role: Role) -> None:
    row = next(line for line in _section("Roles", "server-web-page.md").splitlines() if line.startswith(f"| {role} "))
    longest, idle = row.split(" | ")[2:]
    times = logins.SESSION_TIMES[role]
    assert _seconds(longest) == times.longest
    assert _seconds(idle.rstrip(" |")) == times.idle


def _seconds(text: str) -> int:
    number, unit = text.split()
    return int(number) * {"minutes": 60, "hours": 3600, "days": 86400}[unit]


def test_the_limits_are_those_of_the_code() -> None:
    limits = ConnectionLimits()
    expected = [
        f"| {limits.connections}. In a full table",
        f"Above {limits.refused} that are being told",
        f"no bound up to {limits.connections * 3 // 4} connections",
        f"an address that holds {limits.of_one_address} gets",
        f"| connections of one station | {limits.of_one_station};",
        f"| {limits.handshakes}, and {limits.handshakes_of_one_address} of one address;",
        f"| {limits.handshake_bytes // 1024} KiB |",
        f"| the TLS handshake | {limits.handshake_seconds:.0f} seconds |",
        f"| first message after connecting | {limits.first_message_seconds:.0f} seconds |",
        f"| the header of a message, from its first byte to its last | {limits.header_seconds:.0f} seconds |",
        f"| the rest of the message | {limits.body_seconds:.0f} seconds |",
        f"| between two messages | {limits.idle_seconds / 3600:.0f} hours |",
        f"| a client that does not take its reply | {limits.write_seconds:.0f} seconds |",
        f"| a client that was refused, to read why | {limits.linger_seconds:.0f} seconds |",
    ]
    assert [text for text in expected if text not in LIMITS_PAGE] == []
    assert limits.refusal_seconds == 0.25, "a quarter of a second, as the page says"


def test_rates_of_the_page_are_the_defaults() -> None:
    assert f"| `--rate N/UNIT` | `{DEFAULT_RATE}` |" in LIMITS_PAGE
    assert f"| `--server-rate N/UNIT` | `{DEFAULT_SERVER_RATE}` |" in LIMITS_PAGE


@pytest.mark.parametrize(
    "reply",
    [
        *(value for value in vars(rejections).values() if isinstance(value, ErrorReply)),
        rejections.product_unknown("a", ["b"]),
        rejections.signer_not_allowed("a", "has another root"),
        rejections.proofs_overdue("line-3", "a", 11, ProofRule()),
    ],
    ids=lambda reply: reply.code,
)
def test_every_refusal_stands_in_the_wire_protocol(reply: ErrorReply) -> None:
    row = next(line for line in WIRE.splitlines() if line.startswith("| ") and f"`{reply.code}`" in line.split("|")[1])
    assert row.split("|")[2].strip() == ("yes" if reply.retryable else "no")
