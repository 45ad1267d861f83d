"""`audit reconcile` with a signer module whose counter is read."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from atcaprov.device.device import Device
from provisioning_server.cli import command
from provisioning_server.issuing.issuance import issue
from provisioning_server.ledger.changes import Changes, CounterSeen, Issued
from provisioning_server.ledger.open_ledger import FILE_NAME, open_ledger
from provisioning_server.signers.module import PluggedModule
from tests.provisioning_server.ledger.events import SIGNER, issued, step
from tests.support.in_memory_signer import SigningKey
from tests.support.programs import Ended, run_in_process
from tests.support.server_parts import chip_serial
from tests.support.signer_modules import make, open_order, root_folder

pytestmark = pytest.mark.slow


def test_signature_that_is_not_in_the_log_is_found(tmp_path: Path) -> None:
    url = f"emulator:{tmp_path / 'module.json'}"
    with Device.open(url) as device:
        make(device, root_folder(tmp_path / "root"), open_order(quota=40))
    now = datetime.now(UTC)
    with (
        contextlib.closing(PluggedModule.open(url)) as signer,
        contextlib.closing(open_ledger(tmp_path / FILE_NAME, now)) as ledger,
    ):
        records = [issue(signer, SigningKey().public_key, chip_serial(chip), now) for chip in range(3)]
        ledger.commit(Changes(documents=[signer.documents], events=[Issued(record) for record in records]))
    serial = records[0].signer_serial.hex().upper()

    def reconcile() -> Ended:
        return run_in_process(command, "--data", str(tmp_path), "audit", "reconcile", "--module", url)

    meets = reconcile()
    assert meets.code == 0
    assert f"Signer ({serial}, " in meets.out
    assert "3 = 3 certificates + 0 CRLs + 0 lost + 0 accepted; counter " in meets.out
    with contextlib.closing(PluggedModule.open(url)) as signer:
        signer.sign(bytes(32))  # beside the server
    differs = reconcile()
    assert differs.code == 1
    assert ": +1\n" in differs.out


def test_signatures_before_a_module_was_first_seen_are_named(tmp_path: Path) -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    with contextlib.closing(open_ledger(tmp_path / FILE_NAME, now)) as ledger:
        step(ledger, issued(1), CounterSeen(now, SIGNER.serial, 29, 28))
    name = SIGNER.serial.hex().upper()
    words = ("--data", str(tmp_path), "audit", "reconcile", "--counter", f"{name}=29")
    done = run_in_process(command, *words)
    assert done.code == 0
    assert "; counter 29; signatures from before it was first seen, without an entry: 28" in done.out
    (signer,) = json.loads(run_in_process(command, *words, "--json").out)["signers"]
    assert (signer["before"], signer["difference"]) == (28, 0)
