"""Setting and changing a module's password, whole and cut at every command."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from atcaprov import Act, AtcaProvError, Code, Device, DeviceError, ProvisioningError, UsageError
from atcaprov.chip.commands import Opcode, Status
from atcaprov.chip.crc import with_crc
from atcaprov.device.key_authorization import authorize
from signer_module.on_chip.module import SignerModule
from signer_module.on_chip.password_change import change_password, set_password
from signer_module.on_chip.slot_layout import AUTHORIZATION_SLOT, KEY_SLOT, WRITE_KEY_SLOT
from signer_module.on_files.root_folder import RootFolder
from tests.support.chips import send
from tests.support.power_cuts import at_a_command, cutting
from tests.support.scripted_hal import ScriptedHal
from tests.support.signer_modules import (
    PASSWORD,
    copy_of,
    hal_of,
    no_pause,
    open_order,
    order,
    replug,
    root_folder,
    signer_module,
)

DIGEST = hashlib.sha256(b"to be signed").digest()
NEW = b"battery staple"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> RootFolder:
    return root_folder(tmp_path_factory.mktemp("root") / "root")


def opens(hal: ScriptedHal, password: bytes) -> bool:
    replug(hal)
    with SignerModule.on(Device(hal), no_pause) as module:
        try:
            module.unlock(password)
        except UsageError as error:
            assert error.code == Code.PASSWORD_WRONG  # noqa: PT017
            return False
        assert module.sign(DIGEST)
        return True


@pytest.mark.slow
def test_new_password_is_valid_after_the_change(root: RootFolder) -> None:
    with signer_module(root, order()) as module:
        module.unlock(PASSWORD)
        change_password(module, PASSWORD, NEW)
        assert not module.ready
        hal = hal_of(module)
    assert not opens(hal, PASSWORD)
    assert opens(hal, NEW)
    replug(hal)
    with SignerModule.on(Device(hal), no_pause) as module:
        change_password(module, NEW, PASSWORD)
    assert opens(hal, PASSWORD)


@pytest.mark.slow
def test_a_wrong_old_password_changes_nothing(root: RootFolder) -> None:
    with signer_module(root, order()) as module:
        with pytest.raises(UsageError) as refused:
            change_password(module, b"wrong", NEW)
        assert refused.value.code == Code.PASSWORD_WRONG
        hal = hal_of(module)
    assert opens(hal, PASSWORD)


@pytest.mark.slow
def test_completed_change_is_recognised_and_leaves_the_module_locked(root: RootFolder) -> None:
    with signer_module(root, order()) as module:
        assert change_password(module, PASSWORD, NEW)
        assert not change_password(module, PASSWORD, NEW)
        assert not module.ready
        with pytest.raises(DeviceError):
            module.device.sign(KEY_SLOT, DIGEST)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("write", "status", "error"),
    [
        pytest.param(2, 0x00, ProvisioningError, id="it says that it has written"),
        pytest.param(1, Status.PARSE_ERROR, DeviceError, id="the write key"),
        pytest.param(2, Status.PARSE_ERROR, DeviceError, id="the authorization key"),
    ],
)
def test_a_chip_that_does_not_write_a_secret_keeps_its_password(
    root: RootFolder, write: int, status: int, error: type[AtcaProvError]
) -> None:
    with signer_module(root, order()) as module:
        hal, writes = hal_of(module), []

        def answer(packet: bytes) -> bytes:
            if packet[1] == Opcode.WRITE:
                writes.append(packet)
                if len(writes) == write:
                    return with_crc(bytes((4, status)))
            return hal.chip.exchange(packet)

        hal.answer = answer
        with pytest.raises(error):
            change_password(module, PASSWORD, NEW)
        hal.answer = None
        assert len(writes) == write
    assert opens(hal, PASSWORD)
    replug(hal)
    with SignerModule.on(Device(hal), no_pause) as module:
        assert change_password(module, PASSWORD, NEW), "the advice: the same again"
    assert opens(hal, NEW)


@pytest.mark.slow
@pytest.mark.parametrize("use", [1, 2], ids=["before the write key", "before the authorization key"])
def test_refused_gen_dig_is_not_taken_for_an_interrupted_change(root: RootFolder, use: int) -> None:
    """GenDig tells nothing of the write key: it is what needs the authorization, and is asked twice."""
    with signer_module(root, order()) as module:
        hal, uses = hal_of(module), []

        def answer(packet: bytes) -> bytes:
            if packet[1] == Opcode.GEN_DIG:
                uses.append(packet)
                if len(uses) >= use:
                    return with_crc(bytes((4, Status.EXECUTION_ERROR)))
            return hal.chip.exchange(packet)

        hal.answer = answer
        with pytest.raises(DeviceError) as refused:
            change_password(module, PASSWORD, NEW)
        hal.answer = None
        assert refused.value.command == "GenDig"
        assert len(uses) == use + 1
    assert opens(hal, PASSWORD)


@pytest.mark.slow
def test_no_other_thread_comes_between_the_commands_of_a_change(
    root: RootFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with signer_module(root, order()) as module, ThreadPoolExecutor(1) as other:
        between = []

        def take_turn() -> bool:
            free = module.device.undisturbed()
            if taken := free.acquire(blocking=False):  # type: ignore[attr-defined]
                free.release()  # type: ignore[attr-defined]
            return bool(taken)

        def noting(size: int) -> bytes:
            between.append(other.submit(take_turn).result())
            return os.urandom(size)

        assert other.submit(take_turn).result()
        monkeypatch.setattr("signer_module.on_chip.password_change.os", SimpleNamespace(urandom=noting))
        change_password(module, PASSWORD, NEW)
    assert between == [False, False]


@pytest.mark.slow
def test_a_first_password(root: RootFolder) -> None:
    with signer_module(root, order(None)) as module:
        with pytest.raises(UsageError, match="no password yet"):
            change_password(module, PASSWORD, NEW)
        set_password(module, PASSWORD)
        hal = hal_of(module)
    assert opens(hal, PASSWORD)
    replug(hal)
    with SignerModule.on(Device(hal)) as module:
        assert module.needs_password
        with pytest.raises(UsageError, match="already has a password"):
            set_password(module, NEW)


def test_a_module_made_without_password_never_gets_one(root: RootFolder) -> None:
    with signer_module(root, open_order()) as module:
        with pytest.raises(UsageError, match="created without a password"):
            set_password(module, NEW)
        with pytest.raises(UsageError, match="created without a password"):
            change_password(module, PASSWORD, NEW)


@pytest.mark.slow
def test_chip_refuses_a_new_secret_without_proof_of_the_old(root: RootFolder) -> None:
    """Even with the right write key, and even for the write key itself."""
    with signer_module(root, order()) as module:
        secrets = module.secrets_of(PASSWORD)
        for slot in (1, 3):
            with module.device.permit(Act.WRITE_SECRET), pytest.raises(DeviceError) as refused:
                module.device.write_secret(
                    slot, bytes(32), write_key=secrets.write_key, write_key_slot=3, num_in=bytes(20)
                )
            assert refused.value.status == 0x0F
            with module.device.permit(Act.WRITE_DATA), pytest.raises(DeviceError):
                module.device.write_slot_block(slot, 0, bytes(32))
        hal = hal_of(module)
    assert opens(hal, PASSWORD)


@pytest.mark.slow
def test_chip_gives_no_mac_for_guessing(root: RootFolder) -> None:
    with signer_module(root, order()) as module:
        chip = hal_of(module).chip.chip  # type: ignore[attr-defined]
        for slot in (1, 3):
            assert send(chip, Opcode.NONCE, 0, 0, bytes(20)).body
            assert send(chip, Opcode.MAC, 0x01, slot).status == 0x0F
            assert send(chip, Opcode.MAC, 0x00, slot, bytes(32)).status == 0x0F


Change = Callable[[SignerModule], None]


def cut_at_each_command(made: ScriptedHal, change: Change, check: Callable[[ScriptedHal], None], lost: bool) -> None:
    """Cut a change of copies of a module at each of its commands and check what was left."""
    with SignerModule.on(Device(hal := copy_of(made)), no_pause) as module:
        before = len(hal.packets)
        change(module)
        count = len(hal.packets) - before
    assert count > 8

    def cut(number: int) -> None:
        hal = copy_of(made)
        with SignerModule.on(Device(hal), no_pause) as module:
            hal.answer = cutting(hal, number, lost)
            with pytest.raises(AtcaProvError):
                change(module)
            hal.answer = None
        check(hal)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(cut, range(count)))


@pytest.mark.slow
@at_a_command
def test_interrupted_change_leaves_one_password_and_is_finished_by_the_same_command(
    root: RootFolder, reply_lost: bool
) -> None:
    with signer_module(root, order()) as module:
        made = hal_of(module)

    def change(module: SignerModule) -> None:
        change_password(module, PASSWORD, NEW)

    def check(hal: ScriptedHal) -> None:
        assert opens(copy_of(hal), PASSWORD) != opens(copy_of(hal), NEW)
        replug(hal)
        with SignerModule.on(Device(hal), no_pause) as module:
            change(module)
        assert opens(hal, NEW)
        assert not opens(hal, PASSWORD)

    cut_at_each_command(made, change, check, reply_lost)


@pytest.mark.slow
@at_a_command
def test_interrupted_first_password_is_set_by_the_same_command(root: RootFolder, reply_lost: bool) -> None:
    with signer_module(root, order(None)) as module:
        made = hal_of(module)

    def check(hal: ScriptedHal) -> None:
        with SignerModule.on(Device(copy_of(hal)), no_pause) as module:
            counts = module.needs_password
            assert counts or module.sign(DIGEST)
        replug(hal)
        with SignerModule.on(Device(hal), no_pause) as module:
            if not counts:
                set_password(module, PASSWORD)
        assert opens(hal, PASSWORD)
        assert not opens(hal, NEW)

    cut_at_each_command(made, lambda module: set_password(module, PASSWORD), check, reply_lost)


@pytest.mark.slow
def test_after_an_interruption_another_new_password_is_refused_with_the_reason(root: RootFolder) -> None:
    with signer_module(root, order()) as module:
        hal = hal_of(module)
        writes = []

        def answer(packet: bytes) -> bytes:
            if packet[1] == Opcode.WRITE:
                writes.append(packet)
            return hal.chip.exchange(packet) if len(writes) < 2 else b""

        hal.answer = answer
        with pytest.raises(AtcaProvError):
            change_password(module, PASSWORD, NEW)
        hal.answer = None
    assert opens(hal, PASSWORD)
    replug(hal)
    with SignerModule.on(Device(hal), no_pause) as module:
        with pytest.raises(UsageError, match="earlier change"):
            change_password(module, PASSWORD, b"yet another one")
        change_password(module, PASSWORD, NEW)
    assert opens(hal, NEW)


@pytest.mark.slow
def test_interrupted_change_is_finished_though_a_refused_write_ends_the_authorization(root: RootFolder) -> None:
    """It is not published whether it does."""
    with signer_module(root, order()) as module:
        old, new = module.secrets_of(PASSWORD), module.secrets_of(NEW)
        assert authorize(module.device, AUTHORIZATION_SLOT, old.authorization, serial_number=module.serial)
        with module.device.permit(Act.WRITE_SECRET):
            module.device.write_secret(
                WRITE_KEY_SLOT, new.write_key, write_key=old.write_key, write_key_slot=WRITE_KEY_SLOT, num_in=bytes(20)
            )
        hal, refused = hal_of(module), []

        def answer(packet: bytes) -> bytes:
            reply = hal.chip.exchange(packet)
            if packet[1] == Opcode.WRITE and reply[1] == Status.EXECUTION_ERROR:
                refused.append(packet)
                hal.chip.chip.core.volatile.authorized = None  # type: ignore[attr-defined]
            return reply

        hal.answer = answer
        assert change_password(module, PASSWORD, NEW)
        hal.answer = None
    assert len(refused) == 1
    assert opens(hal, NEW)
