"""A root, two signers and a running server, made and started by the installed programs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.programs import LIMIT_SECONDS, program, run


@dataclass(frozen=True)
class Factory:
    """Folders of a root and two signers; only the first signer is in the server."""

    folder: Path
    port: int

    @property
    def certinfo(self) -> Path:
        return self.folder / "signer-0034" / "atcaprov_cert_info_0.c"

    @property
    def other_certinfo(self) -> Path:
        return self.folder / "signer-0035" / "atcaprov_cert_info_0.c"

    @property
    def certs(self) -> Path:
        return self.folder / "server" / "certs"

    def client(self, *words: object, certinfo: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run the client against the server."""
        return run("provisioning-client", "--certinfo", certinfo or self.certinfo, "--port", self.port, *words)


@pytest.fixture(scope="session")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Factory]:
    folder = tmp_path_factory.mktemp("factory")
    root = folder / "root"
    _make("root", "create", "--out", root, "--no-password")
    for signer_id in ("0034", "0035"):
        out = folder / f"signer-{signer_id}"
        _make("signer", "create", "--root", root, "--signer-id", signer_id, "--out", out, "--no-password")
    command = [program("provisioning-server"), "--signer", str(folder / "signer-0034"), "--port", "0"]
    server = subprocess.Popen(
        [*command, "--data", str(folder / "server")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    listening = next(line for line in server.stdout if "Server listening on" in line)
    try:
        yield Factory(folder, int(listening.rstrip(".\n").rpartition(":")[2]))
    finally:
        server.terminate()
        server.communicate(timeout=LIMIT_SECONDS)


def _make(*words: object) -> None:
    done = run("signer-module", *words)
    assert done.returncode == 0, done.stderr
