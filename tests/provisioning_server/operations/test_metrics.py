"""`/metrics` and `/ready` of a running server. The judge of the format is the parser of prometheus_client."""

from __future__ import annotations

import contextlib
import html
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from atcaprov import Board, UsageError
from atcaprov.web.address import WebAddress
from atcaprov.wire.messages import CertificatesReply, ErrorReply
from provisioning_server.cli import command
from provisioning_server.control.client import run_command
from provisioning_server.control.control_file import ControlFile
from provisioning_server.ledger.administration import OrderOpened
from provisioning_server.ledger.changes import Changes
from provisioning_server.operations.metrics import Sample, ServerMetrics
from provisioning_server.operations.metrics_access import MetricsAccess, metrics_access
from provisioning_server.orders.rate_limits import RequestRates
from provisioning_server.orders.rates import Rate
from tests.support.in_memory_signer import NOW, MemorySigner, SigningKey
from tests.support.ledgers import ledger_in
from tests.support.programs import run_in_process
from tests.support.raw_http_client import Visitor
from tests.support.reports import Product
from tests.support.secret_files import secret_file
from tests.support.server import WireClient, running_server
from tests.support.server_parts import chip_serial, request
from tests.support.system_programs import require_program

WEB = WebAddress("127.0.0.1", 0)
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "metrics.md"
TOKEN = "0123456789abcdef"


def parsed(text: str) -> dict[str, float]:
    """Return each sample as `name{label="value",...}`, judged by the parser."""
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        assert family.type in ("counter", "gauge", "histogram"), family.name
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            key = f"{sample.name}[{labels}]"
            assert key not in found, "a sample stands there once"
            found[key] = sample.value
    return found


