"""The program `provisioning-client`: its options and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from itertools import repeat
from typing import Final, NoReturn

import click

from atcaprov.certs.cert_info import CertInfo
from atcaprov.device.device import Device
from atcaprov.errors import AtcaProvError, UsageError
from atcaprov.hal.device_url import names_software_chip
from atcaprov.program.console_text import say
from atcaprov.program.exit_codes import run_program
from atcaprov.program.log_options import log_options
from atcaprov.program.log_output import logged_on_stderr
from atcaprov.program.process_hardening import harden_process
from atcaprov.provisioning.provision import Provisioner
from atcaprov.provisioning.server_access import ServerAccess
from atcaprov.terminal.console import Console, open_console
from atcaprov.terminal.printable import terminal_columns
from provisioning_client.board_loop import BoardLoop
from provisioning_client.board_presence import Fixture
from provisioning_client.board_source import BoardList, BoardSource
from provisioning_client.console_output import ConsoleOutput
from provisioning_client.devices_command import devices as devices_command
from provisioning_client.disk_room import DiskRoom
from provisioning_client.enrolment_command import enrol_command
from provisioning_client.json_output import JsonOutput
from provisioning_client.operator_input import KeyboardOperator, NoOperator, Operator
from provisioning_client.options import BLANK_CHIP, RunOptions, dry_run_option, run_options
from provisioning_client.output import Output
from provisioning_client.plan_command import plan as plan_command
from provisioning_client.plan_command import show_plans
from provisioning_client.report_delivery import ReportDelivery
from provisioning_client.report_spool import ReportSpool
from provisioning_client.station_end import ends_soon
from provisioning_client.trace_files import TraceFiles
from provisioning_client.unit_names import UnitNames
from provisioning_client.user_functions import ClientFunctions

EXIT_SOME_FAILED: Final = 1


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "PROVISIONING_CLIENT"},
)
@run_options
@dry_run_option
@log_options()
@click.version_option(package_name="atcaprov")
@click.pass_context
def command(context: click.Context, options: RunOptions, dry_run: bool, log_level: int | None) -> int:
    """Provision ATECC608 chips, board after board.

    Exit codes: 0 all boards good, 1 several boards of which some failed, 2 wrong usage or file, 3 no chip or server,
    4 damaged bytes, 5 refused by the chip, 6 chip in the wrong state, 7 certificate, 8 refused by the server,
    130 interrupted, 143 and 129 ended by SIGTERM and SIGHUP.
    """
    context.with_resource(logged_on_stderr(log_level))
    if context.invoked_subcommand is not None:
        context.default_map = {"plan": context.params}  # options may stand before the command, too
        return 0
    if dry_run:
        return show_plans(options, dry_run=True)
    output = _output(as_json=options.json, auto=options.auto)
    with _reporting(output), open_console() as console:
        options.require_usable_devices()
        options.require_one_unit()
        profile = options.profile()
        operator = _operator(console, auto=options.auto)
        boards, limit = _boards(options, None if options.trace is None else TraceFiles(options.trace, output.warning))
        cert_info = _read_cert_info(output, options)
        spool = ReportSpool(options.reports, cert_info.root_public_key)
        room = DiskRoom(options.trace, options.reports)
        access = options.access()
        functions = ClientFunctions(
            access,
            output,
            room,
            spool,
            checkpoints=options.checkpoints,
            log_key=options.pinned_log_key(),
            label=options.label_of_one_board(),
            unit=options.unit,
            units=None if options.units is None else UnitNames.open(options.units),
        )
        with closing(functions):
            provisioner = Provisioner(profile, cert_info, functions, order=options.order, product=options.product_name)
            delivery = ReportDelivery(spool, functions, output, functions.acknowledged)
            _connect(output, functions, provisioner, options.boards)
            _warn_of_end(output, access)
            delivery.deliver()
            output.escape_hint()
            loop = BoardLoop(output, boards, provisioner, operator, limit, delivery.deliver)
            loop.run()
    return exit_code(loop)


def _output(*, as_json: bool, auto: bool) -> Output:
    if as_json:
        return JsonOutput(_write)
    return ConsoleOutput(_write, lambda: terminal_columns(sys.stdout), attended=not auto)


def _operator(console: Console | None, *, auto: bool) -> Operator:
    if auto:
        return NoOperator()
    if console is None:
        raise UsageError("There is no terminal for pressing ENTER.", advice="Use --auto to start every board.")
    return KeyboardOperator(console)


def _read_cert_info(output: Output, options: RunOptions) -> CertInfo:
    with _step(output, f"Reading provisioning config file {options.certinfo}"):
        return options.cert_info()


def _connect(output: Output, functions: ClientFunctions, provisioner: Provisioner, boards: int) -> None:
    station = f" as station {functions.station}" if functions.station else ""
    with _step(output, f"Connecting to {', '.join(functions.servers)}{station}"):
        provisioner.prepare(boards)


def _warn_of_end(output: Output, access: ServerAccess) -> None:
    warning = None if access.station is None else ends_soon(access.station, datetime.now(UTC))
    if warning is not None:
        output.warning(warning)


def _boards(options: RunOptions, tracing: TraceFiles | None) -> tuple[BoardSource, int | None]:
    """Return the source of the boards, and after how many to stop (None: no limit).

    Real boards come to one device URL: without limit while an operator presses ENTER for each, otherwise `count` or
    one. Software chips and several device URLs are a list.
    """
    open_board = None if tracing is None else tracing.open
    urls, count = options.device, options.count
    if len(urls) == 1 and not names_software_chip(urls[0]):
        return Fixture(urls[0], open_board=open_board), count or (1 if options.auto else None)
    endless = urls == (BLANK_CHIP,) and (count is not None or not options.auto)
    return BoardList(repeat(BLANK_CHIP) if endless else urls, open_board or Device.open), count


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
command.add_command(enrol_command)
command.add_command(plan_command)


def main() -> NoReturn:
    """Run the program."""
    harden_process()  # the key of the station
    run_program(command, "provisioning-client")


if __name__ == "__main__":
    main()
