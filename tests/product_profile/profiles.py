"""Profiles for tests: the presets, and ways to change one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from atcaprov.product_profile.preset import PRESETS

ROOT: Final = Path(__file__).parents[2]
FITTING: Final = [preset.name for preset in PRESETS.values() if not preset.unfit]
JUDGED: Final = [name for name in FITTING if PRESETS[name].judged]
MINIMAL: Final = """name = "x"
[certificate]
name = "device"
template_id = 2
chain_id = 0
serial_number = "PUB_KEY_HASH"
[certificate.subject]
common_name = "X {chip_serial}"
[certificate.validity]
expire_years = 0
[certificate.extensions]
key_usage = ["digital_signature"]
[certificate.slots]
private_key = 0
compressed_certificate = 10
"""


def replaced(before: str, after: str) -> str:
    """Return the minimal profile with one part of its text replaced."""
    assert MINIMAL.count(before) == 1
    return MINIMAL.replace(before, after)
