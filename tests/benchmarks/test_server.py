"""How many certificates the server issues for each second of its own processor time, and how near that is to the limit.

The server is the real program with a software signer, its ledger on the disk; each connection sends a request when the
last reply has come. Its processor time is what the system counts for its process, so a busy machine and the clients
beside it change the figures little. What a certificate costs at least is measured in the same run, after each load.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.benchmarks.cfssl import PeerFigures, measure_cfssl
from tests.benchmarks.closed_loop import processor_seconds_of_family
from tests.benchmarks.counted_server import read_steps
from tests.benchmarks.machine_limit import Parts, mean_parts, measure_parts
from tests.benchmarks.measured_server import ServerLoad, measured_server
from tests.benchmarks.report import Figure, report
from tests.support.postgresql import running_postgresql

CERTIFICATES = 6400
ROUNDS = 3
CERTIFICATES_OF_PEER = 1500
MANY = 200_000
CERTIFICATES_AT_ONCE = 20_000


@pytest.mark.parametrize("connections", [64, 256])
def test_share_of_the_limit(tmp_path: Path, connections: int) -> None:
    found = _measure(tmp_path, connections, proven=False)
    waits = [_percentile(load.waits, 99) for load in found.loads]
    report(
        Figure(
            f"server.certs_per_cpu_s.c{connections}",
            round(1 / found.cost, 1),
            "certs/CPU-s",
            f"{ROUNDS} x {CERTIFICATES} certificates, {connections} connections, software signer, ledger durable;"
            f" {found.rate:,.0f}/s by the clock with the clients on the same machine; the guide's files take"
            f" {1e6 * found.files_cost:.0f} us of processor time each afterwards",
        ),
        _share(f"server.share_of_limit.c{connections}", found, found.limit.issued),
        Figure(
            f"server.p99_ms.c{connections}",
            round(1e3 * statistics.median(waits), 1),
            "ms",
            "by the clock, from a request to its reply; depends on what else the machine does",
        ),
    )


@pytest.mark.parametrize("connections", [64, 256])
def test_share_of_the_limit_with_proofs(tmp_path: Path, connections: int) -> None:
    found = _measure(tmp_path, connections, proven=True)
    report(_share(f"server.share_of_limit_proven.c{connections}", found, found.limit.proven))


def _share(name: str, found: _Measured, limit: float) -> Figure:
    note = (
        f"{1e6 * found.cost:.0f} us for a certificate, of which its parts take {1e6 * limit:.0f} us:"
        f" {found.limit.text()}; {found.batch:.0f} entries to a sync"
    )
    return Figure(name, round(100 * limit / found.cost, 1), "%", note)


@dataclass(frozen=True, slots=True)
class _Measured:
    """Some loads, and what the parts of a certificate cost after each; `batch` entries were written with a sync."""

    loads: Sequence[ServerLoad]
    limit: Parts
    batch: float

    @property
    def cost(self) -> float:
        """Processor seconds of a certificate."""
        return statistics.mean(load.processor_seconds for load in self.loads) / CERTIFICATES

    @property
    def files_cost(self) -> float:
        """Processor seconds of a certificate's files, after the load."""
        return statistics.mean(load.files_processor_seconds for load in self.loads) / CERTIFICATES

    @property
    def rate(self) -> float:
        """Certificates per second by the clock."""
        return statistics.mean(CERTIFICATES / load.seconds for load in self.loads)


def _measure(folder: Path, connections: int, *, proven: bool) -> _Measured:
    loads, parts, batches = [], [], []
    for number in range(ROUNDS):
        own = folder / f"server-{number}"
        with measured_server(own) as server:
            loads.append(server.issue(CERTIFICATES, connections, proven=proven))
        batches.append(read_steps(own).batch)
        parts.append(measure_parts(folder / f"parts-{number}", batches[-1]))
    return _Measured(loads, mean_parts(parts), statistics.mean(batches))


@pytest.mark.parametrize("connections", [64])  # of one station, which may not hold very many more
def test_cost_of_mtls(tmp_path: Path, connections: int) -> None:
    """Over connections that are kept open, as stations do; plain and TLS take turns on the same machine."""
    each = _in_turns(tmp_path, connections, tls=True)
    report(
        Figure(
            f"server.mtls_cost.c{connections}",
            round(100 * (1 - each[0] / each[1]), 1),
            "%",
            f"of the server's processor time: {each[1]:.0f} us for a certificate with TLS, {each[0]:.0f} us without",
        )
    )


