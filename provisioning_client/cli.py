"""The program `provisioning-client`: its options and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Final, NoReturn

import click

from atcaprov.bounded_reading import read_text
from atcaprov.certs.cert_info import CertInfo
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.config_zone.findings import Allow
from atcaprov.config_zone.zone_file import read_zone_file
from atcaprov.device.device import Device
from atcaprov.errors import AtcaProvError, Code, UsageError
from atcaprov.hal.device_url import names_software_chip
from atcaprov.hal.hotplug import is_plugged
from atcaprov.hal.registry import require_device_url
from atcaprov.program.console_text import say
from atcaprov.program.exit_codes import run_program
from atcaprov.program.log_options import log_options
from atcaprov.program.log_output import logged_on_stderr
from atcaprov.provisioning.profile import Profile
from atcaprov.provisioning.provision import Provisioner
from atcaprov.provisioning.tcp_client import DEFAULT_HOST, DEFAULT_PORT
from atcaprov.terminal.console import Console, open_console
from atcaprov.terminal.printable import terminal_columns
from provisioning_client.board_loop import BoardLoop
from provisioning_client.board_presence import Fixture
from provisioning_client.board_source import BoardList, BoardSource
from provisioning_client.console_output import ConsoleOutput
from provisioning_client.devices_command import devices as devices_command
from provisioning_client.json_output import JsonOutput
from provisioning_client.operator_input import KeyboardOperator, NoOperator, Operator
from provisioning_client.output import Output
from provisioning_client.trace_files import TraceFiles
from provisioning_client.user_functions import ClientFunctions

BLANK_CHIP: Final = "emulator:"
EXIT_SOME_FAILED: Final = 1


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "PROVISIONING_CLIENT"},
)
@click.option(
    "--certinfo",
    metavar="FILENAME",
    default="atcaprov_cert_info_0.c",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Provisioning configuration file, written by signer-module when it makes a signer: the signer to ask for and"
    " the root to trust.",
)
@click.option(
    "--config",
    metavar="FILENAME",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Configuration zone of the ATECC608: 128 bytes as hex text, of which the first 16 are ignored, or named"
    " fields in a .toml file. Without it a default configuration is used.",
)
@click.option("--host", metavar="NAME/IP", default=DEFAULT_HOST, show_default=True, help="Provisioning Server.")
@click.option(
    "--port", metavar="NUM", default=DEFAULT_PORT, show_default=True, type=click.IntRange(1, 65535), help="Its port."
)
@click.option(
    "--device",
    "devices",
    metavar="URL",
    envvar="PROVISIONING_CLIENT_DEVICE",
    multiple=True,
    help="Chip to provision, such as kit-hid:// or i2c://1/0x60 (where boards come and go), emulator: (a blank software"
    " chip) or emulator:chip.json (one kept in a file); repeat it for several boards, one after the other.  [required]",
)
@click.option(
    "--lock-slot",
    "slots_to_lock",
    metavar="SLOT",
    envvar="PROVISIONING_CLIENT_LOCK_SLOT",
    multiple=True,
    type=int,
    help="Slot to lock in stage 9; repeatable.",
)
@click.option(
    "--allow",
    metavar="SETTING",
    multiple=True,
    type=click.Choice([allow.value for allow in Allow]),
    help=f"Accept a setting of --config that is otherwise refused; repeatable: {', '.join(Allow)}.",
)
@click.option(
    "--any-of-group",
    is_flag=True,
    help="Accept every signer that the pinned root made for the same product, not only the one of --certinfo.",
)
@click.option(
    "--fill-unwritten",
    is_flag=True,
    help="Overwrite with FF what an unknown program wrote into the data zone of a chip whose configuration was"
    " locked before. It may be a secret of the product.",
)
@click.option("--no-validate", is_flag=True, help="Leave out stage 10.")
@click.option("--auto", is_flag=True, help="Start every board without waiting for ENTER.")
@click.option("--count", metavar="NUM", type=click.IntRange(1), help="End after this many boards.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    envvar="PROVISIONING_CLIENT_JSON",
    help="One JSON object per line instead of the console texts.",
)
@click.option(
    "--trace",
    metavar="FILENAME",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Record all commands and replies of the chip, without secrets; further boards get NAME-2, NAME-3 ...",
)
@log_options()
@click.version_option(package_name="atcaprov")
@click.pass_context
def command(
    context: click.Context,
    certinfo: Path,
    config: Path | None,
    host: str,
    port: int,
    devices: tuple[str, ...],
    slots_to_lock: tuple[int, ...],
    allow: tuple[str, ...],
    any_of_group: bool,
    fill_unwritten: bool,
    no_validate: bool,
    auto: bool,
    count: int | None,
    as_json: bool,
    trace: Path | None,
    log_level: int | None,
) -> int:
    """Provision ATECC608 chips, board after board.

    Exit codes: 0 all boards good, 1 several boards of which some failed, 2 wrong usage or file, 3 no chip or server,
    4 damaged bytes, 5 refused by the chip, 6 chip in the wrong state, 7 certificate, 8 refused by the server,
    130 interrupted, 143 and 129 ended by SIGTERM and SIGHUP.
    """
    context.with_resource(logged_on_stderr(log_level))
    if context.invoked_subcommand is not None:
        return 0
    output = _output(as_json=as_json, auto=auto)
    with _reporting(output), open_console() as console, closing(ClientFunctions(host, port, output)) as functions:
        _require_usable(devices)
        profile = _profile(config, slots_to_lock, frozenset(map(Allow, allow)), validate=not no_validate)
        profile = replace(profile, any_of_group=any_of_group, fill_unwritten=fill_unwritten)
        operator = _operator(console, auto=auto)
        tracing = None if trace is None else TraceFiles(trace, output.warning)
        boards, limit = _boards(devices, tracing, auto=auto, count=count)
        provisioner = Provisioner(profile, _read_cert_info(output, certinfo), functions)
        _connect(output, functions, provisioner)
        output.escape_hint()
        loop = BoardLoop(output, boards, provisioner, operator, limit)
        loop.run()
    return exit_code(loop)


def _output(*, as_json: bool, auto: bool) -> Output:
    if as_json:
        return JsonOutput(_write)
    return ConsoleOutput(_write, lambda: terminal_columns(sys.stdout), attended=not auto)


def _require_usable(devices: tuple[str, ...]) -> None:
    """Raise UsageError if there is no device URL, one is malformed, or a Python package for it is missing."""
    if not devices:
        raise UsageError(
            "No device URL is given.",
            advice="Add --device URL: 'provisioning-client devices' lists the URLs of all connected devices;"
            " --device emulator: is a software chip.",
        )
    for url in devices:
        require_device_url(url)
        with suppress(UsageError):  # several boards fit now: the board loop reports them
            is_plugged(url)


def _profile(
    config: Path | None, slots_to_lock: tuple[int, ...], allow: frozenset[Allow], *, validate: bool
) -> Profile:
    zone = DEFAULT_608A if config is None else read_zone_file(config).zone.data
    try:
        return Profile(config_zone=zone, slots_to_lock=slots_to_lock, validate=validate, allow=allow)
    except UsageError as error:
        if config is not None and error.code == Code.CONFIG_ZONE_UNSAFE:
            error.advice += f" 'atcaprov config check {config}' names the lines."
        raise


def _operator(console: Console | None, *, auto: bool) -> Operator:
    if auto:
        return NoOperator()
    if console is None:
        raise UsageError("There is no terminal for pressing ENTER.", advice="Use --auto to start every board.")
    return KeyboardOperator(console)


def _read_cert_info(output: Output, path: Path) -> CertInfo:
    with _step(output, f"Reading provisioning config file {path}"):
        return CertInfo.parse(_read_text(path))


def _connect(output: Output, functions: ClientFunctions, provisioner: Provisioner) -> None:
    with _step(output, f"Connecting to {functions.host}:{functions.port}"):
        functions.connect()
        provisioner.prepare()


def _read_text(path: Path) -> str:
    try:
        return read_text(path)
    except UsageError as error:
        advice = "Name the file that signer-module wrote with the signer: --certinfo FILENAME."
        code = Code.CERTINFO_INVALID if error.code == Code.FILE_INVALID else error.code
        raise UsageError(error.what, advice=advice, code=code) from error


def _boards(
    devices: tuple[str, ...], tracing: TraceFiles | None, *, auto: bool, count: int | None
) -> tuple[BoardSource, int | None]:
    """Return the source of the boards, and after how many to stop (None: no limit).

    Real boards come to one device URL: without limit while an operator presses ENTER for each, otherwise `count` or
    one. Software chips and several device URLs are a list.
    """
    open_board = None if tracing is None else tracing.open
    if len(devices) == 1 and not names_software_chip(devices[0]):
        return Fixture(devices[0], open_board=open_board), count or (1 if auto else None)
    endless = devices == (BLANK_CHIP,) and (count is not None or not auto)
    return BoardList(repeat(BLANK_CHIP) if endless else devices, open_board or Device.open), count


@contextmanager
def _reporting(output: Output) -> Iterator[None]:
    """Report an error that prevents the first board; errors of boards are reported by the board loop."""
    try:
        yield
    except AtcaProvError as error:
        output.cannot_begin(error)
        raise


@contextmanager
def _step(output: Output, text: str) -> Iterator[None]:
    output.step_begins(text)
    try:
        yield
    except BaseException:
        output.step_ends(good=False)
        raise
    output.step_ends(good=True)


def exit_code(loop: BoardLoop) -> int:
    """Return the exit code for the boards of a loop that has ended."""
    if not loop.errors:
        return 0
    if loop.good == 0 and len(loop.errors) == 1:
        return loop.errors[0].exit_code
    return EXIT_SOME_FAILED


def _write(text: str) -> None:
    say(text, end="")


command.add_command(devices_command)


def main() -> NoReturn:
    """Run the program."""
    run_program(command, "provisioning-client")


if __name__ == "__main__":
    main()
