"""The vendor's own transport for I2C below the HAL, its calls of the kernel played; see `over_the_library.py`."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from atcaprov import Code, TransportError, UsageError
from atcaprov.hal.i2c.hal import open_i2c
from atcaprov.hal.i2c.linux_bus import LibraryI2cBus
from tests.support.fake_i2c_kernel import preloaded

_SUITE = Path(__file__).with_name("over_the_library.py")
_TESTS_AT_LEAST = 30


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="I2C buses are device files on Linux only")
def test_the_contract_holds_over_the_librarys_transport() -> None:
    with tempfile.TemporaryDirectory() as folder:  # a short path: it names a socket
        command = (sys.executable, "-m", "pytest", str(_SUITE), "-q", "-p", "no:cacheprovider", "--color=no")
        done = subprocess.run(command, env=preloaded(Path(folder)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= _TESTS_AT_LEAST


@pytest.mark.parametrize("number", [256, 257, 99999999])
def test_bus_number_that_the_library_would_truncate_is_refused(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TransportError, match=f"/dev/i2c-{number} does not exist"):
        open_i2c(f"//{number}/0x60")
    monkeypatch.setattr(Path, "exists", lambda path: True)
    with pytest.raises(UsageError, match=f"I2C bus {number} cannot be used"):
        open_i2c(f"//{number}/0x60")


def test_missing_bus_is_reported() -> None:
    bus = LibraryI2cBus(254)
    for transfer in (lambda: bus.read(0x60, 4), lambda: bus.write(0x60, b"\x00")):
        with pytest.raises(TransportError, match=r"/dev/i2c-254 does not exist") as refused:
            transfer()
        assert refused.value.code == Code.DEVICE_NOT_FOUND
    bus.close()
