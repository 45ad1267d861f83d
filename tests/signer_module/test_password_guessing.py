"""What a thief can do with a finished module, or with what a listener wrote down, to find its password."""

from __future__ import annotations

import hashlib
import hmac
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from atcaprov import Code, Device, DeviceError, UsageError
from atcaprov.certs.keys import verify_digest
from atcaprov.chip.commands import Opcode
from atcaprov.device.key_authorization import authorize
from atcaprov.emulator.open_points import OpenPoints
from signer_module.on_chip.module import SignerModule
from signer_module.on_chip.password_change import change_password, set_password
from signer_module.on_chip.password_keys import LEAST_COST, CostRule, PasswordScheme
from signer_module.on_chip.slot_layout import AUTHORIZATION_SLOT, WRONG_PASSWORD_COUNTER, Variant
from signer_module.on_files.root_folder import RootFolder
from tests.support.chips import send
from tests.support.scripted_hal import ScriptedHal
from tests.support.signer_modules import PASSWORD, hal_of, no_pause, order, replug, root_folder, signer_module
from tests.support.stock_cryptoauthlib import EXECUTION_ERROR, Wheel, buffer

FIRST_LAYOUT = Path(__file__).parents[1] / "vectors/signer-module-layout-1.json"
"""A module made by the version before chips had a secret of their own: password "correct horse", scrypt cost 15."""
DIGEST = hashlib.sha256(b"to be signed").digest()
NUM_IN = bytes(20)
KDF_SLOT_TO_BUS = 0x12


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> RootFolder:
    return root_folder(tmp_path_factory.mktemp("root") / "root")


@pytest.fixture
def module(root: RootFolder) -> Iterator[SignerModule]:
    with signer_module(root, order()) as module:
        yield module


@pytest.fixture
def first_layout(tmp_path: Path) -> Iterator[SignerModule]:
    path = shutil.copy(FIRST_LAYOUT, tmp_path / "chip.json")
    with SignerModule.open(f"emulator:{path}", no_pause) as module:
        yield module


class Visit:
    """One visit to a module without its password: values that its chip makes with slot 1, and what each would be."""

    def __init__(self, hal: ScriptedHal, serial: bytes) -> None:
        self.serial = serial
        self.chip = hal.chip.chip  # type: ignore[attr-defined]
        self.chip.core.open_points = OpenPoints(no_mac_stops_hmac=False)  # the worst reading
        replug(hal)
        self._made: dict[str, tuple[bytes, bytes]] = {}
        for way, command in {
            "nonce": (Opcode.NONCE, 0, 0x8000, NUM_IN),
            "aes": (Opcode.AES, 0, 0xFFFF, bytes(16)),
            "hmac": (Opcode.SHA, 0x04, 0xFFFF, b""),
        }.items():
            replug(hal)
            self.chip.wake()
            random = send(self.chip, Opcode.NONCE, 0, 0, NUM_IN).body
            assert send(self.chip, Opcode.GEN_DIG, 2, 1, bytes((Opcode.GEN_DIG, 2, 1, 0))).status == 0
            answer = send(self.chip, *command).body
            if way == "hmac":
                answer = send(self.chip, Opcode.SHA, 0xC2, 0).body
            self._made[way] = random, answer

    def confirmed(self, authorization: bytes) -> set[str]:
        """Return the ways in which a guess of the authorization key is confirmed without the chip."""
        found = set()
        for way, (random, answer) in self._made.items():
            temp_key = hashlib.sha256(random + NUM_IN + bytes((Opcode.NONCE, 0, 0))).digest()
            fields = bytes((Opcode.GEN_DIG, 2, 1, 0)) + self.serial[8:] + self.serial[:2] + bytes(25)
            key = hashlib.sha256(authorization + fields + temp_key).digest()
            expected = {
                "nonce": hashlib.sha256(key + NUM_IN + bytes((Opcode.NONCE, 0, 0))).digest(),
                "aes": Cipher(algorithms.AES(key[:16]), modes.ECB()).encryptor().update(bytes(16)),
                "hmac": hmac.digest(key, b"", "sha256"),
            }
            if expected[way] == answer:
                found.add(way)
        return found


@pytest.mark.slow
def test_a_guess_is_confirmed_only_by_asking_the_chip(module: SignerModule) -> None:
    visit = Visit(hal_of(module), module.serial)
    assert visit.confirmed(module.contents.scheme.secrets(PASSWORD, None).authorization) == set()
    assert visit.confirmed(module.contents.scheme.secrets(PASSWORD, lambda challenge: challenge).authorization) == set()
    assert visit.confirmed(module.secrets_of(PASSWORD).authorization) == {"nonce", "aes", "hmac"}
    assert visit.confirmed(module.secrets_of(b"wrong").authorization) == set()


