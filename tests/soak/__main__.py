"""`python -m tests.soak [PART...]`: the proof by force, with a table at the end. Each part says its seed.

The files of a part that failed stay in `.bench/soak`.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import pytest

from tests.soak.checker import signature_problems
from tests.soak.cut_checks import CutFactory
from tests.soak.disk_faults import preloading
from tests.soak.factory import Factory
from tests.soak.failing_disks import calls_of_a_run, every_fault, fail_at
from tests.soak.fork_server import ForkServer, fork_server
from tests.soak.kills import kill_again_and_again
from tests.soak.module_signer import ModuleOnDisk
from tests.soak.power_cuts import CutMachine
from tests.soak.shared_ledger import SharedFactory
from tests.support.postgresql import running_postgresql
from tests.support.signer_folders import make_signer_folder
from virtual_bench.__main__ import EXIT_UNAVAILABLE, WORK_FOLDER, compile_sources
from virtual_bench.kernel import prepare_kernel
from virtual_bench.programs import BenchUnavailable

FOLDER: Final = WORK_FOLDER / "soak"
KILLS: Final = 300
MODULE_KILLS: Final = 60
SHARED: Final = 40
CUTS: Final = 100
_CUTS_PER_BOOT: Final = 20
_CONTROL_CUTS: Final = 3


@dataclass(frozen=True)
class Order:
    """What is wanted of a part: `count` 0 means as many as the whole soak has."""

    folder: Path
    random: Random
    count: int


def kills(order: Order) -> Iterable[str]:
    """kill -9 at each step and at random times."""
    with fork_server(os.environ) as servers:
        factory = _software_factory(order, servers)
        done = kill_again_and_again(factory, order.count or KILLS)
    contents = factory.contents()
    yield f"{done.done} kills, {done.before_ready} of them while the server started"
    yield from (f"{count:6} {name}" for name, count in sorted(done.by_step.items()))
    yield f"{len(factory.certificates)} acknowledged certificates, {len(contents.issued)} in the ledger, each once"
    proven = {each.number for each in factory.acknowledged if each.proven}
    checkpoints = {each.checkpoint for each in factory.acknowledged if each.checkpoint}
    yield f"{len(proven)} acknowledged proofs, {len(checkpoints)} checkpoints that the log continues"


def module(order: Order) -> Iterable[str]:
    """kill -9 while a signer module signs, which counts its signatures."""
    signer = ModuleOnDisk.make(order.folder)
    with fork_server(os.environ) as servers:
        factory = Factory(servers, order.folder, ("--module", signer.url), signer.public_key, order.random)
        done = kill_again_and_again(factory, order.count or MODULE_KILLS)
    contents, used = factory.contents(), signer.used()
    assert not (found := signature_problems(contents, used)), found
    yield f"{done.done} kills, {used} signatures by the module's counter"
    yield f"{len(contents.issued)} certificates and {len(contents.lost)} recorded losses"


def disk(order: Order) -> Iterable[str]:
    """ENOSPC and EIO at every call that writes to the ledger."""
    with fork_server(preloading(order.folder)) as servers:
        factory = _software_factory(order, servers)
        calls = calls_of_a_run(factory)
        faults = every_fault(calls)
        if order.count:
            faults = order.random.sample(faults, min(order.count, len(faults)))
        done = fail_at(factory, faults)
    yield f"{done.done} faults at {calls} calls: {', '.join(f'{n} {name}' for name, n in done.by_kind.items())}"
    yield f"{done.refused_start:6} starts refused"
    yield f"{done.stopped_issuing:6} servers that stopped issuing"
    yield f"{done.unnoticed:6} without effect"


def shared(order: Order) -> Iterable[str]:
    """Two servers on one ledger in PostgreSQL, which is restarted under load; one of them is killed."""
    signer = make_signer_folder(order.folder)
    options = ("--signer", signer.path)
    with running_postgresql() as database, fork_server(os.environ) as one, fork_server(os.environ) as other:
        url = database.make_database("ledger")
        factory = SharedFactory((one, other), order.folder, options, signer.public_key, order.random, database, url)
        factory.use_force(order.count or SHARED)
        contents = factory.contents()
    yield f"{order.count or SHARED} restarts of PostgreSQL and kills of one of two servers"
    yield f"{len(factory.certificates)} acknowledged certificates, {len(contents.issued)} in the ledger, each once"


def cuts(order: Order) -> Iterable[str]:
    """Power cuts in a virtual machine, and the control without syncs."""
    compile_sources()
    signer = make_signer_folder(order.folder)
    machine = CutMachine(prepare_kernel(WORK_FOLDER), order.folder / "machine", signer.path, signer.public_key)
    with fork_server(os.environ) as servers:
        factory = CutFactory(machine, servers)
        count = order.count or CUTS
        done = factory.cut(count, min(_CUTS_PER_BOOT, -(-count // 2)), order.random)
        lost = factory.control(_CONTROL_CUTS, order.random)
    yield f"{done.done} cuts, {done.acknowledged} acknowledged certificates before the last, none lost, none twice"
    yield from (f"{count:6} lost {name}" for name, count in sorted(done.by_loss.items()))
    yield f"{done.held_writes} writes stood in the disk's cache at the cuts"
    yield f"control without syncs: {lost} acknowledged certificates lost in {_CONTROL_CUTS} cuts, as they must be"


PARTS: Final[dict[str, Callable[[Order], Iterable[str]]]] = {
    "kills": kills,
    "module": module,
    "disk": disk,
    "shared": shared,
    "cuts": cuts,
}


def _software_factory(order: Order, servers: ForkServer) -> Factory:
    signer = make_signer_folder(order.folder)
    return Factory(servers, order.folder, ("--signer", signer.path), signer.public_key, order.random)


def main(words: list[str]) -> int:
    """Run parts; return 1 if one fails, 69 if this machine lacks a program."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all if none is named")
    parser.add_argument("--seed", type=int, help="repeat a run")
    parser.add_argument("--count", type=int, default=0, help="kills, faults or cuts, instead of the soak's numbers")
    options = parser.parse_args(words)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}")
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    outcomes = [_outcome(name, seed, options.count) for name in options.parts or PARTS]
    print("\n".join(text for _, text in outcomes))
    return max(code for code, _ in outcomes)


def _outcome(name: str, seed: int, count: int) -> tuple[int, str]:
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    begun = time.monotonic()
    code, lines = 0, []
    print(f"soak: {name}, seed {seed}", flush=True)
    try:
        lines = list(PARTS[name](Order(folder, Random(seed), count)))
        shutil.rmtree(folder)
    except (BenchUnavailable, pytest.skip.Exception) as reason:
        code, lines = EXIT_UNAVAILABLE, [f"cannot run here: {reason}"]
    except AssertionError as error:
        code, lines = 1, [f"FAILED: {error}", f"files: {folder}"]
    head = f"{name:8}{time.monotonic() - begun:6.0f} s  seed {seed}  {'passed' if not code else 'failed'}"
    return code, "\n".join((head, *(f"    {line}" for line in lines)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
