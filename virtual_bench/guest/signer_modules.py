"""Signer modules on HID kits, made in the guest by the program `signer-module` through `/dev/hidraw*`."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from signer_module import cli
from virtual_bench.boards import BoardKind, BoardPlan
from virtual_bench.guest.cheap_passwords import CHEAP
from virtual_bench.plugboard import Plugboard
from virtual_bench.ways import Way

PASSWORD: Final = b"bench horse battery"
QUOTA: Final = 500
CHEAP_PASSWORDS: Final = (sys.executable, "-m", "virtual_bench.guest.cheap_passwords")
"""Starts programs whose modules have passwords that are tried quickly."""


@contextmanager
def password_descriptor(*serial_numbers: bytes) -> Iterator[int]:
    """An open file descriptor from which a program that inherits it reads the password.

    A server gets it once for each module: it tries a password without a name on one module only.
    """
    reader, writer = os.pipe()
    names = [serial_number.hex().upper().encode() + b"=" for serial_number in serial_numbers] or [b""]
    os.write(writer, b"".join(name + PASSWORD + b"\n" for name in names))
    os.close(writer)
    try:
        yield reader
    finally:
        os.close(reader)


def run_tool(*words: object) -> str:
    """Run `signer-module` in this process, which has imported its code already; return what it prints."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        assert cli.main([str(word) for word in words]) == 0, words
    return printed.getvalue()


def _run_program(*words: object) -> str:
    """Run `signer-module` as a program, which gets the password by a file descriptor; return what it prints."""
    with password_descriptor() as descriptor:
        done = subprocess.run(
            [*CHEAP_PASSWORDS, "signer_module", *map(str, words), "--password-fd", str(descriptor)],
            pass_fds=(descriptor,),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class HidSignerModule:
    """A finished module and the board it is on."""

    board: str
    name: str


class ModuleMaker:
    """Makes modules under one root on files."""

    def __init__(self, folder: Path, plugboard: Plugboard) -> None:
        self._folder = folder
        self._root = folder / "root"
        self._plugboard = plugboard
        run_tool("root", "create", "--out", self._root, "--no-password")

    def make(self, signer_id: str) -> HidSignerModule:
        """Make a module on a HID kit of its own, which is plugged in afterwards."""
        board = f"signer-{signer_id}"
        self._plugboard.make(BoardPlan(board, BoardKind.HID))
        url = Way.HIDRAW.url(self._plugboard.plug(board))
        wanted = ("--signer-id", signer_id, "--quota", QUOTA, "--scrypt-cost", CHEAP, "--yes")
        printed = _run_program("signer", "create", "--root", self._root, "--device", url, *wanted)
        found = re.fullmatch(
            rf"Signer module (\w+) created: (.+), signer id {signer_id}, {QUOTA} signatures\.\n", printed
        )
        assert found is not None
        assert found[1] == self._plugboard.serial_number(board).hex().upper()
        return HidSignerModule(board, found[2])

    def export(self, module: HidSignerModule) -> Path:
        """Return the cert info file that a module exports."""
        out = self._folder / module.board
        run_tool("export", "--device", Way.HIDRAW.url(self._plugboard.node(module.board)), "--out", out)
        return out / "atcaprov_cert_info_0.c"
