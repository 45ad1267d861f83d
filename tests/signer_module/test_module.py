"""Signer modules on the software chip: the chip refuses every use that password and quota do not allow."""

from __future__ import annotations

import gc
import hashlib
import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from atcaprov import Code, Device, DeviceError, ProtocolError, ProvisioningError, TransportError, UsageError
from atcaprov.certs.issue import issue
from atcaprov.certs.keys import verify_digest
from atcaprov.chip.commands import Opcode, Status
from atcaprov.chip.crc import with_crc
from atcaprov.device.key_authorization import authorize
from atcaprov.hal.tracing.hal import TracedHal
from atcaprov.hal.tracing.trace_file import TraceWriter
from signer_module.on_chip.creation.module_builder import ModuleOrder
from signer_module.on_chip.module import SignerModule
from signer_module.on_chip.password_change import change_password
from signer_module.on_chip.password_keys import PasswordSecrets
from signer_module.on_chip.slot_layout import AUTHORIZATION_SLOT
from signer_module.on_files.root_folder import RootFolder
from tests.support.scripted_hal import Answer, ScriptedHal
from tests.support.signer_modules import (
    PASSWORD,
    hal_of,
    make,
    no_pause,
    open_order,
    order,
    replug,
    root_folder,
    signer_module,
)
from tests.support.stock_cryptoauthlib import EXECUTION_ERROR, Wheel, buffer

NEW = b"battery staple"
DIGEST = hashlib.sha256(b"to be signed").digest()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> RootFolder:
    return root_folder(tmp_path_factory.mktemp("root") / "root")


@pytest.fixture
def module(root: RootFolder) -> Iterator[SignerModule]:
    with signer_module(root, order()) as module:
        yield module


def raw_sign_refused(module: SignerModule, rule: str = "ReqAuth") -> None:
    """Ask the chip by the vendor's library alone, as a thief would, for a signature; `rule` is why it refuses."""
    chip = hal_of(module).chip.chip  # type: ignore[attr-defined]
    wheel = Wheel(chip)
    signature = buffer(bytes(64))
    assert wheel.status("calib_sign", 0, buffer(DIGEST), signature) == EXECUTION_ERROR
    assert rule in str(chip.last_refusal)
    wheel.close()


@pytest.mark.slow
def test_a_module_knows_all_that_a_server_needs(module: SignerModule, root: RootFolder) -> None:
    assert module.name == "Example ATECC608A Signer"
    assert len(module.signer_id) == 2
    assert module.serial == module.device.serial_number()
    assert module.root_certificate == root.certificate
    assert module.root_public_key == root.public_key
    assert root.register.issued()[module.signer_id.hex().upper()]
    assert module.needs_password
    assert not module.ready
    assert (module.quota, module.remaining) == (None, None)


@pytest.mark.slow
def test_the_chip_refuses_every_use_without_password(module: SignerModule) -> None:
    hal = hal_of(module)
    raw_sign_refused(module)
    with pytest.raises(UsageError) as refused:
        module.sign(DIGEST)
    assert refused.value.code == Code.PASSWORD_WRONG
    module.unlock(PASSWORD)
    assert verify_digest(module.public_key, DIGEST, module.sign(DIGEST))
    hal.sleep()
    raw_sign_refused(module)
    module.sign(DIGEST)
    module.rest()
    raw_sign_refused(module)
    assert module.ready
    module.sign(DIGEST)
    module.lock()
    raw_sign_refused(module)
    module.unlock(PASSWORD)
    module.sign(DIGEST)
    replug(hal)
    raw_sign_refused(module)


@pytest.mark.slow
def test_a_module_that_slept_is_authorized_again(module: SignerModule) -> None:
    module.unlock(PASSWORD)
    for _ in range(3):
        hal_of(module).sleep()
        assert verify_digest(module.public_key, DIGEST, module.sign(DIGEST))