@pytest.mark.slow
def test_visit_reveals_nothing_if_no_mac_stops_outputs(module: SignerModule) -> None:
    hal = hal_of(module)
    chip = hal.chip.chip  # type: ignore[attr-defined]
    chip.core.open_points = OpenPoints(no_mac_stops_outputs=True)
    for opcode, p1, p2, data in (
        (Opcode.NONCE, 0, 0x8000, NUM_IN),
        (Opcode.AES, 0, 0xFFFF, bytes(16)),
        (Opcode.SHA, 0x04, 0xFFFF, b""),
    ):
        replug(hal)
        chip.wake()
        assert send(chip, Opcode.NONCE, 0, 0, NUM_IN).body
        assert send(chip, Opcode.GEN_DIG, 2, 1, bytes((Opcode.GEN_DIG, 2, 1, 0))).status == 0
        assert send(chip, opcode, p1, p2, data).status == 0x0F
        assert "NoMac" in str(chip.last_refusal)
    replug(hal)
    module.unlock(PASSWORD)
    assert verify_digest(module.public_key, DIGEST, module.sign(DIGEST))


@pytest.mark.slow
def test_no_kdf_with_the_keys_of_a_password(module: SignerModule) -> None:
    hal = hal_of(module)
    replug(hal)
    chip = hal.chip.chip  # type: ignore[attr-defined]
    for slot in (1, 2, 3):
        wheel = Wheel(chip)
        arguments = (KDF_SLOT_TO_BUS, slot, 16 << 24, buffer(bytes(16)), buffer(bytes(32)), None)
        assert wheel.status("calib_kdf", *arguments) == EXECUTION_ERROR
        assert "ChipOptions" in str(chip.last_refusal)
        wheel.close()


@pytest.mark.slow
def test_chip_secret_stays_inside_and_differs_between_chips(root: RootFolder) -> None:
    stored = set()
    for _ in range(2):
        with signer_module(root, order()) as module:
            hal = hal_of(module)
            module.unlock(PASSWORD)
            chip = hal.chip.chip  # type: ignore[attr-defined]
            stored.add(chip.memory.read_slot(2, 0, 32))
            chip.wake()
            for p1, data in ((0x82, b""), (0x02, b"")):
                assert send(chip, Opcode.READ, p1, 2 << 3, data).status == 0x0F
            for p1, data in ((0x82, bytes(32)), (0xC2, bytes(64))):
                assert send(chip, Opcode.WRITE, p1, 2 << 3, data).status == 0x0F
            assert send(chip, Opcode.DERIVE_KEY, 0, 2).status == 0x0F
            assert chip.memory.read_slot(2, 0, 32) in stored
    assert len(stored) == 2


@pytest.mark.slow
def test_a_module_of_the_first_layout_stays_usable(first_layout: SignerModule) -> None:
    assert first_layout.contents.variant == Variant(password=True, quota=True, layout=1)
    with pytest.raises(UsageError) as refused:
        first_layout.unlock(b"correct house")
    assert refused.value.code == Code.PASSWORD_WRONG
    first_layout.unlock(PASSWORD)
    assert first_layout.prove()
    assert verify_digest(first_layout.public_key, DIGEST, first_layout.sign(DIGEST))
    change_password(first_layout, PASSWORD, b"battery staple")
    first_layout.unlock(b"battery staple")
    assert first_layout.remaining == 49


def test_a_password_of_twelve_characters_with_six_different_is_strong_enough() -> None:
    assert order(b"abcdefabcdef").password


@pytest.mark.slow
@pytest.mark.parametrize("weak", [b"", b"a" * 40, b"abababababab", b"abcdeabcdeab", b"abcdefghijk", b"letmein1234"])
def test_weak_passwords_are_refused_before_anything_is_done(root: RootFolder, weak: bytes) -> None:
    with pytest.raises(UsageError) as refused:
        order(weak)
    assert refused.value.code == Code.PASSWORD_WEAK
    with signer_module(root, order(None)) as module, pytest.raises(UsageError) as refused:
        set_password(module, weak)
    assert refused.value.code == Code.PASSWORD_WEAK
    with signer_module(root, order()) as module:
        with pytest.raises(UsageError) as refused:
            change_password(module, PASSWORD, weak)
        assert refused.value.code == Code.PASSWORD_WEAK
        module.unlock(PASSWORD)


def test_a_password_is_not_given_to_a_module_that_makes_guesses_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CostRule, "least", LEAST_COST)
    asked: list[bytes] = []
    with pytest.raises(UsageError) as refused:
        PasswordScheme(bytes(16), LEAST_COST - 1).secrets(PASSWORD, asked.append)  # type: ignore[arg-type]
    assert refused.value.code == Code.PASSWORD_SCHEME
    assert not asked


