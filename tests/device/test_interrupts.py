from __future__ import annotations

import os
import subprocess
import sys

import pytest

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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system can't fork")
def test_a_forked_process_uses_chips_of_its_own() -> None:
    run = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=60)
    assert run.stdout == "00006002\n7\n"
