"""Runs on Windows' Python in the demo's folder: a board over TCP, from a chip that another program serves."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_DEMO = Path("demo")
_SIGNER = _DEMO / "signer-0034"


def main() -> int:
    """Provision one board; return the exit code of the client."""
    serving = _started("atcaprov", "emulator", "serve", "--kit", "0")
    signer = ("--signer", _SIGNER, "--password-file", _DEMO / "password")
    server = _started("provisioning-server", *signer, "--data", "tcp", "--port", "0")
    with serving as kit, server as log:
        device = f"tcp://{_after('kit: listening on ', kit)}?protocol=kit"
        port = _after("Server listening on 127.0.0.1:", log).rstrip(".")
        certinfo = _SIGNER / "atcaprov_cert_info_0.c"
        words = _command("provisioning-client", "--certinfo", certinfo, "--port", port, "--device", device, "--auto")
        return subprocess.run(words, stdin=subprocess.DEVNULL, check=False).returncode


def _command(name: str, *words: object) -> list[str]:
    return [str(Path(sysconfig.get_path("scripts")) / name), *map(str, words)]


@contextmanager
def _started(*words: str | Path) -> Iterator[Iterator[str]]:
    command = _command(str(words[0]), *words[1:])
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        yield iter(program.stdout)
        program.kill()


def _after(words: str, lines: Iterator[str]) -> str:
    for line in lines:
        if words in line:
            return line.split(words)[1].strip()
    raise SystemExit(f"nothing said '{words}'")


if __name__ == "__main__":
    sys.exit(main())
