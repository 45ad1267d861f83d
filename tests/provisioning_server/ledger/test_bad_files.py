"""What may stand in the place of a ledger's file ends in one error, and nothing is changed."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from atcaprov import AtcaProvError, Code, UsageError
from provisioning_server.cli import command
from provisioning_server.ledger.open_ledger import open_for_reading, open_ledger
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from tests.provisioning_server.ledger.events import NOW, intent, issued, reported, step
from tests.support.programs import run_in_process

Change = Callable[[Path], None]


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with 300 entries that was closed."""
    path = tmp_path_factory.mktemp("closed") / "ledger.sqlite3"
    with contextlib.closing(open_ledger(path, NOW)) as ledger:
        step(ledger, *(issued(number) for number in range(299)), reported(0, 0), intents=[intent(1000)])
    return path


@pytest.fixture
def path(closed: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copy(closed, tmp_path / closed.name))


def _sql(*statements: str) -> Change:
    def change(path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    return change


def _write(data: bytes) -> Change:
    return lambda path: void(path.write_bytes(data))


def void(_: object) -> None:
    """Forget a result."""


def _other_program(path: Path) -> None:
    path.unlink()
    _sql("CREATE TABLE notes (text TEXT)", "PRAGMA application_id=252006673")(path)


def _no_program(path: Path) -> None:
    path.unlink()
    _sql("CREATE TABLE notes (text TEXT)")(path)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8192])


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:90])


def _zeros_behind_the_header(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:100] + bytes(len(content) - 100))


DAMAGE: dict[str, tuple[Change, Code, str]] = {
    "text": (_write(b"2026-11-21T10:30:15Z\t0123000000000001EE\n" * 50), Code.LEDGER_INVALID, "not a database"),
    "empty": (_write(b""), Code.LEDGER_INVALID, "is empty"),
    "folder": (_folder, Code.LEDGER_INVALID, "is a folder"),
    "cut in the header": (_cut_short, Code.LEDGER_INVALID, "not a database"),
    "another program": (_other_program, Code.LEDGER_INVALID, "another program, with the application id 0xf055111"),
    "no program": (_no_program, Code.LEDGER_INVALID, "another program, with the application id 0x0"),
    "newer": (_sql("PRAGMA user_version=1000"), Code.LEDGER_VERSION, "has version 1000; this program knows"),
    "cut": (_cut, Code.LEDGER_DAMAGED, "malformed"),
    "zeros": (_zeros_behind_the_header, Code.LEDGER_DAMAGED, "malformed|not a database"),
    "no head": (_sql("DELETE FROM tree"), Code.LEDGER_DAMAGED, "it has no head"),
    "no identity": (_sql("DELETE FROM ledger"), Code.LEDGER_DAMAGED, "it has no head"),
    "no table": (_sql("DROP TABLE tiles"), Code.LEDGER_DAMAGED, "no such table: tiles"),
    "other root": (_sql("UPDATE tree SET root = zeroblob(32)"), Code.LEDGER_DAMAGED, "head .* does not fit the tiles"),
    "smaller": (_sql("UPDATE tree SET size = 299"), Code.LEDGER_DAMAGED, "does not fit the tiles"),
    "larger": (_sql("UPDATE tree SET size = 301"), Code.LEDGER_DAMAGED, "log is incomplete"),
    "tile gone": (_sql("DELETE FROM tiles WHERE level = 1"), Code.LEDGER_DAMAGED, "log is incomplete"),
    "full tile gone": (
        _sql("DELETE FROM tiles WHERE level = 0 AND number = 0"),
        Code.LEDGER_DAMAGED,
        "tile 0 of level 0 .* does not fit",
    ),
    "tile changed": (
        _sql("UPDATE tiles SET hashes = zeroblob(32 * 44) WHERE level = 0 AND number = 1"),
        Code.LEDGER_DAMAGED,
        "does not fit the tiles",
    ),
    "full tile changed": (
        _sql("UPDATE tiles SET hashes = zeroblob(8192) WHERE level = 0 AND number = 0"),
        Code.LEDGER_DAMAGED,
        "tile 0 of level 0 .* does not fit",
    ),
    "entry gone": (_sql("DELETE FROM entries WHERE idx = 290"), Code.LEDGER_DAMAGED, "newest entries"),
    "last entry gone": (_sql("DELETE FROM entries WHERE idx = 299"), Code.LEDGER_DAMAGED, "newest entries"),
    "entry more": (
        _sql("INSERT INTO entries VALUES (300, 'lost', '{}')"),
        Code.LEDGER_DAMAGED,
        "newest entries",
    ),
    "entry changed": (
        _sql("UPDATE entries SET body = replace(body, '192.0.2.7', '192.0.2.8') WHERE idx = 298"),
        Code.LEDGER_DAMAGED,
        "an entry from 256 on was changed",
    ),
    "certificate gone": (_sql("DELETE FROM certificates WHERE idx = 298"), Code.LEDGER_DAMAGED, "certificate"),
    "certificate more": (
        _sql(
            "INSERT INTO certificates (idx, chip_serial, public_key, signer_serial, certificate_serial, time, client,"
            " challenged, fate) VALUES (299, x'01', x'02', x'03', x'04', 0, '', 0, '')"
        ),
        Code.LEDGER_DAMAGED,
        "certificate",
    ),
}


