"""Without the packages of kits and the vendor's driver all imports; opening a chip says what is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import importlib, pkgutil, sys

for name in sys.argv[1].split(","):
    sys.modules[name] = None
import atcaprov, provisioning_client, provisioning_server, signer_module

for package in (atcaprov, provisioning_client, provisioning_server, signer_module):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
from atcaprov.device.device import Device
from atcaprov.errors import TransportError
from atcaprov.hal.hotplug import PlugWatcher
from atcaprov.diagnosis.candidates import list_ports

PlugWatcher().worth_looking()
list(list_ports())
try:
    Device.open(sys.argv[2])
except TransportError as error:
    print(error.code, error)
"""


@pytest.mark.parametrize(
    ("url", "missing"),
    [
        ("kit-cdc:///dev/null", "pyserial"),
        ("kit-hid:///dev/null", "hidapi"),
        ("emulator:", "cryptoauthlib"),
        ("i2c://1/0x60", "cryptoauthlib"),
    ],
)
def test_missing_package_is_named_when_a_chip_is_opened(url: str, missing: str) -> None:
    modules = "serial,hid,hidraw,pyudev,cryptoauthlib"
    done = subprocess.run([sys.executable, "-c", PROGRAM, modules, url], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("library-missing ")
    assert missing in done.stdout
    assert "install" in done.stdout
