"""A signer and a running server for the examples."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from signer_module.on_files.signer_folder import SignerFolder
from tests.support.programs import LIMIT_SECONDS
from tests.support.server import running_server
from tests.support.signer_folders import make_signer_folder

EXAMPLES: Final = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True)
class Line:
    """What an example gets: the cert info file of a signer, and the port of its server."""

    certinfo: Path
    port: int


@pytest.fixture
def signer(tmp_path: Path) -> SignerFolder:
    return make_signer_folder(tmp_path)


@pytest.fixture
def line(signer: SignerFolder, tmp_path: Path) -> Iterator[Line]:
    with running_server(tmp_path / "signer", tmp_path / "server") as address:
        yield Line(tmp_path / "signer" / "atcaprov_cert_info_0.c", address.port)


def run_example(name: str, *words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run an example as a user does, with the programs of this environment on the PATH."""
    return subprocess.run(
        [sys.executable, str(EXAMPLES / name), *map(str, words)],
        cwd=cwd,
        env={**os.environ, "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