@pytest.mark.parametrize("change", DAMAGE)
@pytest.mark.parametrize("opened", [lambda path: open_ledger(path, NOW), open_for_reading], ids=["server", "command"])
def test_damage_is_found_when_it_is_opened(path: Path, change: str, opened: Callable[[Path], SqlLedger]) -> None:
    damage, code, message = DAMAGE[change]
    damage(path)
    before = None if path.is_dir() else path.read_bytes()
    with pytest.raises(UsageError, match=message) as raised:
        opened(path)
    assert raised.value.code == code
    assert str(path) in raised.value.what
    assert raised.value.advice
    if code in (Code.LEDGER_INVALID, Code.LEDGER_VERSION):
        assert path.is_dir() or path.read_bytes() == before
        assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("change", DAMAGE)
def test_ledger_can_be_put_back_as_the_advice_says(path: Path, change: str, tmp_path: Path, closed: Path) -> None:
    DAMAGE[change][0](path)
    with pytest.raises(UsageError):
        open_ledger(path, NOW)
    for rest in tmp_path.glob("ledger.sqlite3*"):
        shutil.rmtree(rest) if rest.is_dir() else rest.unlink()
    shutil.copy(closed, path)
    with contextlib.closing(open_ledger(path, NOW)) as ledger:
        assert ledger.head().size == 300


