from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

FORK = """
import os, sys
from atcaprov.device.device import Device
with Device.open("emulator:") as device:
    device.info()
child = os.fork()
if child == 0:
    with Device.open("emulator:") as device:
        print(device.info().hex(), flush=True)
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_uses_chips_of_its_own() -> None:
    run = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=60)
    assert run.stdout == "00006002\n7\n"


AT_EXIT = """
import atexit
from atcaprov.device.device import Device
device = Device.open("emulator:")
device.info()
atexit.register(device.close)
atexit.register(lambda: print(device.info().hex()))
"""


def test_a_chip_can_be_closed_while_the_interpreter_ends() -> None:
    run = subprocess.run([sys.executable, "-c", AT_EXIT], capture_output=True, text=True, timeout=60)
    assert (run.stdout, run.stderr) == ("00006002\n", "")
