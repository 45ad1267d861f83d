"""What Prometheus is told, in its text format: https://prometheus.io/docs/instrumenting/exposition_formats/.

What happens is counted as it happens; what is, is read when it is asked for. It needs the extra `metrics`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from atcaprov.wire.messages import (
    CertificatesReply,
    CertificatesRequest,
    EnrolRequest,
    ErrorReply,
    ReportReply,
    ReportRequest,
    SignerRequest,
)

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
KEPT_SECONDS: Final = 1.0
"""How long a reading is given to further ones who ask: so it costs the same, however many ask."""
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_KINDS: Final = {
    SignerRequest: "signer",
    CertificatesRequest: "certificates",
    ReportRequest: "report",
    EnrolRequest: "enrol",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """A number that is read when it is asked for; `labels` are names and values. A `total` only ever grows."""

    name: str
    help: str
    value: float
    labels: tuple[tuple[str, str], ...] = ()
    total: bool = False


class ServerMetrics:
    """Counts requests by their replies, and reads the rest. `page` may be called by any thread."""

    def __init__(self, read: Callable[[], Sequence[Sample]]) -> None:
        """`read` returns samples of what is now; those of one name have the same label names."""
        self._registry = CollectorRegistry()
        self._read = read
        self._sent = self._counter("certificates_sent", "Certificates sent, also stored ones that were sent again.")
        self._refused = self._counter("refusals", "Requests refused, by their code.", "request", "code")
        self._reports = self._counter("reports", "Reports taken, by what became of the board.", "fate", "proven")
        self._seconds = Histogram(
            "atcaprov_reply_seconds",
            "From a request to its reply.",
            ["request"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._open = 0
        self._kept = (0.0, b"")
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"atcaprov_{name}", text, labels, registry=self._registry)

    def asked(self) -> float:
        """Count a request that came; return when that was, for `replied`. On the event loop."""
        self._open += 1
        return time.perf_counter()

    def replied(self, request: object, reply: object, asked: float) -> None:
        """Count a reply. On the event loop."""
        self._open -= 1
        kind = _KINDS.get(type(request), "other")
        self._seconds.labels(kind).observe(time.perf_counter() - asked)
        if isinstance(reply, ErrorReply):
            self.refused(request, reply)
        elif isinstance(reply, CertificatesReply):
            self._sent.inc()
        elif isinstance(reply, ReportReply) and isinstance(request, ReportRequest):
            self._reports.labels(request.fate, "yes" if reply.proven else "no").inc()

    def refused(self, request: object, reply: ErrorReply) -> None:
        """Count a refusal."""
        self._refused.labels(_KINDS.get(type(request), "other"), reply.code).inc()

    def collect(self) -> Iterator[Metric]:
        """Yield what is read now (a collector of prometheus_client)."""
        yield GaugeMetricFamily("atcaprov_requests_open", "Requests that have no reply yet.", self._open)
        families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
        for sample in self._read():
            if sample.name not in families:
                kind = CounterMetricFamily if sample.total else GaugeMetricFamily
                names = [name for name, _ in sample.labels]
                families[sample.name] = kind(f"atcaprov_{sample.name}", sample.help, labels=names)
            families[sample.name].add_metric([value for _, value in sample.labels], sample.value)
        yield from families.values()

    def describe(self) -> list[Metric]:
        """Return nothing, so that nothing is read at the registration."""
        return []

    def page(self) -> bytes:
        """Return everything in the text format."""
        read_at, text = self._kept
        if not text or not 0.0 <= time.monotonic() - read_at < KEPT_SECONDS:
            text = generate_latest(self._registry)
            self._kept = (time.monotonic(), text)
        return text
