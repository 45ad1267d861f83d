"""Names of the logs in the data folder."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning_server.records.data_folder import DataFolder

NOON = datetime(2026, 1, 31, 12, 0, 0)


def test_a_log_is_named_by_the_start_of_its_server(tmp_path: Path) -> None:
    assert DataFolder(tmp_path, NOON).signing_log() == tmp_path / "logs" / "signing-20260131-120000.tsv"


@pytest.mark.slow
@given(st.lists(st.integers(-2, 2), min_size=1, max_size=12))
def test_logs_sort_by_the_order_of_their_starts(tmp_path_factory: pytest.TempPathFactory, hours: list[int]) -> None:
    """With any clock: within one second, and set back."""
    folder = tmp_path_factory.mktemp("data")
    made = []
    for offset in hours:
        data = DataFolder(folder, NOON + timedelta(hours=offset))
        made.append(data.signing_log())
        made[-1].touch()
        with data.program_log():
            pass
    logs = folder / "logs"
    assert sorted(logs.glob("signing-*.tsv")) == made
    assert len(list(logs.glob("server-*.log"))) == len(made)


def test_foreign_file_is_not_a_log_of_a_start(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    for name in ("signing-20270101-000000_copy.tsv", "signing-2099.tsv", "signing-.tsv"):
        (tmp_path / "logs" / name).touch()
    test_a_log_is_named_by_the_start_of_its_server(tmp_path)
