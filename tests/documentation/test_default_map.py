"""The picture of the default map in the docs is what the command draws today."""

from __future__ import annotations

from pathlib import Path

import pytest

from atcaprov.cli.main import atcaprov
from tests.support.programs import run_in_process

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "pictures" / "default-map.svg"


@pytest.mark.slow
def test_picture_of_the_default_map_is_fresh(tmp_path: Path) -> None:
    drawn = tmp_path / "map.svg"
    run_in_process(atcaprov, "config", "map", str(ROOT / "configs" / "atecc608a-default.toml"), "--svg", str(drawn))
    command = "atcaprov config map configs/atecc608a-default.toml --svg docs/pictures/default-map.svg"
    assert PICTURE.read_bytes() == drawn.read_bytes(), f"run: {command}"
