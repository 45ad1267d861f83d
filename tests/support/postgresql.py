"""PostgreSQL servers for tests: Debian's programs over a folder of their own, on a Unix socket only.

Debian's own cluster is never touched. PostgreSQL refuses to run as root, so it runs as the user `postgres` then.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import queue
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

import psycopg
import pytest

from tests.support.system_programs import require_program

PATIENCE: Final = 60.0
"""Seconds after which a server that does not start or end has failed."""
_VERSIONS: Final = Path("/usr/lib/postgresql")
_PACKAGE: Final = "postgresql-15"
_SUPERUSER: Final = "postgres"
_READY: Final = re.compile(r"database system is ready to accept connections")
_SETTINGS: Final = {
    "listen_addresses": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "16MB",
    "log_destination": "stderr",
    "logging_collector": "off",
}


class Stop(Enum):
    """How a server is stopped, as `pg_ctl -m` names it; the value is the signal. KILLED is as after a crash."""

    SMART = signal.SIGTERM
    FAST = signal.SIGINT
    IMMEDIATE = signal.SIGQUIT
    KILLED = signal.SIGKILL


class PostgresqlServer:
    """A cluster in a folder of its own and the server on it, which can be stopped and started again.

    Start it in a thread that lives as long as it does: the server ends with the thread that started it.
    """

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs = programs
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self.settings = dict(_SETTINGS)
        """What it is started with."""
        self.log: list[str] = []
        """What the server has said since it was first started."""

    @property
    def pid(self) -> int:
        """Return the process id of the server, which runs."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Return whether the server runs."""
        return self._process is not None and self._process.poll() is None

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database for psycopg; it has no password, the folder of the socket is the guard."""
        return f"postgresql:///{quote(database)}?{urlencode({'host': self._folder, 'user': _SUPERUSER})}"

    def make_cluster(self) -> None:
        """Make an empty cluster."""
        words = ("--auth=trust", "--no-sync", "--locale=C", "--encoding=UTF8", f"--username={_SUPERUSER}")
        self._run("initdb", "--pgdata", str(self._data), *words)

    def make_database(self, name: str) -> str:
        """Make an empty database; return its URL."""
        self._run("createdb", "--host", str(self._folder), "--username", _SUPERUSER, name)
        return self.url(name)

    def dump(self, url: str) -> bytes:
        """Return a dump of a database, in the format of pg_restore."""
        return subprocess.run(
            [self.programs / "pg_dump", "--format=custom", url], capture_output=True, check=True
        ).stdout

    def restore(self, dump: bytes, url: str) -> None:
        """Restore what a database lacks from a dump."""
        command = [str(self.programs / "pg_restore"), "--schema=atcaprov_ledger", f"--dbname={url}"]
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE SCHEMA atcaprov_ledger")
        subprocess.run(command, input=dump, capture_output=True, check=True)

    def copy_to(self, other: PostgresqlServer) -> None:
        """Make the cluster of another server from this one, which runs: a replica that is cut off from now on."""
        words = ("--host", str(self._folder), "--username", _SUPERUSER, "--checkpoint=fast", "--no-sync")
        self._run("pg_basebackup", "--pgdata", str(other._data), *words)

    def start(self) -> None:
        """Start the server and wait until it takes connections; after a crash it recovers first."""
        assert not self.running
        settings = {**self.settings, "unix_socket_directories": str(self._folder)}
        words = [f"--{name}={value}" for name, value in settings.items()]
        command = _command(self.programs / "postgres", "-D", str(self._data), *words)
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd="/"
        )
        ready: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, args=(self._process, ready))
        self._reader.start()
        if not _first(ready):
            self.stop(Stop.IMMEDIATE)
            raise AssertionError("\n".join(("PostgreSQL did not start:", *self.log[-20:])))

    def stop(self, how: Stop = Stop.FAST) -> int:
        """Stop the server and wait until it has ended; return its exit code. One that has ended stays so."""
        assert self._process is not None
        assert self._reader is not None
        self._process.send_signal(how.value)
        code = self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)  # its children hold the pipe: they have ended too
        assert not self._reader.is_alive()
        return code

    def restart(self, how: Stop = Stop.IMMEDIATE) -> None:
        """Stop the server and start it again."""
        self.stop(how)
        self.start()

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _read(self, process: subprocess.Popen[str], ready: queue.SimpleQueue[bool]) -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                self.log.append(line.rstrip("\n"))
                if _READY.search(line):
                    ready.put(True)
        ready.put(False)

    def _run(self, name: str, *words: str) -> None:
        command = _command(self.programs / name, *words)
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd="/", check=False)
        assert done.returncode == 0, f"{name} failed: {done.stderr}"


@contextlib.contextmanager
def empty_postgresql() -> Iterator[PostgresqlServer]:
    """Yield a server without a cluster, which does not run; its folder and the server are gone at the end.

    Skips the test where PostgreSQL is missing, and names the Debian package.
    """
    programs = _programs()
    # Not in pytest's folder: its path is too long for a socket, and the user postgres may not enter it.
    folder = Path(tempfile.mkdtemp(prefix="atcaprov-postgresql-"))
    if _is_root():
        shutil.chown(folder, _SUPERUSER)
    server = PostgresqlServer(programs, folder)
    try:
        yield server
    finally:
        if server.running:
            server.stop(Stop.IMMEDIATE)
        shutil.rmtree(folder)


@contextlib.contextmanager
def running_postgresql() -> Iterator[PostgresqlServer]:
    """Yield a server that runs, on an empty cluster; skips the test where PostgreSQL is missing."""
    with empty_postgresql() as server:
        server.make_cluster()
        server.start()
        yield server


def _programs() -> Path:
    found = sorted(_VERSIONS.glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    if not found:
        pytest.skip(f"PostgreSQL is missing; the Debian package {_PACKAGE} brings it")
    return found[-1].parent


def _command(*words: object) -> list[str]:
    """Return a command as the right user; it gets a signal if the thread that starts it ends."""
    user = ("--reuid", _SUPERUSER, "--regid", str(pwd.getpwnam(_SUPERUSER).pw_gid), "--init-groups")
    return [require_program("setpriv"), *(user if _is_root() else ()), "--pdeathsig", "QUIT", "--", *map(str, words)]


def _first(ready: queue.SimpleQueue[bool]) -> bool:
    try:
        return ready.get(timeout=PATIENCE)
    except queue.Empty:
        return False


def _is_root() -> bool:
    return os.geteuid() == 0
