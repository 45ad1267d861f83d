from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from atcaprov import Code, TransportError
from atcaprov.hal.bus_lock import BusLock

OPEN_FILES = Path("/proc/self/fd")
HOLD = """
import sys
from pathlib import Path
from atcaprov.hal.bus_lock import BusLock
lock = BusLock("/dev/ttyACM0", Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def named(holder: subprocess.Popen[str]) -> str:
    return rf"process {holder.pid} \(python" if sys.platform == "linux" else "another program"


def test_lock_excludes_other_processes_until_its_holder_ends(tmp_path: Path) -> None:
    lock = BusLock("/dev/ttyACM0", tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(TransportError, match=f"in use by {named(holder)}") as refused:
            lock.acquire()
        assert refused.value.code == Code.DEVICE_BUSY
        holder.kill()
    lock.acquire()
    lock.release()


def test_two_holders_in_one_process_exclude_each_other(tmp_path: Path) -> None:
    first, second = (BusLock("i2c-1", tmp_path) for _ in range(2))
    with first.held(0), pytest.raises(TransportError):
        second.acquire()
    second.acquire()
    second.acquire()
    second.release()
    second.release()
    first.acquire()
    first.release()


def test_released_lock_excludes_again_when_taken_again(tmp_path: Path) -> None:
    first, second = (BusLock("i2c-1", tmp_path) for _ in range(2))
    for _ in range(2):
        with first.held(0), pytest.raises(TransportError):
            second.acquire()


@pytest.mark.skipif(
    sys.platform != "linux" or not OPEN_FILES.is_dir(), reason="this system does not tell which files are open"
)
def test_released_lock_keeps_no_file_open(tmp_path: Path) -> None:
    lock = BusLock("bus", tmp_path)
    with lock.held(1):
        assert _open_files(tmp_path) == {"atcaprov-bus.lock"}
    assert _open_files(tmp_path) == set()


def _open_files(folder: Path) -> set[str]:
    found = {Path(os.path.realpath(each)) for each in OPEN_FILES.iterdir()}
    return {path.name for path in found if path.parent == folder.resolve()}


def test_locks_of_other_buses_are_independent(tmp_path: Path) -> None:
    with BusLock("/dev/hidraw1", tmp_path).held(0), BusLock("/dev/hidraw2", tmp_path).held(0):
        assert len(list(tmp_path.iterdir())) == 2


def test_similar_names_have_separate_files(tmp_path: Path) -> None:
    names = ("/home/a-b.json", "/home/a/b.json", "/home/a b.json", "/" + 300 * "x", "/" + 301 * "x")
    locks = [BusLock(name, tmp_path) for name in names]
    for lock in locks:
        lock.acquire()
    assert len(list(tmp_path.iterdir())) == len(names)
    for lock in locks:
        lock.release()


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="this system follows every link")
def test_lock_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").touch()
    (tmp_path / "atcaprov-bus.lock").symlink_to(tmp_path / "target")
    with pytest.raises(TransportError, match="cannot be opened"):
        BusLock("bus", tmp_path).acquire()


def test_failing_lock_call_is_not_reported_as_another_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def flock(_: int, operation: int) -> None:
        if operation & fcntl.LOCK_EX:
            raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(TransportError, match="cannot be locked: No locks available") as refused:
        BusLock("bus", tmp_path).acquire()
    assert refused.value.code != Code.DEVICE_BUSY


def test_missing_lock_folder_is_created(tmp_path: Path) -> None:
    with BusLock("bus", tmp_path / "a" / "b").held(0):
        assert (tmp_path / "a" / "b" / "atcaprov-bus.lock").exists()


@pytest.mark.skipif(os.name != "posix", reason="this system has no such modes")
def test_lock_file_of_another_user_can_be_locked(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with BusLock("bus", tmp_path).held(1):
            modes = {path.name: path.stat().st_mode & 0o7777 for path in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"atcaprov-bus.lock": 0o666, "atcaprov-bus.next": 0o666}


FORK = """
import os, sys
from pathlib import Path
from atcaprov.hal.bus_lock import BusLock
first, second = (BusLock("bus", Path(sys.argv[1])) for _ in range(2))
first.acquire()
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    if sys.argv[2] == "child releases":
        first.release()
    os.close(writer)
    os.read(reader, 1)  # until the parent closes its end
    os._exit(0)
if sys.argv[2] == "child lives":
    first.release()
    second.acquire()
else:
    os.close(writer)
    os.waitpid(child, 0)
    try:
        second.acquire()
    except Exception as error:
        print(error.code)
print("done")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize(("case", "output"), [("child lives", "done\n"), ("child releases", "device-busy\ndone\n")])
def test_forked_process_neither_holds_nor_releases_its_parents_lock(tmp_path: Path, case: str, output: str) -> None:
    run = subprocess.run([sys.executable, "-c", FORK, str(tmp_path), case], capture_output=True, text=True)
    assert (run.stdout, run.returncode) == (output, 0)


def test_waiting_program_gets_the_lock_before_its_last_holder(tmp_path: Path) -> None:
    first, second = (BusLock("bus", tmp_path) for _ in range(2))
    order = []

    def wait_for_it() -> None:
        with second.held(60):
            order.append("who waited")

    first.acquire()
    waiting = threading.Thread(target=wait_for_it)
    waiting.start()
    _until_taken(tmp_path / "atcaprov-bus.next")
    first.release()
    with first.held(60):
        order.append("again")
    waiting.join()
    assert order == ["who waited", "again"]


def _until_taken(path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    while True:
        with contextlib.suppress(FileNotFoundError), path.open("r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
        os.sched_yield()