def test_cost_of_metrics(tmp_path: Path) -> None:
    """Counted at each reply; a server with the page and one with its metrics take turns on the same machine."""
    each = _in_turns(tmp_path, 64, "--metrics-open", both=("--web", 0))
    report(
        Figure(
            "server.metrics_cost.c64",
            round(100 * (1 - each[0] / each[1]), 1),
            "%",
            f"of the processor time: {each[1]:.0f} us for a certificate with metrics, {each[0]:.0f} us without",
        )
    )


def _in_turns(
    folder: Path, connections: int, *options: object, both: Sequence[object] = (), tls: bool = False
) -> tuple[float, float]:
    """Return the processor times (microseconds) of a certificate without the options or TLS, and with them."""
    without, changed = [], []
    for number in range(ROUNDS):
        with measured_server(folder / f"without-{number}", *both) as server:
            without.append(server.issue(CERTIFICATES, connections).processor_seconds)
        with measured_server(folder / f"with-{number}", *both, *options, tls=tls) as server:
            changed.append(server.issue(CERTIFICATES, connections).processor_seconds)
    first, second = (1e6 * statistics.mean(used) / CERTIFICATES for used in (without, changed))
    return first, second


def test_ledger_on_postgresql(tmp_path: Path) -> None:
    """Beside `server.certs_per_cpu_s.c64`, with PostgreSQL on the same machine, reached over a Unix socket."""
    loads, used = [], []
    with running_postgresql() as database:
        for number in range(ROUNDS):
            url = database.make_database(f"ledger_{number}")
            with measured_server(tmp_path / f"server-{number}", "--ledger", url) as server:
                before = processor_seconds_of_family(database.pid)
                loads.append(server.issue(CERTIFICATES, 64))
                used.append(processor_seconds_of_family(database.pid) - before)
    rate = statistics.mean(CERTIFICATES / load.seconds for load in loads)
    report(
        Figure(
            "server.certs_per_cpu_s.c64.postgresql",
            round(CERTIFICATES / statistics.mean(load.processor_seconds for load in loads), 1),
            "certs/CPU-s",
            f"the server's own time; {rate:,.0f}/s by the clock with PostgreSQL and the clients on the same machine",
        ),
        Figure(
            "postgresql.cpu_us_per_cert.c64",
            round(1e6 * statistics.mean(used) / CERTIFICATES, 1),
            "us",
            "PostgreSQL's own processor time, also for what the guide's files are written from",
        ),
    )


def test_ratio_to_cfssl(tmp_path: Path) -> None:
    found = {}
    for connections in (64, 256):
        peer = measure_cfssl(tmp_path / f"cfssl-{connections}", CERTIFICATES_OF_PEER, connections)
        with measured_server(tmp_path / f"server-{connections}") as server:
            found[connections] = CERTIFICATES / server.issue(CERTIFICATES, connections).processor_seconds, peer
    report(*(_ratio(connections, *found[connections]) for connections in found))


def _ratio(connections: int, ours: float, peer: PeerFigures) -> Figure:
    note = (
        f"{ours:,.0f} certificates per second of the server's processor time, cfssl with SQLite"
        f" {peer.per_processor_second:,.0f} with {100 * peer.errors:.1f} % errors; {connections} connections,"
        " both durable; cfssl also verifies a signed request"
    )
    name = f"server.ratio_cfssl_durable.c{connections}"
    return Figure(name, round(ours / peer.per_processor_second, 2), "times", note)


def test_memory_does_not_grow(tmp_path: Path) -> None:
    """Over many certificates; the first ones fill caches and pools."""
    with measured_server(tmp_path) as server:
        sizes = []
        for _ in range(MANY // CERTIFICATES_AT_ONCE):
            server.issue(CERTIFICATES_AT_ONCE, 64)
            sizes.append(server.resident_mib())
    note = (
        f"resident memory after {MANY:,} certificates, beyond the {sizes[0]:.0f} MiB after {CERTIFICATES_AT_ONCE:,};"
        f" on the way {', '.join(f'{size:.0f}' for size in sizes[1:-1])} MiB"
    )
    report(Figure("server.rss_growth_mib", round(sizes[-1] - sizes[0], 1), "MiB", note))


def _percentile(waits: Sequence[float], percent: int) -> float:
    """Return the wait that `percent` of all requests did not exceed."""
    return sorted(waits)[min(len(waits) - 1, len(waits) * percent // 100)]
