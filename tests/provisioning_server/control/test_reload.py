"""Reload takes all settings over, or none."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

import pytest

from atcaprov.errors import Code, UsageError
from provisioning_server.control.reload import Reload, TakeOver


@dataclass
class Setting:
    """A value in a file, and the value in use; a file without one is broken."""

    file: str
    used: str = "old"
    reads: list[str] = field(default_factory=list)

    def read(self) -> TakeOver:
        if not self.file:
            raise UsageError("products/lamp.toml, line 3: no name.", code=Code.FILE_INVALID)
        found = self.file

        def take_over() -> list[str]:
            before, self.used = self.used, found
            return [] if before == found else [f"{before} is {found} now."]

        return take_over


def reload(*settings: Setting) -> list[str]:
    async def work() -> list[str]:
        reloading = Reload(logging.getLogger("provisioning_server.test"))
        for each in settings:
            reloading.add(each.read)
        return await reloading.reload()

    return asyncio.run(work())


def test_changes_are_taken_over_and_told() -> None:
    first, same = Setting("new"), Setting("old")
    assert reload(first, same) == ["old is new now."]
    assert (first.used, same.used) == ("new", "old")


def test_broken_file_leaves_all_old_settings(caplog: pytest.LogCaptureFixture) -> None:
    good, broken = Setting("new"), Setting("")
    for order in ((good, broken), (broken, good)):
        with pytest.raises(UsageError, match=r"products/lamp\.toml, line 3"):
            reload(*order)
        assert (good.used, broken.used) == ("old", "old")
    assert "the old settings stay. products/lamp.toml, line 3" in caplog.text


def test_nothing_to_reload_is_fine() -> None:
    assert reload() == []
