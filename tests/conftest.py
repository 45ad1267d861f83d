"""Settings of the whole suite."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import settings

NO_SKIP = "ATCAPROV_NO_SKIP"
"""Environment variable: set to 1, a test that would be skipped fails; the continuous integration sets it."""


def _hear_ignored_signals() -> None:
    """Give a handler to SIGHUP and SIGINT where they are ignored, as under nohup or in a background job.

    Ignored signals stay ignored in every process that a test starts; a handler does not: there the default holds again.
    The suite itself continues after a SIGHUP if that was ignored when it started.
    """
    for name, handler in (("SIGHUP", _go_on), ("SIGINT", signal.default_int_handler)):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def _go_on(*_: object) -> None:
    """Do nothing."""


@pytest.fixture(scope="session", autouse=True)
def _state_of_no_user(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """Keep what programs would store in the home of the user, such as reports that wait, in a folder of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


_hear_ignored_signals()
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
