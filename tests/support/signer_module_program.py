"""Roots and signers made by the program, in the current folder."""

from __future__ import annotations

from pathlib import Path

from signer_module import cli


def run(*arguments: object) -> int:
    return cli.main([str(argument) for argument in arguments])


def make(*more: object, out: str = "signer") -> int:
    if not Path("root").exists():
        assert run("root", "create", "--out", "root", "--no-password") == 0
    return run("signer", "create", "--root", "root", "--out", out, "--no-password", *more)