@pytest.mark.slow
def test_module_that_slept_gets_no_command_that_it_would_refuse(module: SignerModule) -> None:
    module.unlock(PASSWORD)
    module.rest()
    hal, replies = hal_of(module), []

    def listen(packet: bytes) -> bytes:
        replies.append(hal.chip.exchange(packet))
        return replies[-1]

    hal.answer = listen
    module.sign(DIGEST)
    assert replies
    assert with_crc(bytes((4, Status.EXECUTION_ERROR))) not in replies


@pytest.mark.slow
def test_a_module_plugged_in_again_waits_for_its_password(module: SignerModule) -> None:
    module.unlock(PASSWORD)
    module.close()
    hal = hal_of(module)
    replug(hal)
    with SignerModule.on(Device(hal)) as again:
        assert not again.ready
        raw_sign_refused(again)
        again.unlock(PASSWORD)
        assert again.sign(DIGEST)


@pytest.mark.slow
def test_unplugged_module_forgets_its_password(module: SignerModule) -> None:
    module.unlock(PASSWORD)
    hal = hal_of(module)
    hal.answer = lambda _: b""
    with pytest.raises(TransportError):
        module.sign(DIGEST)
    hal.answer = None
    assert not module.ready
    with pytest.raises(UsageError):
        module.sign(DIGEST)


def pull(module: SignerModule) -> None:
    hal_of(module).answer = lambda _: b""
    with pytest.raises(TransportError):
        module.sign(DIGEST)


@pytest.mark.slow
@pytest.mark.parametrize("other", [False, True], ids=["gone", "another chip"])
def test_module_that_is_not_found_forgets_its_password(module: SignerModule, other: bool) -> None:
    module.unlock(PASSWORD)
    module.check_present()
    assert module.ready
    another = ScriptedHal()
    another.chip.wake()
    hal_of(module).answer = another.exchange if other else lambda _: b""
    with pytest.raises(TransportError, match="Another chip" if other else None):
        module.check_present()
    assert not module.ready


@pytest.mark.slow
@pytest.mark.parametrize("end", [SignerModule.lock, SignerModule.close, pull])
def test_no_object_keeps_the_secrets_of_a_password(module: SignerModule, end: Callable[[SignerModule], None]) -> None:
    module.unlock(PASSWORD)
    authorization = module.secrets_of(PASSWORD).authorization

    def kept() -> bool:
        gc.collect()
        found = [each for each in gc.get_objects() if isinstance(each, PasswordSecrets)]
        return any(each.authorization == authorization for each in found)

    assert kept()
    end(module)
    assert not kept()


@pytest.mark.slow
def test_module_with_damaged_answers_is_reported(module: SignerModule) -> None:
    module.unlock(PASSWORD)
    hal = hal_of(module)
    hal.answer = lambda packet: hal.chip.exchange(packet)[:-1] + b"\xa5"
    with pytest.raises(ProtocolError):
        module.sign(DIGEST)
    assert not module.ready


@pytest.mark.slow
def test_wrong_passwords_are_refused_slowed_down_and_counted(root: RootFolder) -> None:
    pauses: list[float] = []
    with signer_module(root, order(), pauses.append) as module:
        for wrong in (b"Correct horse", b"x", b"correct horse "):
            with pytest.raises(UsageError) as refused:
                module.unlock(wrong)
            assert refused.value.code == Code.PASSWORD_WRONG
            assert wrong.decode() not in str(refused.value)
            assert not module.ready
            raw_sign_refused(module)
        assert pauses == [1.0, 2.0]
        assert module.wrong_passwords() == 3
        for missing in (None, b""):
            with pytest.raises(UsageError):
                module.unlock(missing)
        assert module.wrong_passwords() == 3
        module.unlock(PASSWORD)
        assert pauses == [1.0, 2.0, 4.0]
        assert module.sign(DIGEST)


@pytest.mark.slow
def test_nothing_shows_the_password_or_its_secrets(module: SignerModule) -> None:
    module.unlock(PASSWORD)
    secrets = module.secrets_of(PASSWORD)
    shown = repr(module) + repr(module.contents) + repr(secrets) + repr(order())
    for secret in (PASSWORD, secrets.authorization, secrets.write_key):
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown


