"""`atcaprov chip doctor --part tflxtls`: a board of a line for TFLXTLS is judged by the maker's table."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.diagnosis.bench import codes, examined


def url(tmp_path: Path, image: str) -> str:
    return f"emulator:{tmp_path / 'chip.json'}?image={image}"


@pytest.mark.parametrize("image", ["tflxtls", "tflxtls-608a", "tflxtls-608c"])
def test_a_tflxtls_has_no_problem_with_its_configuration(tmp_path: Path, image: str) -> None:
    found = examined("--device", url(tmp_path, image), "--part", "tflxtls")
    assert "wrong-part" not in codes(found)
    assert "config-locked-other" not in codes(found)
    assert any("maker's for a TFLXTLS" in text for text in found["good"])


@pytest.mark.parametrize("image", ["tngtls", "atecc608b"])
def test_another_part_is_a_wrong_part(tmp_path: Path, image: str) -> None:
    found = examined("--device", url(tmp_path, image), "--part", "tflxtls")
    assert "wrong-part" in codes(found)
