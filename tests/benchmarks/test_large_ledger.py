"""What a server needs to start with a large ledger: neither time nor memory may grow with it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.benchmarks.generated_ledger import enlarge
from tests.benchmarks.measured_server import measured_server
from tests.benchmarks.report import Figure, report

ENTRIES = 5_000_000
FIRST = 640
BYTES_EACH = 3000
STARTS = 3
MORE = 6400


class _Start(NamedTuple):
    """How long a start took, and the resident memory after it."""

    seconds: float
    mib: float


def test_start_with_five_million_certificates(tmp_path: Path) -> None:
    if shutil.disk_usage(tmp_path).free < ENTRIES * BYTES_EACH:
        pytest.skip(f"{tmp_path} has no room for {ENTRIES * BYTES_EACH // 10**9} GB")
    with measured_server(tmp_path) as server:
        server.issue(FIRST, 64)
    try:
        small = _start(tmp_path)
        enlarge(tmp_path / "data", ENTRIES)
        size = (tmp_path / "data" / "ledger.sqlite3").stat().st_size
        large = _start(tmp_path)
        cost = _cost_of_more(tmp_path)
    finally:
        shutil.rmtree(tmp_path / "data")
    note = f"from the start of the program until it issues; {ENTRIES:,} entries, {size / 1e9:.1f} GB"
    report(
        Figure(
            "server.start_s.5m", round(large.seconds, 2), "s", f"{note}; with {FIRST} entries {small.seconds:.2f} s"
        ),
        Figure(
            "server.start_mib.5m", round(large.mib, 1), "MiB", f"resident then; with {FIRST} entries {small.mib:.0f}"
        ),
        Figure("server.certs_per_cpu_s.5m", round(1 / cost, 1), "certs/CPU-s", f"of {MORE} certificates more"),
    )


def _start(folder: Path) -> _Start:
    """Start a server some times; the last start counts, as the first one reads from the disk."""
    for _ in range(STARTS):
        with measured_server(folder) as server:
            found = _Start(server.start_seconds, server.resident_mib())
    return found


def _cost_of_more(folder: Path) -> float:
    """Return the processor seconds of a further certificate."""
    with measured_server(folder) as server:
        server.issued = FIRST
        return server.issue(MORE, 64).processor_seconds / MORE