@pytest.mark.slow
def test_a_trace_of_a_modules_life_holds_no_secret(root: RootFolder) -> None:
    hal, text = ScriptedHal(), io.StringIO()
    with Device(TracedHal(hal, TraceWriter(Kept(text), "emulator:"))) as device:
        make(device, root, order())
        module = SignerModule.on(device, no_pause)
        module.unlock(PASSWORD)
        change_password(module, PASSWORD, NEW)
        old, new = module.secrets_of(PASSWORD), module.secrets_of(NEW)
    memory = hal.chip.chip.memory  # type: ignore[attr-defined]
    kept = [memory.read_slot(slot, 0, 32) for slot in (0, 1, 3)]
    assert kept[1:] == [new.authorization, new.write_key]
    for secrets in (old, new):
        for secret in (secrets.authorization, secrets.write_key):
            assert secret.hex() not in text.getvalue()
    answers = [line for line in text.getvalue().splitlines() if '"sent": "5428' in line]  # CheckMac
    assert answers
    assert all(".." * 77 in line for line in answers)


@pytest.mark.slow
def test_the_crc_of_the_data_lock_tells_nothing_of_the_password(root: RootFolder) -> None:
    found = set()
    for _ in range(2):
        with signer_module(root, order()) as module:
            found.add(hal_of(module).chip.chip.memory.read_slot(1, 32, 4))  # type: ignore[attr-defined]
    assert len(found - {bytes(4), b"\xff" * 4}) == 2


class Kept(io.StringIO):
    """A text file that can be looked at after it was closed."""

    def __init__(self, text: io.StringIO) -> None:
        super().__init__()
        self._text = text

    def write(self, line: str) -> int:
        return self._text.write(line)


@pytest.mark.slow
def test_the_key_belongs_to_the_certificate(module: SignerModule) -> None:
    with pytest.raises(UsageError) as refused:
        module.prove()
    assert refused.value.code == Code.PASSWORD_WRONG
    module.unlock(PASSWORD)
    assert module.prove()
    hal_of(module).sleep()
    assert module.prove()


@pytest.mark.slow
def test_signature_that_does_not_verify_is_not_returned(module: SignerModule) -> None:
    module.unlock(PASSWORD)
    hal = hal_of(module)
    other = with_crc(bytes((67, *range(64))))
    hal.answer = lambda packet: other if packet[1] == Opcode.SIGN else hal.chip.exchange(packet)
    with pytest.raises(ProtocolError, match="does not verify"):
        module.sign(DIGEST)
    assert not module.ready
    raw_sign_refused(module)


def test_a_module_without_password_is_ready_at_once(root: RootFolder) -> None:
    with signer_module(root, open_order()) as module:
        assert module.ready
        assert not module.needs_password
        module.unlock(b"not needed")
        assert verify_digest(module.public_key, DIGEST, module.sign(DIGEST))
        assert module.prove()


@pytest.mark.slow
def test_a_module_of_newer_silicon_signs_and_changes_its_password(root: RootFolder) -> None:
    """AN3539, 1.2.4: Info tells the part; a revision that is not known yet is warned of before a module is made."""
    hal = ScriptedHal()
    hal.memory.revision = bytes.fromhex("00006009")
    with Device(hal) as device:
        make(device, root, order(quota=3))
    with SignerModule.on(Device(hal), no_pause) as module:
        change_password(module, PASSWORD, NEW)
        module.unlock(NEW)
        assert verify_digest(module.public_key, DIGEST, module.sign(DIGEST))


@pytest.mark.slow
def test_a_module_whose_password_is_not_set_yet(root: RootFolder) -> None:
    with signer_module(root, order(None)) as module:
        assert module.ready
        assert not module.needs_password
        hal_of(module).sleep()
        assert verify_digest(module.public_key, DIGEST, module.sign(DIGEST))


