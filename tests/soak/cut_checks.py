"""Check what power cuts leave: on a copy of each disk a server starts, and its ledger has all that was acknowledged."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Final

from tests.soak.acknowledged import certificates
from tests.soak.checker import lost_certificates
from tests.soak.cut_disk import files_of
from tests.soak.factory import Factory
from tests.soak.fork_server import ForkServer
from tests.soak.power_cuts import DATA, SERVER_WITHOUT_SYNC, Cut, CutMachine

_AFTER_ALL_BOOTS: Final = 10_000_000
"""The number of the first chip that is certified after a cut."""


@dataclass
class Cuts:
    """What was done: cuts by what they dropped, and what was at stake."""

    by_loss: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    held_writes: int = 0
    """Writes that were answered and not flushed at the cuts."""

    @property
    def done(self) -> int:
        """Return how many there were."""
        return self.by_loss.total()


@dataclass
class CutFactory:
    """A machine that is cut off, and servers of this machine that start on what it leaves."""

    machine: CutMachine
    servers: ForkServer

    def cut(self, count: int, per_boot: int, random: Random) -> Cuts:
        """Cut the power so often, and check each time.

        Raises:
            AssertionError: something was lost or doubled, or a server does not start. The disk is kept.
        """
        outcome = Cuts()
        while outcome.done < count:
            for cut in self.machine.run(min(per_boot, count - outcome.done), random):
                self._check(cut)
                outcome.by_loss[cut.loss.value] += 1
                outcome.acknowledged = len(certificates(cut.acknowledged))
                outcome.held_writes += cut.disk.held_writes
            print(f"soak: {outcome.done} cuts, {outcome.acknowledged} acknowledged certificates", flush=True)
        return outcome

    def control(self, count: int, random: Random) -> int:
        """Go on without syncs; return how many acknowledged certificates the cuts lose.

        Raises:
            AssertionError: none is lost, so the power cuts prove nothing.
        """
        machine = self.machine
        machine.server, machine.at_writes = SERVER_WITHOUT_SYNC, False
        lost = sum(self._lost(cut) for cut in machine.run(count, random))
        assert lost, "nothing was lost without syncs: the cuts are harmless"
        return lost

    def _check(self, cut: Cut) -> None:
        folder = self._fresh_folder()
        try:
            files_of(cut.image(), DATA, folder)
            self._factory(cut, folder).goes_on()
        except AssertionError as error:
            kept = self._keep(cut)
            what = f"{cut.loss.value}, seed {cut.seed}, {cut.moment}"
            raise AssertionError(f"after a cut ({what}; the disk is {kept}): {error}") from error
        shutil.rmtree(folder)

    def _lost(self, cut: Cut) -> int:
        folder = self._fresh_folder()
        files_of(cut.image(), DATA, folder)
        factory = self._factory(cut, folder)
        lost = len(certificates(cut.acknowledged))
        with contextlib.suppress(sqlite3.Error):  # a ledger that cannot be read has lost all
            lost = len(lost_certificates(factory.contents(), cut.acknowledged))
        shutil.rmtree(folder)
        return lost

    def _factory(self, cut: Cut, folder: Path) -> Factory:
        signer = ("--signer", self.machine.signer_folder)
        factory = Factory(self.servers, folder, signer, self.machine.signer_key, Random(cut.seed))
        given = certificates(cut.acknowledged)
        return replace(factory, acknowledged=list(cut.acknowledged), certificates=given, first=_AFTER_ALL_BOOTS)

    def _fresh_folder(self) -> Path:
        folder = self.machine.folder / "after-the-cut"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def _keep(self, cut: Cut) -> Path:
        path = self.machine.folder / f"cut-{cut.seed}.img"
        path.write_bytes(cut.image())
        path.with_suffix(".jsonl").write_bytes(b"".join(each.line() for each in cut.acknowledged))
        return path