def promtool(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Ask Prometheus' own tool."""
    program = require_program("promtool")
    return subprocess.run([program, *words], input=given, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_alarms_of_the_page_are_valid_and_name_metrics_of_the_page(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    described, alarms = text.split("## Worth an alarm")
    expressions = re.findall(r"^\| [^|]+ \| `(.+)` \|$", alarms, re.MULTILINE)
    assert len(expressions) == 7
    rules = [{"alert": f"Alarm{number}", "expr": each} for number, each in enumerate(expressions)]
    file = tmp_path / "rules.json"  # YAML, too
    file.write_text(json.dumps({"groups": [{"name": "alarms", "rules": rules}]}))
    judged = promtool("check", "rules", str(file))
    assert judged.returncode == 0, judged.stderr
    for name in re.findall(r"atcaprov_\w+", alarms):
        assert name.removesuffix("_bucket") in described


@pytest.mark.slow
def test_everything_that_happened_is_counted(tmp_path: Path) -> None:
    signer, key = MemorySigner(), SigningKey()
    signer.remaining = 5000
    serial = f"name={signer.name},signer={signer.serial.hex().upper()}"
    with contextlib.closing(ledger_in(tmp_path)) as ledger:
        ledger.commit(Changes(events=[OrderOpened(NOW, "4711", "lamp", 100)]))
    with running_server(signer, tmp_path, web=WEB, metrics=MetricsAccess()) as address, WireClient(address) as client:
        asked = request(signer, 1, key=key.public_key)
        reply = client.ask(asked)
        assert isinstance(reply, CertificatesReply)
        assert isinstance(client.ask(request(signer, 1, key=SigningKey().public_key)), ErrorReply)
        product = Product(key, chip_serial(1), reply.device_certificate, reply.challenge)
        client.ask(product.report())
        client.ask(request(signer, 2))
        page = Visitor(tmp_path).ask("GET", "/metrics")
    assert page.status == 200
    judged = promtool("check", "metrics", given=page.text)
    assert (judged.returncode, judged.stderr) == (0, ""), judged.stderr
    found = parsed(page.text)
    assert found["atcaprov_certificates_sent_total[]"] == 2
    assert found["atcaprov_refusals_total[code=chip-has-other-key,request=certificates]"] == 1
    assert found[f"atcaprov_reports_total[fate={Board.GOOD},proven=yes]"] == 1
    assert found["atcaprov_reply_seconds_count[request=certificates]"] == 3
    assert found["atcaprov_reply_seconds_bucket[le=+Inf,request=report]"] == 1
    assert 0 < found["atcaprov_reply_seconds_sum[request=certificates]"] < 60
    assert found["atcaprov_requests_open[]"] == 0
    assert found["atcaprov_connections[]"] == 1
    assert found["atcaprov_stations_connected[]"] == 0
    assert found["atcaprov_signing_queue_length[]"] == 0
    assert found[f"atcaprov_signer_ready[{serial}]"] == 1
    assert found[f"atcaprov_signer_quota_left[{serial}]"] == 5000
    assert found[f"atcaprov_certificates_issued_total[{serial}]"] == 2
    assert found["atcaprov_certificates_unproven[]"] == 1
    assert found["atcaprov_certificates_revoked[]"] == 0
    assert found["atcaprov_order_certificates_left[order=4711,product=lamp]"] == 100
    assert found["atcaprov_ledger_entries[]"] == 4, "order, two certificates, a report"
    assert found["atcaprov_ledger_open_intents[]"] == 0
    assert found["atcaprov_ledger_newest_timestamp_seconds[]"] > NOW.timestamp()
    assert found["atcaprov_ledger_failed[]"] == 0
    assert found["atcaprov_rate_refusals_total[request=certificate]"] == 0
    assert found["atcaprov_disk_free_bytes[]"] > 0
    assert (found["atcaprov_ready[]"], found["atcaprov_healthy[]"]) == (1, 1)
    assert any(name.startswith("atcaprov_build_info[version=") for name in found)


@pytest.mark.slow
def test_warnings_are_told_by_metrics_status_page_and_health(tmp_path: Path) -> None:
    signer, rates = MemorySigner(), RequestRates(None, Rate(2, 3600))
    with contextlib.closing(ledger_in(tmp_path)) as ledger:
        ledger.commit(Changes(events=[OrderOpened(NOW, "4711", "lamp", 100)]))
    options = {"web": WEB, "metrics": MetricsAccess(), "rates": rates, "quota_alarm": 100}
    with running_server(signer, tmp_path, **options) as address, WireClient(address) as client:
        refused = [isinstance(client.ask(request(signer, number)), ErrorReply) for number in range(1, 5)]
        visitor = Visitor(tmp_path)
        while '"ok"' in (health := visitor.ask("GET", "/health").text):  # the first look at the orders is not done
            continue
        found = parsed(visitor.ask("GET", "/metrics").text)
        status = run_command(tmp_path, "status", {})
        visitor.log_in()
        page = html.unescape(visitor.ask("GET", "/overview").text)
    assert health == '{"status":"degraded","code":"quota-low"}', "not what any computer on the network can cause"
    assert found["atcaprov_warnings[code=quota-low]"] == found["atcaprov_warnings[code=server-busy]"] == 1
    assert found["atcaprov_rate_refusals_total[request=certificate]"] == sum(refused) > 0
    order, rate = status["warnings"]
    assert order == "Work order '4711' has 100 certificates of 100 left."
    assert rate.startswith("More is asked for than the rates of the server allow")
    for text in status["warnings"]:
        assert text in page


@pytest.mark.slow
def test_metrics_are_for_those_who_bring_the_token(tmp_path: Path) -> None:
    with running_server(MemorySigner(), tmp_path, web=WEB, metrics=MetricsAccess(TOKEN.encode())):
        visitor = Visitor(tmp_path)
        for header in ("", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer \u00e9"):
            reply = visitor.ask("GET", "/metrics", headers={"Authorization": header})
            assert reply.status == 401
            assert "atcaprov_" not in reply.text
        reply = visitor.ask("GET", "/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert reply.status == 200
        assert "atcaprov_ready 1.0" in reply.text


@pytest.mark.slow
def test_without_being_told_there_are_no_metrics_and_ready_says_why(tmp_path: Path) -> None:
    with running_server(MemorySigner(), tmp_path, web=WEB):
        visitor = Visitor(tmp_path)
        assert visitor.ask("GET", "/metrics").status == 404
        ready = visitor.ask("GET", "/ready")
        assert (ready.status, ready.text) == (200, '{"ready":true,"why":""}')
    with running_server(MemorySigner(password=b"a password"), tmp_path, web=WEB):
        ready = Visitor(tmp_path).ask("GET", "/ready")
        assert ready.status == 503
        assert ready.text in ('{"ready":false,"why":"signer-not-ready"}', '{"ready":false,"why":"starting"}')
        assert run_command(tmp_path, "status", {})["ready"] is False


def test_reading_is_shared_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []

    def read() -> list[Sample]:
        reads.append(1)
        return [Sample("orders", "x", len(reads))]

    now = [100.0]
    monkeypatch.setattr("provisioning_server.operations.metrics.time.monotonic", lambda: now[0])
    metrics = ServerMetrics(read)
    assert parsed(metrics.page().decode())["atcaprov_orders[]"] == 1
    assert metrics.page() == metrics.page()
    now[0] += 1.0
    assert parsed(metrics.page().decode())["atcaprov_orders[]"] == 2
    now[0] -= 50.0  # a clock that was suspended
    assert parsed(metrics.page().decode())["atcaprov_orders[]"] == 3


def test_names_from_outside_cannot_forge_samples() -> None:
    name = 'a"} 1\natcaprov_forged 1\n# HELP \\'
    metrics = ServerMetrics(lambda: [Sample("signer_ready", "x", 1, (("name", name),))])
    (family,) = [
        f for f in text_string_to_metric_families(metrics.page().decode()) if f.name == "atcaprov_signer_ready"
    ]
    assert [sample.labels for sample in family.samples] == [{"name": name}]


def test_token_in_a_file(tmp_path: Path) -> None:
    path = secret_file(tmp_path / "token", f"{TOKEN}\n".encode())
    assert metrics_access(path, everyone=False) == MetricsAccess(TOKEN.encode())
    assert TOKEN not in repr(metrics_access(path, everyone=False))
    assert metrics_access(None, everyone=True) == MetricsAccess(None)
    assert metrics_access(None, everyone=False) is None
    with pytest.raises(UsageError, match="Leave out one of them"):
        metrics_access(path, everyone=True)


@pytest.mark.parametrize("content", [b"", b"short", b"two words are no token", b"x" * 257, b"\xff" * 20, b"x" * 2000])
def test_file_without_a_token_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UsageError, match="token"):
        metrics_access(secret_file(tmp_path / "token", content), everyone=False)


def test_file_without_a_token_is_refused_until_the_advice_is_followed(tmp_path: Path) -> None:
    require_program("openssl")
    path = secret_file(tmp_path / "a token", b"short")
    with pytest.raises(UsageError) as caught:
        metrics_access(path, everyone=False)
    subprocess.run(caught.value.advice.removeprefix("Make one: "), shell=True, check=True)
    access = metrics_access(path, everyone=False)
    assert access is not None
    assert access.token is not None
    assert len(access.token) == 64


def test_missing_package_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, ServerMetrics.__module__)
    with (
        pytest.raises(UsageError, match="prometheus_client") as caught,
        running_server(MemorySigner(), tmp_path, web=WEB, metrics=MetricsAccess()),
    ):
        pass
    assert "pip install" in caught.value.advice
    assert not ControlFile(tmp_path).path.exists()


def test_metrics_without_a_page_are_refused_until_the_advice_is_followed(tmp_path: Path) -> None:
    ended = run_in_process(command, "--signer", str(tmp_path), "--metrics-open")
    assert ended.code == 2
    assert "Give its address with --web." in ended.err
