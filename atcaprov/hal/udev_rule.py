"""The udev rule that gives users access to kits and I2C buses: its text, and its place in the system."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from atcaprov import durable_files
from atcaprov.errors import Code, UsageError

RULE_NAME: Final = "60-atcaprov.rules"
RULE_PATH: Final = Path("etc/udev/rules.d") / RULE_NAME
"""Below the root of the system."""
INSTALL_COMMAND: Final = "atcaprov udev-rule --install"
_PLACES: Final = (
    Path(__file__).with_name(RULE_NAME),  # in an installed package
    Path(__file__).parents[2] / "configs" / RULE_NAME,  # in the source tree
)
_ADMIN_PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"
_ANYONE_READS: Final = 0o644
_RELOAD_SECONDS: Final = 10.0
_LARGEST: Final = 1 << 20


def rule_text() -> str:
    """Return the rule that comes with atcaprov, as a file for udev's folder of rules."""
    return next(place for place in _PLACES if place.exists()).read_text(encoding="utf-8")


def install_rule(root: Path = Path("/"), *, force: bool = False) -> bool:
    """Write the rule below `root`; return False if the same rule is there already.

    Raises:
        UsageError: another rule is in its place and `force` is False, or the file cannot be written (both code
            FILE_UNWRITABLE).
    """
    path, rule = root / RULE_PATH, rule_text().encode()
    try:
        found = _content(path)
        if found == rule:
            return False
        if found is not None and not force:
            raise _changed(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        durable_files.replace(path, rule, _ANYONE_READS)
        path.chmod(_ANYONE_READS)  # whatever the umask: udev and users read it
    except PermissionError as error:
        raise _not_root(path, force) from error
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}.",
            advice="Check the folder and the space on the disk.",
            code=Code.FILE_UNWRITABLE,
        ) from error
    return True


def reload_rules() -> bool:
    """Let udev read its rules again; return False if udevadm is missing or fails."""
    udevadm = shutil.which("udevadm") or shutil.which("udevadm", path=_ADMIN_PATH)
    if udevadm is None:
        return False
    try:
        done = subprocess.run(  # noqa: S603 - the system's own program, with fixed words
            [udevadm, "control", "--reload"], capture_output=True, timeout=_RELOAD_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _content(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST)
    except FileNotFoundError:
        return None


def _changed(path: Path) -> UsageError:
    return UsageError(
        f"{path} is there and differs from the rule of this version.",
        advice=f"Compare it with the output of 'atcaprov udev-rule'. To replace it, run '{INSTALL_COMMAND} --force'.",
        code=Code.FILE_UNWRITABLE,
    )


def _not_root(path: Path, force: bool) -> UsageError:
    words = f"sudo {sys.executable} -m {INSTALL_COMMAND}{' --force' if force else ''}"
    return UsageError(
        f"Only root may write {path}.",
        advice=f"Run: {words}",
        code=Code.FILE_UNWRITABLE,
    )
