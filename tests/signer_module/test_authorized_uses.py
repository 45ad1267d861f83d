"""Every command that uses a module's key has an authorization of its own right before it, and the chip sleeps after."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path

import pytest

from atcaprov import Code, Device, DeviceError, UsageError
from atcaprov.certs.keys import verify_digest
from atcaprov.chip.commands import Opcode, Status
from atcaprov.chip.crc import with_crc
from atcaprov.emulator.open_points import OpenPoints
from atcaprov.emulator.volatile import Volatile
from signer_module.on_chip.creation.module_builder import ModuleOrder
from signer_module.on_chip.module import SignerModule
from signer_module.on_chip.password_change import change_password, set_password
from signer_module.on_chip.slot_layout import AUTHORIZATION_SLOT, KEY_SLOT, VARIANTS, WRITE_KEY_SLOT
from signer_module.on_files.root_folder import RootFolder
from tests.support.scripted_hal import Answer, ScriptedHal
from tests.support.signer_modules import PASSWORD, hal_of, make, no_pause, open_order, order, root_folder, signer_module

SOURCE = Path(__file__).parents[2]
DIGEST = hashlib.sha256(b"to be signed").digest()
NEW = b"battery staple"
USES_OF_KEYS = {
    (Opcode.SIGN, KEY_SLOT): "Sign",
    (Opcode.GEN_KEY, KEY_SLOT): "GenKey",
    (Opcode.GEN_DIG, WRITE_KEY_SLOT): "GenDig",
}
"""Commands and slots in which a module's configuration asks for the authorization."""
READINGS = pytest.mark.parametrize("uses", ["one", "many"])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> RootFolder:
    return root_folder(tmp_path_factory.mktemp("root") / "root")


class Listener(ScriptedHal):
    """Writes down, for each use of a key, the commands since the chip woke: NonceRandom, CheckMac, NonceInput, Sign."""

    def __init__(self, uses: str = "many") -> None:
        super().__init__()
        self.chip.chip.core.open_points = OpenPoints(authorization_uses=uses)  # type: ignore[attr-defined, arg-type]
        self.heard: list[tuple[str, ...]] = []
        self._since_sleep: list[str] = []

    def exchange(self, packet: bytes) -> bytes:
        opcode, slot = packet[1], int.from_bytes(packet[3:5], "little")
        self._since_sleep.append(_name(packet))
        if (opcode, slot) in USES_OF_KEYS:
            self.heard.append(tuple(self._since_sleep))
        return super().exchange(packet)

    def sleep(self) -> None:
        self._since_sleep.clear()
        super().sleep()


def _name(packet: bytes) -> str:
    if packet[1] == Opcode.NONCE:
        return "NonceRandom" if packet[2] == 0 else "NonceInput"
    if packet[1] == Opcode.CHECK_MAC:
        assert packet[3:5] == bytes((AUTHORIZATION_SLOT, 0))
        return "CheckMac"
    return USES_OF_KEYS.get((Opcode(packet[1]), packet[3])) or Opcode(packet[1]).name


AUTHORIZED = {
    ("NonceRandom", "CheckMac", "NonceInput", "Sign"),
    ("NonceRandom", "CheckMac", "GenKey"),
    ("NonceRandom", "CheckMac", "READ", "NonceRandom", "GenDig"),  # the vendor's library reads the serial number
}


@pytest.mark.slow
@READINGS
@pytest.mark.parametrize("password", [PASSWORD, None], ids=["password", "first password later"])
def test_each_use_in_a_modules_life_has_its_own_authorization(
    root: RootFolder, uses: str, password: bytes | None
) -> None:
    hal = Listener(uses)
    with Device(hal) as device:
        make(device, root, order(password, quota=40))
        assert [heard[-1] for heard in hal.heard] == ["GenKey"] * 3, "public, twice, for a chip without key; create"
    if password is None:
        with SignerModule.on(Device(hal), no_pause) as module:
            set_password(module, PASSWORD)
    with SignerModule.on(Device(hal), no_pause) as module:
        change_password(module, PASSWORD, NEW)
        module.unlock(NEW)
        assert module.prove()
        for _ in range(3):
            assert verify_digest(module.public_key, DIGEST, module.sign(DIGEST))
    kinds = [heard[-1] for heard in hal.heard]
    assert kinds.count("Sign") == 3
    assert kinds.count("GenDig") == (4 if password is None else 2)
    assert set(hal.heard) == AUTHORIZED


@pytest.mark.slow
def test_a_module_without_password_asks_for_no_authorization(root: RootFolder) -> None:
    hal = Listener()
    with Device(hal) as device:
        make(device, root, open_order(5))
        with SignerModule.on(device, no_pause) as module:
            assert module.prove()
            module.sign(DIGEST)
    assert "CHECK_MAC" not in {name for heard in hal.heard for name in heard}
    assert hal.heard[-1] == ("NonceInput", "Sign")