@pytest.mark.slow
@pytest.mark.parametrize("quota", [1, 31, 32, 33, 40])
def test_module_signs_its_quota_and_no_more(root: RootFolder, quota: int) -> None:
    with signer_module(root, order(quota=quota)) as module:
        module.unlock(PASSWORD)
        assert module.prove()
        for left in range(quota, 0, -1):
            assert module.remaining == left
            assert module.quota is not None
            assert module.quota.first is not None
            assert module.quota.counter - module.quota.first == quota - left
            assert verify_digest(module.public_key, DIGEST, module.sign(DIGEST))
        for _ in range(2):
            with pytest.raises(DeviceError) as refused:
                module.sign(DIGEST)
            assert refused.value.code == Code.QUOTA_USED_UP
        secret = module.secrets_of(PASSWORD).authorization
        assert authorize(module.device, AUTHORIZATION_SLOT, secret, serial_number=module.serial)
        raw_sign_refused(module, "LimitedUse")
        found = module.read_quota()
        assert found is not None
        assert found.remaining == 0
        assert found.limit % 32 == 0, "a chip takes no other limit"
        hal = hal_of(module)
        module.close()
    replug(hal)
    with SignerModule.on(Device(hal)) as again:
        assert again.remaining == 0
        again.unlock(PASSWORD)
        with pytest.raises(DeviceError) as refused:
            again.sign(DIGEST)
        assert refused.value.code == Code.QUOTA_USED_UP


@pytest.mark.slow
@pytest.mark.parametrize("wanted", [order(quota=5), open_order(5)], ids=["password", "no password"])
def test_a_signature_that_was_lost_in_noise_is_counted(root: RootFolder, wanted: ModuleOrder) -> None:
    with signer_module(root, wanted) as module:
        module.unlock(PASSWORD)
        hal, noise = hal_of(module), iter([0x01])

        def disturbed(packet: bytes) -> bytes:
            reply = hal.chip.exchange(packet)
            return reply[:-1] + bytes((reply[-1] ^ next(noise, 0),)) if packet[1] == Opcode.SIGN else reply

        hal.answer = disturbed
        assert verify_digest(module.public_key, DIGEST, module.sign(DIGEST))
        assert module.ready
        known = module.quota
        assert module.remaining == 3
        assert module.read_quota() == known


@pytest.mark.slow
def test_power_cuts_never_give_a_signature_more(root: RootFolder) -> None:
    quota, signatures, last = 20, 0, ""
    with signer_module(root, open_order(quota)) as module:
        hal = hal_of(module)
    turn = 0
    while last != Code.QUOTA_USED_UP:
        turn += 1
        with SignerModule.on(Device(hal)) as module:
            hal.answer = _losing(hal, turn % 3)
            try:
                module.sign(DIGEST)
                signatures += 1
            except (TransportError, DeviceError) as error:
                last = error.code
            hal.answer = None
        replug(hal)
    assert 0 < signatures < quota
    assert turn > quota


def _losing(hal: ScriptedHal, turn: int) -> Answer:
    """Cut the power after the signature was made (turn 1), before it (turn 2), or not at all."""

    def answer(packet: bytes) -> bytes:
        if packet[1] != 0x41 or turn == 0:
            return hal.chip.exchange(packet)
        if turn == 1:
            hal.chip.exchange(packet)
        replug(hal)
        return b""

    return answer


@pytest.mark.slow
def test_it_issues_device_certificates(module: SignerModule) -> None:
    module.unlock(PASSWORD)
    definition = module.device_definition
    issued = issue(
        definition,
        subject_public_key=module.public_key,
        ca_public_key=module.public_key,
        signer_id=module.signer_id,
        issue_date=definition.issue_date(datetime.now(UTC)),
        chip_serial=bytes(9),
        sign=module.sign,
    )
    assert issued.der


def test_blank_chip_is_not_a_module() -> None:
    with pytest.raises(ProvisioningError) as refused:
        SignerModule.open("emulator:")
    assert refused.value.code == Code.NOT_A_MODULE
