from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from atcaprov import AtcaProvError, CertificateError, Code, DeviceError, ServerRejected, TransportError, __version__
from atcaprov.cli.main import atcaprov
from tests.support.programs import run_in_process

DEFAULT_HEX = Path(__file__).parents[2] / "configs" / "atecc608a-default.hex"


def failing(error: BaseException) -> click.Command:
    @click.command("failing")
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AtcaProvError("Oh."), 1),
        (TransportError("No chip.", advice="Put the board in."), 3),
        (DeviceError("Refused.", command="Lock", status=0x0F), 5),
        (CertificateError("Wrong.", code=Code.CHAIN_INVALID), 7),
        (ServerRejected("Unknown.", code="signer-unknown"), 8),
    ],
)
def test_error_becomes_a_message_and_its_exit_code(error: AtcaProvError, code: int) -> None:
    ended = run_in_process(failing(error))
    assert (ended.code, ended.out) == (code, "")
    assert ended.err == f"Error [{error.code}]: {error.what}\n" + (f"{error.advice}\n" if error.advice else "")


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), click.Abort()])
def test_ctrl_c_exits_with_130(interruption: BaseException) -> None:
    ended = run_in_process(failing(interruption))
    assert (ended.code, ended.out) == (130, "")
    assert ended.err.endswith("Interrupted.\n")


def test_bugs_are_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        run_in_process(failing(ZeroDivisionError()))


def test_help_lists_the_groups() -> None:
    ended = run_in_process(atcaprov, "--help")
    assert ended.code == 0
    assert "config" in ended.out


def test_version_is_shown() -> None:
    assert run_in_process(atcaprov, "--version").out == f"atcaprov, version {__version__}\n"


@pytest.mark.parametrize("arguments", [["frob"], ["--frob"]])
def test_unknown_command_or_option_is_refused(arguments: list[str]) -> None:
    assert run_in_process(atcaprov, *arguments).code == 2


def test_installed_program_runs() -> None:
    program = Path(sys.executable).with_name("atcaprov")
    ended = subprocess.run([program, "config", "show", DEFAULT_HEX], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_closed_pipe_does_not_crash() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    program = "from atcaprov.cli import main; main()"
    with os.fdopen(writer, "wb") as output:
        command = [sys.executable, "-c", program, "config", "show", str(DEFAULT_HEX)]
        ended = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (1, "")


def run_with(redirections: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [str(Path(sys.executable).parent / "atcaprov"), *arguments]
    shell = ["sh", "-c", f'exec "$@" {redirections}', "sh", *words]
    return subprocess.run(shell, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_full_standard_output_is_reported(unbuffered: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    done = run_with("> /dev/full", "--help")
    assert done.returncode == 2
    assert done.stderr == "Error [file-unwritable]: Standard output cannot be written: No space left on device.\n"


@pytest.mark.parametrize("encoding", ["latin-1:strict", "utf-8:strict"])
def test_name_outside_the_encoding_of_standard_output(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that has just changed a chip permanently succeeded, and must report that."""
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    program = "import click; from atcaprov.program.exit_codes import run_program\n@click.command()\ndef told():\n"
    program += "    click.echo('signer \\u96fb\\udcff')\nrun_program(told, 'told')"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout.endswith(b"\\udcff\n")


@pytest.mark.slow
def test_closed_standard_output_does_not_crash() -> None:
    done = run_with(">&-", "--help")
    assert (done.returncode, done.stderr) == (0, "")


def test_error_of_another_file_is_not_hidden(tmp_path: Path) -> None:
    @click.command()
    def broken() -> None:
        (tmp_path / "missing").read_bytes()

    with pytest.raises(FileNotFoundError):
        run_in_process(broken)
