"""Programs print names from options and files without control characters."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from atcaprov.certs.descriptions.description import default_text
from atcaprov.cli.main import atcaprov
from provisioning_client.cli import command as provisioning_client
from provisioning_server.cli import command as provisioning_server
from signer_module.cli import cli as signer_module
from tests.support.programs import run_in_process

NAME = "a\u202etxt.hex\x1b]0;x\x07\u2066\u200b"
"""Turns the writing direction, sets the terminal's title, and has invisible characters."""


def assert_harmless(text: str) -> None:
    assert "txt.hex" in text
    assert "".join(text.split()).isprintable()


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (atcaprov, ("config", "show", NAME)),
        (atcaprov, ("config", NAME)),
        (atcaprov, (f"--{NAME}",)),
        (provisioning_client, ("--port", NAME)),
        (provisioning_client, ("--device", NAME)),
        (provisioning_server, ("--signer", NAME)),
        (signer_module, ("info", NAME)),
        (signer_module, ("signer", "create", "--root", NAME, "--out", "x", "--no-password")),
    ],
)
def test_errors_show_names_without_control_characters(command: click.Command, arguments: tuple[str, ...]) -> None:
    done = run_in_process(command, *arguments)
    assert done.code != 0
    assert_harmless(done.err + done.out)


def test_results_show_names_without_control_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = default_text("root").replace("Example ATECC608A", "\\u202E\\u200B")
    Path("root.toml").write_text(text, encoding="utf-8")
    for arguments in (
        ("root", "create", "--out", NAME, "--no-password"),
        ("info", NAME),
        ("verify", NAME),
    ):
        done = run_in_process(signer_module, *arguments)
        assert done.code == 0, done.err
        if arguments[0] != "info":
            assert_harmless(done.out)
        assert "\u202e" not in done.out + done.err
    done = run_in_process(signer_module, "root", "create", "--out", "r", "--no-password", "--description", "root.toml")
    assert "".join((done.out + done.err).split()).isprintable()


@pytest.mark.parametrize(
    "command", [("root", "create", "--out", "new"), ("signer", "create", "--root", "root", "--out", "new")]
)
@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaaaa"])
def test_weak_password_makes_no_key(
    command: tuple[str, ...], password: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_in_process(signer_module, "root", "create", "--out", "root", "--no-password").code == 0
    Path("password").write_text(f"{password}\n")
    Path("password").chmod(0o600)
    done = run_in_process(signer_module, *command, "--out", "new", "--password-file", "password")
    assert done.code == 2
    assert "[password-weak]" in done.err
    assert not Path("new").exists()
