from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from atcaprov.errors import Code, TransportError
from atcaprov.hal.bus_lock import BusLock

HOLD = """
import sys
from pathlib import Path
from atcaprov.hal.bus_lock import BusLock
lock = BusLock("/dev/ttyACM0", Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_another_process_is_kept_out_until_it_ends_however_it_ends(tmp_path: Path) -> None:
    lock = BusLock("/dev/ttyACM0", tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(TransportError, match="in use by another program") as refused:
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


def test_buses_of_other_names_do_not_meet(tmp_path: Path) -> None:
    with BusLock("/dev/hidraw1", tmp_path).held(0), BusLock("/dev/hidraw2", tmp_path).held(0):
        assert len(list(tmp_path.iterdir())) == 2


def test_a_lock_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").touch()
    (tmp_path / "atcaprov-bus.lock").symlink_to(tmp_path / "target")
    with pytest.raises(TransportError, match="can't be opened"):
        BusLock("bus", tmp_path).acquire()


def test_a_folder_that_is_missing_is_made(tmp_path: Path) -> None:
    with BusLock("bus", tmp_path / "a" / "b").held(0):
        assert (tmp_path / "a" / "b" / "atcaprov-bus.lock").exists()