@pytest.mark.slow
def test_a_signature_keeps_the_chip_awake_once(root: RootFolder) -> None:
    """So a kit gets six requests for it, as many as for two commands on their own."""
    calls: list[str] = []

    class Counting(ScriptedHal):
        def wake(self) -> None:
            calls.append("wake")
            super().wake()

        def idle(self) -> None:
            calls.append("idle")
            super().idle()

        def sleep(self) -> None:
            calls.append("sleep")
            super().sleep()

        def exchange(self, packet: bytes) -> bytes:
            calls.append(_name(packet))
            return super().exchange(packet)

    hal = Counting()
    with Device(hal) as device:
        make(device, root, order())
        with SignerModule.on(device, no_pause) as module:
            module.unlock(PASSWORD)
            calls.clear()
            module.sign(DIGEST)
            assert calls == ["wake", "NonceRandom", "CheckMac", "NonceInput", "Sign", "sleep"]


DIRECT = {"sign", "get_pubkey", "gen_key", "write_secret", "check_mac"}


def test_no_program_uses_a_modules_key_past_its_authorization() -> None:
    """`AuthorizedUse` is the only way: nothing calls these methods of a Device."""
    found = [
        f"{path}:{node.lineno}"
        for package in ("signer_module", "provisioning_server")
        for path in (SOURCE / package).rglob("*.py")
        if path.name != "chip_log_key.py"  # the log's key: one that needs an authorization is refused
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in DIRECT and ast.unparse(node.value).endswith("device")
    ]
    assert found == []


@pytest.mark.slow
@READINGS
def test_the_chip_keeps_no_authorization_behind_any_act(root: RootFolder, uses: str) -> None:
    hal = Listener(uses)

    def volatile() -> Volatile:
        return hal.chip.chip.core.volatile  # type: ignore[attr-defined,no-any-return]

    with Device(hal) as device:
        make(device, root, order())
        assert volatile().authorized is None
        module = SignerModule.on(device, no_pause)
        for act in (
            lambda: module.unlock(PASSWORD),
            module.prove,
            lambda: module.sign(DIGEST),
            lambda: change_password(module, PASSWORD, NEW),
            lambda: change_password(module, PASSWORD, NEW),  # made already
        ):
            act()
            assert volatile().authorized is None
        with pytest.raises(UsageError):
            module.unlock(b"a wrong password")
        assert volatile().authorized is None


def losing_power(hal: ScriptedHal, opcode: Opcode, times: int) -> Answer:
    """Take the chip's power away right before a command, as a loose contact does."""
    left = [times]

    def answer(packet: bytes) -> bytes:
        if packet[1] == opcode and left[0]:
            left[0] -= 1
            hal.chip.sleep()
            hal.chip.wake()
        return hal.chip.exchange(packet)

    return answer


def counting_refusals(hal: ScriptedHal, inner: Answer) -> Answer:
    """Count a use that is refused, as a chip may: whether it does is not published."""

    def answer(packet: bytes) -> bytes:
        reply = inner(packet)
        if packet[1] == Opcode.SIGN and reply[1] == Status.EXECUTION_ERROR:
            hal.chip.exchange(with_crc(bytes((7, Opcode.COUNTER, 1, 0, 0))))
        return reply

    return answer


@pytest.mark.slow
@pytest.mark.parametrize("opcode", [Opcode.CHECK_MAC, Opcode.SIGN], ids=lambda opcode: opcode.name)
@pytest.mark.parametrize("wanted", [order(quota=5), open_order(5)], ids=["password", "no password"])
def test_a_chip_that_loses_power_before_a_signature_is_asked_again(
    root: RootFolder, wanted: ModuleOrder, opcode: Opcode
) -> None:
    with signer_module(root, wanted) as module:
        module.unlock(PASSWORD)
        hal = hal_of(module)
        hal.answer = losing_power(hal, opcode, 1)
        assert verify_digest(module.public_key, DIGEST, module.sign(DIGEST))
        assert module.remaining == 4
        known = module.quota
        assert module.read_quota() == known


@pytest.mark.slow
def test_chip_that_loses_power_before_each_signature_is_retried_a_limited_number_of_times(root: RootFolder) -> None:
    with signer_module(root, order(quota=5)) as module:
        module.unlock(PASSWORD)
        hal = hal_of(module)
        hal.answer = losing_power(hal, Opcode.SIGN, 9)
        with pytest.raises(DeviceError) as refused:
            module.sign(DIGEST)
        assert refused.value.code == Code.CHIP_REFUSED
        assert [packet[1] for packet in hal.packets].count(Opcode.SIGN) == 2


