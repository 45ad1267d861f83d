"""At the most verbose level a log has the names of commands and messages, and no password, key, PIN or nonce."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from atcaprov.chip.memory_map import KEY_CONFIG, SLOT_CONFIG, SLOT_COUNT
from atcaprov.emulator.state_file import StateFile
from atcaprov.hal import registry
from atcaprov.hal.base import ForwardingHal, Hal
from atcaprov.hal.emulated import open_emulated, parse_emulated
from atcaprov.hal.tracing.masking import MASK, masked_packets
from provisioning_client.cli import command as provisioning_client
from provisioning_server.passwords.given_passwords import read_passwords
from signer_module.on_files.key_file import SoftwareKey
from tests.support.programs import run, run_in_process, run_signer_module
from tests.support.secret_files import secret_file
from tests.support.server import running_server, server_program
from tests.support.signer_modules import CHEAP, SIGNER, working_folder
from tests.support.soft_hsm import LIBRARY, PIN, make_soft_hsm

pytestmark = pytest.mark.slow

PASSWORD = b"correct horse"
"""What `working_folder` puts into the file `password`."""
IS_SECRET, PRIVATE = 0x80, 0x01
"""Bit 7 of SlotConfig and bit 0 of KeyConfig."""
WINDOW = 4
"""Bytes of a secret in a row that count as a leak."""


class TappedHal(ForwardingHal):
    """Notes what passes through another HAL, secrets and all."""

    def __init__(self, hal: Hal, packets: list[tuple[bytes, bytes]]) -> None:
        super().__init__(hal)
        self._packets = packets

    def exchange(self, packet: bytes) -> bytes:
        reply = super().exchange(packet)
        self._packets.append((packet, reply))
        return reply


@pytest.fixture
def packets(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, bytes]]:
    """All packets that go to software chips, and their replies."""
    found: list[tuple[bytes, bytes]] = []
    scheme = registry._Scheme(parse_emulated, lambda rest: TappedHal(open_emulated(rest), found))
    monkeypatch.setitem(registry._BUILT_IN, "emulator", lambda: scheme)
    return found


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Every logger of this process, other projects' included, at the most verbose level."""
    caplog.set_level(logging.DEBUG)
    return caplog


def masked_bytes(packets: list[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """Give the runs of bytes that a trace masks: passwords' digests, keys, encrypted data, nonces, answers."""
    for packet, reply in packets:
        for data, shown in zip((packet, reply), masked_packets(packet, reply), strict=True):
            start = shown.find(MASK) // 2
            if MASK in shown:
                yield data[start:]


def private_contents(path: Path) -> Iterator[bytes]:
    """Give the contents of a software chip's slots that no one may read."""
    memory = StateFile(path).load()
    assert memory is not None
    for slot in range(SLOT_COUNT):
        is_secret = memory.word(SLOT_CONFIG + 2 * slot) & IS_SECRET
        if is_secret or memory.word(KEY_CONFIG + 2 * slot) & PRIVATE:
            yield memory.read_slot(slot, 0, 32)


def assert_unseen(secret: bytes, text: str) -> None:
    """Fail if a part of a secret stands in a text, in any form."""
    found = re.sub(r"[ :]", "", text).lower()
    for start in range(len(secret) - WINDOW + 1):
        part = secret[start : start + WINDOW]
        if len(set(part)) > 1:  # runs of one byte are no secret
            assert part.hex() not in found
    assert secret not in text.encode("utf-8", "surrogateescape")
    assert base64.b64encode(secret).decode() not in text
    assert repr(secret) not in text


def test_no_secret_reaches_a_log(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    packets: list[tuple[bytes, bytes]],
    logged: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    working_folder(tmp_path, monkeypatch)
    keys: list[bytes] = []
    generate = SoftwareKey.generate

    def generated() -> SoftwareKey:
        key = generate()
        keys.append(key.cryptography_key.private_numbers().private_value.to_bytes(32, "big"))
        return key

    monkeypatch.setattr(SoftwareKey, "generate", generated)
    password = ("--password-file", "password")
    from_root = ("--root", "root", "--root-password-file", "password")
    assert run_signer_module("-vv", "root", "create", "--out", "root", *password) == 0
    order = ("--device", SIGNER, *password, *CHEAP)
    assert run_signer_module("-vv", "signer", "create", *from_root, *order) == 0
    assert run_signer_module("-vv", "export", "--device", SIGNER, "--out", "signer") == 0
    assert run_signer_module("-vv", "verify", "--device", SIGNER, *password) == 0
    chip = tmp_path / "board.chip"
    with running_server([], tmp_path / "data", modules=(SIGNER,), passwords=read_passwords(Path("password"))) as server:
        words = ("-vv", "--auto", "--certinfo", "signer/atcaprov_cert_info_0.c", "--device", f"emulator:{chip}")
        place = ("--host", server.host, "--port", str(server.port))
        # The server unlocks the module meanwhile.
        runs = (run_in_process(provisioning_client, *words, *place) for _ in range(1000))
        done = next(run for run in runs if "signer-not-ready" not in run.err)
    text = logged.text + done.err + capsys.readouterr().err
    assert done.code == 0, done.err
    assert "GEN_KEY(04, 0000): 67 bytes" in text
    assert "CHECK_MAC(" in text
    assert "Stage 10 VALIDATE_CERTS: done" in text
    secrets = [PASSWORD, *keys, *private_contents(chip), *private_contents(tmp_path / "signer.chip")]
    secrets += set(masked_bytes(packets))
    assert len(keys) >= 1
    assert len(secrets) > 50
    for secret in secrets:
        assert_unseen(secret, text)


def test_no_secret_reaches_the_program_log_of_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    working_folder(tmp_path, monkeypatch)

    def signer_module(*words: str) -> int:
        return run("signer-module", *words).returncode

    assert signer_module("root", "create", "--out", "root", "--no-password") == 0
    order = ("--device", SIGNER, "--password-file", "password", "--scrypt-cost", "15", "--yes")
    assert signer_module("signer", "create", "--root", "root", *order) == 0
    assert signer_module("export", "--device", SIGNER, "--out", "signer") == 0
    words = ("-vv", "--module", SIGNER, "--password-file", "password", "--data", "data")
    with server_program(*words) as server:
        port = server.address().port
        server.wait_for("ready.")
        certinfo = "signer/atcaprov_cert_info_0.c"
        board = ("--auto", "--certinfo", certinfo, "--device", "emulator:", "--host", "127.0.0.1", "--port", str(port))
        assert run("provisioning-client", *board).returncode == 0
        said = server.said()
    (log,) = Path("data/logs").glob("server-*.log")
    text = log.read_text(encoding="utf-8") + said
    assert "debug] atcaprov.hal.registry: emulator:signer.chip: SIGN(A0, 0000): 67 bytes" in text
    for secret in (PASSWORD, *private_contents(tmp_path / "signer.chip")):
        assert_unseen(secret, text)


def test_no_pin_reaches_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hsm = make_soft_hsm(tmp_path / "hsm", monkeypatch)
    hsm.make_token("line 1")
    secret_file(tmp_path / "pin", f"{PIN.decode()}\n")
    place = ("--pkcs11-library", LIBRARY, "--pkcs11-token", "line 1", "--pkcs11-key", "device ca")
    said = ""
    for words in (
        ("root", "create", "--out", "root", "--no-password"),
        ("signer", "create", "--root", "root", "--out", "signer", *place, "--password-file", "pin"),
        ("verify", "signer", "--password-file", "pin"),
    ):
        done = run("signer-module", "-vv", *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        said += done.stdout + done.stderr
    assert PIN.decode() not in said
