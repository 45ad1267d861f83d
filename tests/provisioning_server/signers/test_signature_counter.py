"""The counter of each kind of signer: where it stands, and how much of it was used since the signer was made."""

from __future__ import annotations

from pathlib import Path

import pytest

from atcaprov import Device
from provisioning_server.signers.hsm import HsmSigner
from provisioning_server.signers.module import PluggedModule
from provisioning_server.signers.signer import SignatureCounter
from provisioning_server.signers.software import SoftwareSigner
from signer_module.on_chip import slot_layout
from signer_module.on_chip.module import SignerModule
from tests.support.signer_modules import PASSWORD, copy_of, hal_of, open_order, order, root_folder, signer_module

DIGEST = bytes(32)


@pytest.mark.slow
@pytest.mark.parametrize("quota", [1, 32, 40])
def test_module_counts_from_the_moment_it_was_made(tmp_path: Path, quota: int) -> None:
    with signer_module(root_folder(tmp_path / "root"), order(quota=quota)) as module:
        signer = PluggedModule(module)
        signer.unlock(PASSWORD)
        assert signer.counter is not None
        assert signer.counter.used == 0, "neither its creation nor the proof of its key counts"
        signer.sign(DIGEST)
        assert signer.counter.used == 1
        assert module.read_quota() is not None, "asks the chip"
        assert signer.counter.used == 1


@pytest.mark.slow
def test_what_a_module_signed_elsewhere_while_it_waited_is_counted(tmp_path: Path) -> None:
    with signer_module(root_folder(tmp_path / "root"), order(quota=9)) as module:
        waiting = PluggedModule(module)
        elsewhere = SignerModule.on(Device(hal_of(module)))
        elsewhere.unlock(PASSWORD)
        elsewhere.sign(DIGEST)
        waiting.unlock(PASSWORD)
        assert waiting.counter is not None
        assert waiting.counter.used == 1


@pytest.mark.slow
def test_module_of_an_older_version_does_not_tell_where_it_began(tmp_path: Path) -> None:
    with signer_module(root_folder(tmp_path / "root"), open_order(9)) as module:
        older = copy_of(hal_of(module))
    slot = older.chip.chip.core.slot(slot_layout.LIMIT_SLOT)  # type: ignore[attr-defined]
    slot.write(8, bytes(8))
    with SignerModule.on(Device(older)) as found:
        signer = PluggedModule(found)
        signer.sign(DIGEST)
        assert signer.remaining == 8
        assert signer.counter == SignatureCounter(found.contents.limit - 8, None)  # type: ignore[operator]
        assert signer.counter.used is None


@pytest.mark.slow
def test_module_without_quota_counts_nothing(tmp_path: Path) -> None:
    with signer_module(root_folder(tmp_path / "root"), open_order()) as module:
        signer = PluggedModule(module)
        signer.sign(DIGEST)
        assert signer.counter is None


def test_keys_in_files_and_hsms_have_no_counter() -> None:
    assert SoftwareSigner.counter is None
    assert HsmSigner.counter is None
