"""The list of licences says for each package what its bill of materials says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from release.materials import licences


@pytest.mark.parametrize(
    ("licence", "line"),
    [
        ([{"expression": "MIT OR Apache-2.0"}], "MIT OR Apache-2.0"),
        ([{"license": {"id": "BSD-3-Clause"}}], "BSD-3-Clause"),
        ([{"license": {"name": "License :: OSI Approved :: BSD License"}}], "BSD License"),
        ([{"license": {"id": "GPL-3.0-only"}}, {"license": {"name": "License :: BSD"}}], "GPL-3.0-only; BSD"),
        ([{"license": {"id": "MIT"}}, {"license": {"id": "MIT"}}], "MIT"),
        ([{"license": {"name": "Copyright (c) Example\nPermission is"}}], "Copyright (c) Example"),
        ([], "unknown"),
    ],
)
def test_licence_is_a_line_each(tmp_path: Path, licence: list[object], line: str) -> None:
    package: dict[str, object] = {"name": "example", "version": "1.2"}
    if licence:
        package["licenses"] = licence
    (tmp_path / "bill.json").write_text(json.dumps({"components": [package, {"name": "Another", "version": "3"}]}))
    assert list(licences(tmp_path / "bill.json")) == ["Another 3: unknown", f"example 1.2: {line}"]
