"""The client shown in docs/howto/write-your-own-client.md works as printed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from atcaprov import Device
from tests.e2e.conftest import Factory

PAGE = (Path(__file__).parents[2] / "docs/howto/write-your-own-client.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_documented_client_provisions_and_writes_its_own_data(
    factory: Factory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    block = re.search(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert block is not None
    names: dict[str, Any] = {"__name__": "my_product"}
    exec(compile(block[1], "write-your-own-client.md", "exec", dont_inherit=True), names)
    url = f"emulator:{tmp_path / 'chip.json'}"
    serial = names["provision_one"](url, "localhost", factory.port, factory.certinfo)
    assert "Validating certificates" in capsys.readouterr().out
    with Device.open(url) as device:
        assert device.serial_number().hex().upper() == serial
        assert device.read_slot(8, 0, 30) == b"model 7, made for the tutorial"
