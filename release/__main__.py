"""`python -m release lock | build [FOLDER] | check [FOLDER]`: lock the requirements, make a release, try it."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path
from typing import Final

from release.check import check_platforms, check_release
from release.installs import make_environment
from release.locks import EXTRAS, ROOT, write_locks
from release.materials import licences, write_materials
from release.run import FailedError
from release.wheel import build_wheel

SUMS: Final = "SHA256SUMS"


def build(folder: Path) -> None:
    """Write the wheel, and for each install its bill of materials and licences; then the sums of all files."""
    build_wheel(folder)
    for name in EXTRAS:
        with tempfile.TemporaryDirectory() as place:
            write_materials(make_environment(Path(place) / "environment", name), folder / f"{name}.cdx.json")
        lines = licences(folder / f"{name}.cdx.json")
        (folder / f"{name}-licences.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    files = sorted(path for path in folder.iterdir() if path.name != SUMS)
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    (folder / SUMS).write_text(sums, encoding="utf-8")
    print(sums, end="")


def main(words: list[str]) -> int:
    """Run one command; return the exit code."""
    command, folder = (words[0] if words else ""), Path(words[1]) if len(words) > 1 else ROOT / "dist"
    try:
        if command == "lock":
            write_locks()
        elif command == "build":
            build(folder)
        elif command == "check":
            check_platforms()
            check_release(build, folder)
        else:
            print(__doc__)
            return 2
    except FailedError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
