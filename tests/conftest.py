"""Settings of the whole suite."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import settings

NO_SKIP = "ATCAPROV_NO_SKIP"
"""Environment variable: set to 1, a test that would be skipped fails; the continuous integration sets it."""

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and os.environ.get(NO_SKIP) == "1" and not _is_expected_failure(report):
        report.outcome = "failed"
        report.longrepr = f"skipped although {NO_SKIP}=1: {call.excinfo and call.excinfo.value}"
    return report


def _is_expected_failure(report: Any) -> bool:
    return hasattr(report, "wasxfail")
