"""The commands that install missing Python packages for the interpreter that is running."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from typing import Final

_PROJECT: Final = "atcaprov"
_OF_AN_EXTRA: Final = re.compile(r"(?P<requirement>[^;]+?)\s*;\s*extra == ['\"](?P<extra>[^'\"]+)['\"]")


def install_command(*requirements: str) -> str:
    """Return the shell command that installs requirements, such as `hidapi` or `uvicorn>=0.54,<1`."""
    quoted = (f'"{each}"' if re.search(r"[<>=!~]", each) else each for each in requirements)
    return f"{sys.executable} -m pip install {' '.join(quoted)}"


def extra_command(extra: str) -> str:
    """Return the shell command that installs the packages of an extra of this project, such as `web`."""
    try:
        found = [_OF_AN_EXTRA.fullmatch(each) for each in metadata.requires(_PROJECT) or ()]
    except metadata.PackageNotFoundError:  # run from a source tree, without an installation
        found = []
    needed = [match["requirement"] for match in found if match is not None and match["extra"] == extra]
    return install_command(*needed or (f"{_PROJECT}[{extra}]",))
