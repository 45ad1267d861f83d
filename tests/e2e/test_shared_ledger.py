"""Two server programs on one ledger of PostgreSQL, and the commands that read it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from random import Random

import psycopg
import pytest

from atcaprov import Code
from provisioning_server.cli import command
from provisioning_server.ledger.ledger_place import PostgresqlUrl
from provisioning_server.ledger.open_ledger import open_ledger
from tests.e2e.shared_servers import SharedLedger
from tests.provisioning_server.ledger.events import NOW, issued, step
from tests.support.postgresql import PostgresqlServer, Stop, running_postgresql
from tests.support.programs import run_in_process
from tests.support.server import running_server, server_program
from tests.support.signer_folders import make_signer_folder

pytestmark = pytest.mark.slow
REQUESTS = 60


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgresqlServer]:
    with running_postgresql() as server:
        yield server


@pytest.fixture
def shared(postgresql: PostgresqlServer, tmp_path: Path) -> SharedLedger:
    signer = make_signer_folder(tmp_path)
    url = postgresql.make_database(f"shared_{secrets.token_hex(4)}")
    return SharedLedger(postgresql, url, tmp_path, signer.path, signer.public_key, Random(20261130))


def audit(shared: SharedLedger, *words: str) -> None:
    done = run_in_process(command, "audit", "verify", "--data", str(shared.data(1)), "--ledger", shared.url, *words)
    assert done.code == 0, done
    assert "No findings." in done.out


def test_two_servers_race_for_the_same_chips(shared: SharedLedger, tmp_path: Path) -> None:
    with shared.servers() as servers:
        refused = shared.load(servers, REQUESTS)
        assert not refused
        for server in servers:
            assert server.program.stop() == 0
    contents = shared.check()
    assert len(contents.issued) == len(shared.certificates) > REQUESTS // 2
    assert not contents.open_intents
    newest = [str(shared.data(number) / "checkpoint") for number in range(2)]
    audit(shared, "--since", newest[0], "--since", newest[1])
    checkpoints = [each.checkpoint for each in shared.acknowledged if each.checkpoint]
    assert len({text.splitlines()[0] for text in checkpoints}) == 1
    assert all((shared.data(number) / "certs").is_dir() for number in range(2))
    show = run_in_process(command, "--ledger", shared.url, "ledger", "show", "--json")
    assert json.loads(show.out)["certificates"] == len(shared.certificates)
    exported = run_in_process(command, "ledger", "export", "--format", "jsonl", "--ledger", shared.url)
    assert len(exported.out.splitlines()) == len(shared.certificates)


def test_what_a_killed_server_left_open_is_closed_by_the_other(shared: SharedLedger) -> None:
    with shared.servers() as servers:
        shared.load(servers, 10)
        dead, alive = servers
        with psycopg.connect(shared.url, autocommit=True) as connection:
            connection.execute("SET search_path = atcaprov_ledger")
            os.kill(dead.program.process.pid, signal.SIGSTOP)
            name = (shared.data(0) / "server-id").read_text().strip()
            chip, key = _open_intent(connection, name, shared)
            with pytest.raises(AssertionError, match="server-busy"):
                _ask(shared, alive, chip)
            dead.program.process.kill()
            dead.program.process.wait()
            _ask(shared, alive, chip)
            assert connection.execute("SELECT count(*) FROM intents WHERE public_key = %s", (key,)).fetchone() == (0,)
        assert "was being certified" in alive.program.said()
    contents = shared.check()
    assert [lost["server"] for lost in contents.lost] == [name]


def _open_intent(connection: psycopg.Connection, name: str, shared: SharedLedger) -> tuple[int, bytes]:
    """Write an intent for the next chip in the name of a server, as one that ended while it signed has left it."""
    from atcaprov.certs.keys import raw_public_key
    from tests.soak.acknowledged import chip_key
    from tests.support.numbered_chips import chip_serial

    chip = shared.first
    key = raw_public_key(chip_key(chip).public_key())
    connection.execute(
        "INSERT INTO intents SELECT %s, %s, 1, c.signer_serial, %s, d.id, c.time, '\\x00'::bytea, %s, '', -1"
        " FROM certificates c, documents d LIMIT 1",
        (chip_serial(chip), key, shared.signer_key, name),
    )
    return chip, key


def _ask(shared: SharedLedger, server: object, chip: int) -> None:
    """Ask a server for the certificate of one chip."""
    shared.first = chip
    shared.random = Random(1)  # whose first choice is a new chip
    refused = shared.load([server], 1)  # type: ignore[list-item]
    assert not refused, refused


@pytest.mark.parametrize("how", [Stop.IMMEDIATE, Stop.KILLED])
def test_database_that_is_killed_under_load_stops_issuing_and_loses_nothing(shared: SharedLedger, how: Stop) -> None:
    refused = shared.restart_under_load(REQUESTS, how)
    assert set(refused) <= {Code.RECORDS_FAILED, Code.SERVER_BUSY}
    assert refused[Code.RECORDS_FAILED]
    with shared.servers() as servers:
        assert not shared.load(servers, REQUESTS)
    assert not shared.check().open_intents
    audit(shared)


def test_database_that_is_away_is_told_at_the_start(tmp_path: Path) -> None:
    signer = make_signer_folder(tmp_path).path
    url = "postgresql:///ledger?host=/nowhere&user=operator"
    with server_program("--signer", signer, "--data", tmp_path / "data", "--ledger", url) as server:
        assert server.finish() == 2
        assert "/nowhere" in server.errors
    for words in (("audit", "verify"), ("ledger", "show")):
        done = run_in_process(command, *words, "--ledger", url)
        assert (done.code, Code.LEDGER_UNREACHABLE in done.err) == (2, True)


def test_server_with_another_log_key_is_refused(shared: SharedLedger) -> None:
    with shared.servers():
        pass
    (shared.data(1) / "log-key.pem").unlink()
    options = ("--signer", shared.signer, "--data", shared.data(1), "--ledger", shared.url)
    with server_program(*options) as server:
        assert server.finish() == 2
        assert "copy it from another server" in server.errors
    shutil.copy(shared.data(0) / "log-key.pem", shared.data(1))
    with server_program(*options) as server:
        server.address()


def test_copied_data_folder_is_refused(shared: SharedLedger) -> None:
    with running_server(shared.signer, shared.data(0), ledger=PostgresqlUrl(shared.url)):
        shutil.copytree(shared.data(0), shared.data(1))
        with server_program(
            "--signer", shared.signer, "--data", shared.data(1), "--ledger", f"{shared.url}&options=-clock_timeout%3D50"
        ) as server:
            assert server.finish(120) == 2
        assert "data folder of its own" in server.errors


def test_folder_with_records_of_its_own_is_refused(shared: SharedLedger) -> None:
    words = ("--signer", shared.signer, "--data", shared.data(0))
    with server_program(*words) as server:
        server.address()
        assert server.stop() == 0
    with server_program(*words, "--ledger", shared.url) as server:
        assert server.finish() == 2
        assert "records of its own" in server.errors
    with server_program("--signer", shared.signer, "--data", shared.data(1), "--ledger", shared.url) as server:
        server.address()


def test_ledger_is_found_once_a_server_has_made_it(shared: SharedLedger) -> None:
    done = run_in_process(command, "ledger", "show", "--ledger", shared.url)
    assert (done.code, "There is no ledger" in done.err) == (2, True)
    with running_server(shared.signer, shared.data(0), ledger=PostgresqlUrl(shared.url)):
        assert run_in_process(command, "ledger", "show", "--ledger", shared.url).code == 0


def test_database_with_tables_of_another_program_is_left_for_another_one(shared: SharedLedger) -> None:
    with psycopg.connect(shared.url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA atcaprov_ledger")
        connection.execute("CREATE TABLE atcaprov_ledger.accounts (name TEXT)")
    words = ("--signer", shared.signer, "--data", shared.data(0))
    with server_program(*words, "--ledger", shared.url) as server:
        assert server.finish() == 2
        assert "another program: accounts" in server.errors
    other = shared.postgresql.make_database(f"other_{secrets.token_hex(4)}")
    with server_program(*words, "--ledger", other) as server:
        server.address()


def test_password_on_the_command_line_is_not_shown(tmp_path: Path) -> None:
    done = run_in_process(command, "ledger", "show", "--ledger", "postgresql://operator:secret@db.example/ledger")
    assert done.code == 2
    assert "secret" not in done.out + done.err
    assert ".pgpass" in done.err
    settings = tmp_path / "server.toml"
    settings.write_text('ledger = "postgresql://operator:secret@db.example/ledger"\n')
    done = run_in_process(command, "--settings", str(settings), "ledger", "show")
    assert (done.code, "secret" in done.out + done.err) == (2, False)


def test_url_of_another_kind_is_told_as_it_should_be(shared: SharedLedger) -> None:
    done = run_in_process(command, "ledger", "show", "--ledger", "ledger.sqlite3")
    assert (done.code, "postgresql://" in done.err) == (2, True)
    with contextlib.closing(open_ledger(PostgresqlUrl(shared.url), NOW)) as ledger:
        step(ledger, issued(1))
    assert run_in_process(command, "ledger", "show", "--ledger", shared.url).code == 0


@pytest.mark.parametrize("words", [("backup", "to"), ("restore", "from"), ("import", "--check")])
def test_commands_for_a_ledger_in_a_folder_say_so(words: tuple[str, str], tmp_path: Path) -> None:
    done = run_in_process(command, "ledger", *words, "--data", str(tmp_path), "--ledger", "postgresql:///ledger")
    assert (done.code, "is on PostgreSQL" in done.err) == (2, True)
    assert not list(tmp_path.iterdir())


def test_older_copy_in_place_of_the_database_stops_issuing_also_after_a_restart(shared: SharedLedger) -> None:
    administrator = shared.postgresql
    with shared.servers() as servers:
        shared.load(servers, 10)
        dump = administrator.dump(shared.url)
        shared.load(servers, 20)
        with psycopg.connect(shared.url, autocommit=True) as connection:
            connection.execute("ALTER SCHEMA atcaprov_ledger RENAME TO newer")
        administrator.restore(dump, shared.url)
        assert shared.load(servers, 10).keys() <= {Code.LEDGER_BEHIND, Code.RECORDS_FAILED}
        for server in servers:
            server.program.stop()
        assert "ledger is behind what it was" in str(servers[0].program.lines + servers[1].program.lines)
    for number in range(2):
        data = shared.data(number)
        with server_program("--signer", shared.signer, "--data", data, "--ledger", shared.url) as program:
            said = program.wait_for("the ledger is behind what it was")
            assert f"{data / 'checkpoint'} has its newest checkpoint" in said
    with psycopg.connect(shared.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA atcaprov_ledger CASCADE")
        connection.execute("ALTER SCHEMA newer RENAME TO atcaprov_ledger")
    with shared.servers() as servers:
        assert not shared.load(servers, 10)
    assert not shared.check().open_intents