def test_missing_ledger_is_made_for_a_server_and_told_to_a_command(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    with pytest.raises(UsageError, match="no ledger") as raised:
        open_for_reading(path)
    assert raised.value.code == Code.FILE_UNREADABLE
    open_ledger(path, NOW).close()
    open_for_reading(path).close()
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_rest_of_a_ledger_whose_making_was_cut_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    path.with_name("ledger.sqlite3.new").write_bytes(b"half")
    with contextlib.closing(open_ledger(path, NOW)) as ledger:
        assert ledger.head().size == 0


_STOPPED = """
import os, sys
from pathlib import Path
from provisioning_server.ledger.open_ledger import open_ledger
from tests.provisioning_server.ledger.events import NOW, issued, step
ledger = open_ledger(Path(sys.argv[1]), NOW)
for number in range(1000, 1005):
    step(ledger, issued(number))
if sys.argv[2] == "killed":
    os._exit(0)
if sys.argv[2] == "failed":
    ledger.failed = True
if sys.argv[2] == "crashed":
    raise ZeroDivisionError
"""


def _after(path: Path, end: str) -> None:
    subprocess.run([sys.executable, "-c", _STOPPED, str(path), end], stderr=subprocess.DEVNULL, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("end", ["killed", "failed", "crashed", "forgotten"])
def test_ledger_is_whole_however_the_program_ends(path: Path, end: str) -> None:
    _after(path, end)
    for _ in range(2):
        with contextlib.closing(open_ledger(path, NOW)) as ledger:
            assert ledger.head().size == 305


@pytest.mark.slow
def test_missing_write_ahead_log_of_a_killed_server_is_noticed(path: Path) -> None:
    _after(path, "killed")
    log = path.with_name(f"{path.name}-wal")
    moved = log.rename(path.with_name("moved"))
    opened: list[Callable[[Path], SqlLedger]] = [open_for_reading, lambda path: open_ledger(path, NOW)]
    for each in opened * 2:  # looking at it must not make it look complete
        with pytest.raises(UsageError, match=r"newest records .* are missing") as raised:
            each(path)
        assert raised.value.code == Code.RECORD_MISSING
    assert f"Put {log.name} back beside it" in raised.value.advice
    moved.rename(log)
    with contextlib.closing(open_ledger(path, NOW)) as ledger:
        assert ledger.head().size == 305


@pytest.mark.slow
def test_ledger_of_a_killed_server_that_another_program_opened_is_backed_up_and_restored(path: Path) -> None:
    """As the advice says. The backup alone does not make it look complete."""
    _after(path, "killed")
    with contextlib.closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT count(*) FROM entries").fetchone() == (305,)
    assert not path.with_name(f"{path.name}-wal").exists()
    backups, data = path.parent / "backups", str(path.parent)
    made = run_in_process(command, "ledger", "backup", str(backups), "--data", data)
    assert made.code == 0, made.err
    (backup,) = backups.iterdir()
    with pytest.raises(UsageError, match=r"newest records .* are missing") as raised:
        open_ledger(path, NOW)
    assert "'provisioning-server ledger backup DEST'" in raised.value.advice
    words = ("ledger", "restore", str(backup), "--data", data)
    refused = run_in_process(command, *words)
    assert refused.code == 2
    assert "give a reason with --replace" in refused.err
    restored = run_in_process(command, *words, "--replace", "opened with sqlite3")
    assert restored.code == 0, restored.err
    with contextlib.closing(open_ledger(path, NOW)) as ledger:
        assert ledger.head().size == 305


@pytest.mark.slow
def test_write_ahead_log_without_its_ledger_is_noticed(path: Path) -> None:
    _after(path, "killed")
    moved = path.rename(path.with_name("moved"))
    with pytest.raises(UsageError, match=r"is missing, and its part ledger\.sqlite3-wal is there") as raised:
        open_ledger(path, NOW)
    assert raised.value.code == Code.RECORD_MISSING
    moved.rename(path)
    with contextlib.closing(open_ledger(path, NOW)) as ledger:
        assert ledger.head().size == 305


def test_ledger_that_another_program_writes_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provisioning_server.ledger.sql.sqlite_database._WAIT", 0)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UsageError, match="cannot be opened: database is locked") as raised:
            open_ledger(path, NOW)
    assert raised.value.code == Code.FILE_UNREADABLE
    open_ledger(path, NOW).close()


def test_damage_in_the_middle_is_found_when_it_is_read(path: Path) -> None:
    _sql("UPDATE entries SET body = substr(body, 2) WHERE idx = 7")(path)
    with contextlib.closing(open_ledger(path, NOW)) as ledger:
        chip = issued(7).record.chip_serial
        for _ in range(2):
            with pytest.raises(AtcaProvError) as raised:
                ledger.known([chip], [])
            assert raised.value.code == Code.RECORDS_FAILED
        assert ledger.failed


_AS_ANOTHER_USER = """
import os, sys
from pathlib import Path
from atcaprov import UsageError
from provisioning_server.ledger.open_ledger import open_for_reading, open_ledger
from tests.provisioning_server.ledger.events import NOW
if os.geteuid() == 0:
    os.setuid(65534)
path = Path(sys.argv[1])
try:
    open_ledger(path, NOW)
except UsageError as error:
    print(error.code, error.what)
try:
    print(open_for_reading(path).head().size)
except UsageError as error:
    print(error.code, error.what)
"""


def _asked_as_another_user(path: Path) -> list[str]:
    command = [sys.executable, "-c", _AS_ANOTHER_USER, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
def test_ledger_without_permissions_is_told_and_can_still_be_read(closed: Path) -> None:
    with tempfile.TemporaryDirectory() as name:  # in a folder above which every user may look into
        folder = Path(name)
        path = Path(shutil.copy(closed, folder / closed.name))
        folder.chmod(0o555)
        path.chmod(0o444)
        unwritable = f"file-unwritable The ledger {path} cannot be written."
        assert _asked_as_another_user(path) == [unwritable, "300"]
        path.chmod(0o000)
        unreadable = f"file-unreadable The ledger {path} cannot be read: Permission denied."
        assert _asked_as_another_user(path) == [unreadable, unreadable]
        folder.chmod(0o755)