@pytest.mark.slow
@pytest.mark.parametrize(("left", "code"), [(5, Code.CHIP_REFUSED), (2, Code.QUOTA_USED_UP)])
def test_refused_uses_that_count_are_seen_without_a_signature(root: RootFolder, left: int, code: Code) -> None:
    with signer_module(root, order(quota=left)) as module:
        module.unlock(PASSWORD)
        hal = hal_of(module)
        hal.answer = counting_refusals(hal, losing_power(hal, Opcode.SIGN, 9))
        with pytest.raises(DeviceError) as refused:
            module.sign(DIGEST)
        assert refused.value.code == code
        known = module.quota
        assert module.remaining == left - 2
        assert module.read_quota() == known


@pytest.mark.slow
@pytest.mark.parametrize("left", [5, 1])
def test_a_refused_use_that_counts_is_seen(root: RootFolder, left: int) -> None:
    """Whether it counts is not published: the chip is asked, and its last signature is not promised."""
    with signer_module(root, order(quota=left)) as module:
        module.unlock(PASSWORD)
        hal = hal_of(module)
        hal.answer = counting_refusals(hal, losing_power(hal, Opcode.SIGN, 1))
        if left == 1:
            with pytest.raises(DeviceError) as refused:
                module.sign(DIGEST)
            assert refused.value.code == Code.QUOTA_USED_UP
        else:
            assert module.sign(DIGEST)
        known = module.quota
        assert module.remaining == max(0, left - 2)
        assert module.read_quota() == known


@pytest.mark.slow
@READINGS
@pytest.mark.parametrize("password", [True, False])
def test_a_signature_that_fails_inside_the_chip_is_made_again_and_its_use_seen(
    root: RootFolder, uses: str, password: bool
) -> None:
    """A chip may answer 05 and have counted the use (DS20005927A, 9.18 and 3.2.5)."""
    hal = Listener(uses)
    with Device(hal) as device:
        make(device, root, order(quota=5) if password else open_order(5))
        with SignerModule.on(device, no_pause) as module:
            module.unlock(PASSWORD)
            failing = iter([True])

            def answer(packet: bytes) -> bytes:
                reply = hal.chip.exchange(packet)
                failed = packet[1] == Opcode.SIGN and next(failing, False)
                return with_crc(bytes((4, Status.ECC_FAULT))) if failed else reply

            hal.answer = answer
            assert verify_digest(module.public_key, DIGEST, module.sign(DIGEST))
            known = module.quota
            assert module.remaining == 3
            assert module.read_quota() == known
            module.sign(DIGEST)
            assert module.remaining == 2


@pytest.mark.slow
@READINGS
def test_kept_key_survives_a_chip_that_fails_to_return_it(root: RootFolder, uses: str) -> None:
    """Each use that fails inside the chip (05) may end its authorization: sent again without one, it says 0F."""
    hal = Listener(uses)
    hal.chip.chip.core.open_points = OpenPoints(  # type: ignore[attr-defined]
        authorization_uses=uses,  # type: ignore[arg-type]
        data_open_key_config="obeyed",
    )
    with Device(hal) as device:
        hal.answer = lambda packet: hal.chip.exchange(packet) if packet[1:3] != bytes((Opcode.LOCK, 1)) else b""
        with pytest.raises(Exception, match="answer"):
            make(device, root, order())
        ids = root.register.issued()

        def failing(packet: bytes) -> bytes:
            reply = hal.chip.exchange(packet)
            told = packet[1:3] == bytes((Opcode.GEN_KEY, 0)) and len(reply) > 4
            return with_crc(bytes((4, Status.ECC_FAULT))) if told else reply

        hal.answer = failing
        with pytest.raises(DeviceError) as failed:
            make(device, root, order())
        assert failed.value.status == Status.ECC_FAULT
        hal.answer = None
        make(device, root, order())
    assert root.register.issued() == ids


@pytest.mark.slow
def test_kept_key_survives_a_power_loss_after_the_authorization(root: RootFolder) -> None:
    hal = ScriptedHal()
    with Device(hal) as device:
        hal.answer = lambda packet: hal.chip.exchange(packet) if packet[1:3] != bytes((Opcode.LOCK, 1)) else b""
        with pytest.raises(Exception, match="answer"):
            make(device, root, order())
        ids = root.register.issued()
        hal.answer = losing_power(hal, Opcode.GEN_KEY, 1)
        make(device, root, order())
    assert root.register.issued() == ids


def test_only_the_key_is_of_limited_use() -> None:
    """So neither the authorization nor the encrypted writes of a password change count against the quota."""
    for variant in VARIANTS:
        limited = [slot for slot in range(16) if variant.config_zone[20 + 2 * slot] & 0x20]
        assert limited == ([KEY_SLOT] if variant.quota else [])


@pytest.mark.slow
@READINGS
def test_a_password_change_costs_nothing_of_the_quota(root: RootFolder, uses: str) -> None:
    hal = Listener(uses)
    with Device(hal) as device:
        make(device, root, order(quota=3))
        with SignerModule.on(device, no_pause) as module:
            change_password(module, PASSWORD, NEW)
            module.unlock(NEW)
            module.prove()
            assert module.read_quota() is not None
            assert module.remaining == 3