@pytest.mark.parametrize("fault", [ValueError("memory limit exceeded"), MemoryError()], ids=repr)
def test_a_computer_with_too_little_memory(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    def scrypt(*_: object, **__: object) -> bytes:
        raise fault

    monkeypatch.setattr(hashlib, "scrypt", scrypt)
    with pytest.raises(UsageError, match="1024 MiB") as refused:
        PasswordScheme(bytes(16), 20).secrets(PASSWORD, None)
    assert refused.value.code == Code.PASSWORD_MEMORY
    assert PASSWORD.decode() not in repr(refused.value)


@pytest.mark.slow
def test_too_little_memory_does_not_count_as_a_wrong_password(
    root: RootFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    with signer_module(root, order(), pauses.append) as module:
        hal_of(module).packets.clear()
        with monkeypatch.context() as short:
            short.setattr(hashlib, "scrypt", scrypt_without_memory)
            with pytest.raises(UsageError) as refused:
                module.unlock(PASSWORD)
        assert refused.value.code == Code.PASSWORD_MEMORY
        assert not {packet[1] for packet in hal_of(module).packets} & {Opcode.CHECK_MAC, Opcode.MAC}
        assert module.device.counter(WRONG_PASSWORD_COUNTER) == 0
        module.unlock(PASSWORD)
    assert pauses == []


def scrypt_without_memory(*_: object, **__: object) -> bytes:
    raise ValueError("memory limit exceeded")


@pytest.mark.slow
def test_waiting_module_is_not_opened_by_a_change_to_a_guess(root: RootFolder) -> None:
    with signer_module(root, order()) as module:
        with pytest.raises(UsageError) as refused:
            change_password(module, b"wrong", b"another wrong one")
        assert refused.value.code == Code.PASSWORD_WRONG
        assert module.wrong_passwords() == 1
        assert not change_password(module, b"wrong", PASSWORD)
        assert module.wrong_passwords() == 2
        assert not module.ready


@pytest.mark.slow
def test_one_change_of_a_password_to_itself(root: RootFolder) -> None:
    with signer_module(root, order()) as module:
        assert change_password(module, PASSWORD, PASSWORD)
        hal = hal_of(module)
    replug(hal)
    with SignerModule.on(Device(hal), no_pause) as again:
        again.unlock(PASSWORD)


def overheard(module: SignerModule) -> bytes:
    """Unlock a module; return what a listener makes of it: a CheckMac with the nonce in the packet (mode 0)."""
    hal = hal_of(module)
    heard: list[tuple[bytes, bytes]] = []

    def listen(packet: bytes) -> bytes:
        heard.append((packet, hal.chip.exchange(packet)))
        return heard[-1][1]

    hal.answer = listen
    module.unlock(PASSWORD)
    hal.answer = None
    nonce, check = [entry for entry in heard if entry[0][1] in (Opcode.NONCE, Opcode.CHECK_MAC)][-2:]
    random, num_in = nonce[1][1:33], nonce[0][5:25]
    return hashlib.sha256(random + num_in + bytes((Opcode.NONCE, 0, 0))).digest() + check[0][37:82]


@pytest.mark.slow
@pytest.mark.parametrize("needs_temp_key", [True, False])
@pytest.mark.parametrize("authorizes", [True, False])
def test_overheard_response_is_worthless_later(root: RootFolder, needs_temp_key: bool, authorizes: bool) -> None:
    """Worth nothing where ReqRandom refuses a challenge in the packet, or where such a challenge authorizes nothing;
    for the ATECC608 neither is published.
    """
    with signer_module(root, order()) as module:
        hal = hal_of(module)
        chip = hal.chip.chip  # type: ignore[attr-defined]
        chip.core.open_points = OpenPoints(
            req_random_needs_temp_key=needs_temp_key, checkmac_challenge_authorizes=authorizes
        )
        data = overheard(module)
        replug(hal)
        chip.wake()
        assert send(chip, Opcode.CHECK_MAC, 0, 1, data).status == (0x0F if needs_temp_key else 0)
        assert (chip.core.volatile.authorized == 1) is (authorizes and not needs_temp_key)
        assert send(chip, Opcode.NONCE, 3, 0, data[:32]).status == 0
        assert send(chip, Opcode.CHECK_MAC, 5, 1, data).status == 0x0F
        assert "ReqRandom" in str(chip.last_refusal)


@pytest.mark.slow
@pytest.mark.parametrize("clears", [True, False])
def test_a_wrong_password_leaves_no_earlier_authorization(root: RootFolder, clears: bool) -> None:
    """Whether a failed CheckMac ends one is not published: the chip sleeps behind it."""
    with signer_module(root, order()) as module:
        chip = hal_of(module).chip.chip  # type: ignore[attr-defined]
        chip.core.open_points = OpenPoints(checkmac_failure_clears=clears)
        secret = module.secrets_of(PASSWORD).authorization
        assert authorize(module.device, AUTHORIZATION_SLOT, secret, serial_number=module.serial)
        assert chip.core.volatile.authorized == AUTHORIZATION_SLOT
        with pytest.raises(UsageError):
            module.unlock(b"another password")
        assert chip.core.volatile.authorized is None


@pytest.mark.slow
def test_stranger_can_spend_the_quota_without_getting_a_signature(root: RootFolder) -> None:
    with signer_module(root, order(quota=40)) as module:
        hal = hal_of(module)
    replug(hal)
    chip = hal.chip.chip  # type: ignore[attr-defined]
    chip.wake()
    for _ in range(40):
        chip.wake()
        assert send(chip, Opcode.COUNTER, 1, 0).body
    replug(hal)
    with SignerModule.on(Device(hal), no_pause) as module:
        assert module.remaining == 0
        module.unlock(PASSWORD)
        with pytest.raises(DeviceError) as refused:
            module.sign(DIGEST)
        assert refused.value.code == Code.QUOTA_USED_UP
