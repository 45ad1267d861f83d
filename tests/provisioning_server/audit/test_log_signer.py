from __future__ import annotations

import stat
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from atcaprov import Code, UsageError
from atcaprov.transparency.verifier_keys import NoteSigner, VerifierKey
from provisioning_server.audit.log_key import KEY_FILE, LogKey, open_key_file, open_log_key
from provisioning_server.audit.log_signer import LogSigner, origin_of, verifier_key_of
from provisioning_server.ledger.changes import RollbackAccepted
from provisioning_server.ledger.store import Ledger
from tests.provisioning_server.ledger.conftest import OpenStore
from tests.provisioning_server.ledger.events import NOW, issued, step
from tests.support.server import PATIENCE


@pytest.fixture
def signer(ledger: Ledger, tmp_path: Path) -> LogSigner:
    return LogSigner(ledger, open_log_key(tmp_path, ledger))


def test_checkpoint_is_over_the_newest_committed_head(ledger: Ledger, signer: LogSigner) -> None:
    empty = signer.checkpoint()
    assert (empty.checkpoint.size, empty.checkpoint.root) == (0, ledger.head().root)
    head = step(ledger, issued(1), issued(2)).head
    signed = signer.checkpoint()
    assert (signed.checkpoint.size, signed.checkpoint.root) == (2, head.root)
    signed.verify(signer.verifier_key)
    assert signed.checkpoint.origin == f"atcaprov.ledger/{ledger.identity.ledger_id.hex()}/1"
    assert signer.checkpoint() is signed
    assert signer.recent() is signed
    step(ledger, issued(3))
    assert signer.recent().checkpoint.size == 3


class HeldKey:
    """A key like one in a chip, which takes its time, and does one thing at a time."""

    slow = True

    def __init__(self, key: LogKey) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.at_once = self.most_at_once = 0
        self._key = key

    def signer(self, origin: str) -> NoteSigner:
        return _HeldSigner(self, self._key.signer(origin))


class _HeldSigner:
    def __init__(self, held: HeldKey, signer: NoteSigner) -> None:
        self.key = signer.key
        self._held = held
        self._signer = signer

    def sign(self, text: bytes) -> bytes:
        held = self._held
        held.at_once += 1
        held.most_at_once = max(held.most_at_once, held.at_once)
        held.begun.release()
        assert held.go_on.acquire(timeout=PATIENCE)
        held.at_once -= 1
        return self._signer.sign(text)


def test_threads_sign_one_after_another_and_the_last_checkpoint_is_the_newest(ledger: Ledger, tmp_path: Path) -> None:
    """A chip takes one command at a time; a station refuses a server that shows an older checkpoint than before."""
    key = HeldKey(open_log_key(tmp_path, ledger))
    signer = LogSigner(ledger, key)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(signer.checkpoint)
        assert key.begun.acquire(timeout=PATIENCE)
        step(ledger, issued(1))
        second = pool.submit(signer.checkpoint)
        key.begun.acquire(timeout=0.05)  # succeeds only if both sign at once
        key.go_on.release(2)
        assert (first.result(PATIENCE).checkpoint.size, second.result(PATIENCE).checkpoint.size) == (0, 1)
    assert key.most_at_once == 1
    assert signer.recent().checkpoint.size == 1


def test_accepted_rollback_gives_the_log_a_new_name(ledger: Ledger, signer: LogSigner) -> None:
    before = signer.verifier_key
    step(ledger, RollbackAccepted(NOW, "restored"))
    signed = signer.checkpoint()
    assert signed.checkpoint.origin == origin_of(ledger.identity) != before.name
    signed.verify(signer.verifier_key)
    with pytest.raises(UsageError):
        signed.verify(before)


def test_log_keeps_its_key_over_restarts(open_store: OpenStore, tmp_path: Path) -> None:
    keys = []
    for _ in range(2):
        opened = open_store()
        keys.append(LogSigner(opened, open_log_key(tmp_path, opened)).verifier_key)
        assert verifier_key_of(opened) == keys[-1]
        opened.close()
    assert keys[0] == keys[1] == VerifierKey.parse(str(keys[0]))


def test_server_with_another_key_cannot_sign_for_the_ledger(ledger: Ledger, signer: LogSigner, tmp_path: Path) -> None:
    key = (tmp_path / KEY_FILE).read_bytes()
    (tmp_path / KEY_FILE).unlink()
    with pytest.raises(UsageError, match="is missing") as missing:
        open_log_key(tmp_path, ledger)
    assert missing.value.code == Code.LOG_KEY_OTHER
    assert not (tmp_path / KEY_FILE).exists()
    with pytest.raises(UsageError, match="not the key with which") as other:
        LogSigner(ledger, open_key_file(tmp_path / "other.pem", make=True))
    assert other.value.code == Code.LOG_KEY_OTHER
    (tmp_path / KEY_FILE).write_bytes(key)
    assert LogSigner(ledger, open_log_key(tmp_path, ledger)).verifier_key == signer.verifier_key


def test_ledger_without_a_checkpoint_has_no_key(ledger: Ledger) -> None:
    assert verifier_key_of(ledger) is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
def test_only_the_owner_may_read_the_key(signer: LogSigner, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize("keep", [0, 1, 60, 110])
def test_damaged_key_file_is_named_and_not_shown(ledger: Ledger, signer: LogSigner, tmp_path: Path, keep: int) -> None:
    path = tmp_path / KEY_FILE
    pem = path.read_bytes()
    path.write_bytes(pem[:keep])
    with pytest.raises(UsageError, match=KEY_FILE) as caught:
        open_log_key(tmp_path, ledger)
    assert caught.value.code == Code.KEY_FILE_INVALID
    assert caught.value.__cause__ is None
    assert not any(line in str(caught.value) for line in pem.decode().splitlines())


def test_key_is_in_no_representation(signer: LogSigner, tmp_path: Path) -> None:
    secret = (tmp_path / KEY_FILE).read_bytes().splitlines()[1].decode()
    assert secret not in repr(vars(signer)) + repr(signer) + str(signer.verifier_key)


def test_key_that_cannot_be_written_is_a_typed_error(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Cannot write") as caught:
        open_log_key(tmp_path / "missing", ledger)
    assert caught.value.code == Code.FILE_UNWRITABLE
