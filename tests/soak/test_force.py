"""A bounded part of `make soak`: what is done here some ten times is done there some hundred times."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.soak.checker import signature_problems
from tests.soak.disk_faults import preloading
from tests.soak.factory import Factory
from tests.soak.failing_disks import calls_of_a_run, every_fault, fail_at
from tests.soak.fork_server import ForkServer, fork_server
from tests.soak.kill_points import Step
from tests.soak.kills import kill_again_and_again
from tests.soak.module_signer import ModuleOnDisk
from tests.soak.shared_ledger import SharedFactory
from tests.support.postgresql import running_postgresql
from tests.support.signer_folders import make_signer_folder

pytestmark = pytest.mark.slow

KILLS = 24
"""Enough for each step before and after, and for random times."""
MODULE_KILLS = 12
FAULTS = 24
SHARED = 4
"""PostgreSQL restarted in three ways, and one of two servers killed."""
SEED = 20261130


@pytest.fixture(scope="module")
def servers() -> Iterator[ForkServer]:
    with fork_server(os.environ) as forking:
        yield forking


def _factory(servers: ForkServer, folder: Path) -> Factory:
    signer = make_signer_folder(folder)
    return Factory(servers, folder, ("--signer", signer.path), signer.public_key, Random(SEED))


def test_killed_servers_lose_nothing_that_was_acknowledged(servers: ForkServer, tmp_path: Path) -> None:
    factory = _factory(servers, tmp_path)
    done = kill_again_and_again(factory, KILLS)
    assert done.done == KILLS
    assert len(done.by_step) > len(Step)
    assert len(factory.certificates) > KILLS
    assert any(each.proven and each.checkpoint for each in factory.acknowledged)


def test_killed_servers_account_for_each_signature_of_a_module(servers: ForkServer, tmp_path: Path) -> None:
    module = ModuleOnDisk.make(tmp_path)
    factory = Factory(servers, tmp_path, ("--module", module.url), module.public_key, Random(SEED))
    kill_again_and_again(factory, MODULE_KILLS)
    contents = factory.contents()
    assert contents.lost
    assert not signature_problems(contents, module.used())


def test_a_failing_disk_stops_issuing_and_loses_nothing(tmp_path: Path) -> None:
    with fork_server(preloading(tmp_path)) as servers:
        factory = _factory(servers, tmp_path)
        faults = every_fault(calls_of_a_run(factory))
        done = fail_at(factory, Random(SEED).sample(faults, FAULTS))
    assert done.done == FAULTS
    assert done.refused_start
    assert done.stopped_issuing


def test_servers_on_one_ledger_lose_nothing_when_it_restarts_or_one_is_killed(
    servers: ForkServer, tmp_path: Path
) -> None:
    signer = make_signer_folder(tmp_path)
    options = ("--signer", signer.path)
    with running_postgresql() as database, fork_server(os.environ) as other:
        url = database.make_database("ledger")
        factory = SharedFactory((servers, other), tmp_path, options, signer.public_key, Random(SEED), database, url)
        factory.use_force(SHARED)
        assert len(factory.contents().issued) >= len(factory.certificates) > SHARED
    starts = [line for line in database.log if "starting PostgreSQL" in line]
    assert len(starts) == SHARED, "it starts, and again each time but when a server is killed"
