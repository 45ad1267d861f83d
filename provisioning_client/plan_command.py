"""`provisioning-client plan`: what a run would do to the chips that it is given, and whether it would start."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from atcaprov.certs.cert_info import CertInfo
from atcaprov.device.read_only import open_read_only
from atcaprov.errors import AtcaProvError
from atcaprov.program.console_text import say
from atcaprov.provisioning.plan import Plan, make_plan
from atcaprov.provisioning.profile import Profile
from atcaprov.terminal.printable import folded, terminal_columns
from provisioning_client.checkpoint_client import CheckpointClient
from provisioning_client.disk_room import DiskRoom
from provisioning_client.options import RunOptions, dry_run_option, run_options
from provisioning_client.plan_json import plan_object
from provisioning_client.plan_text import plan_lines
from provisioning_client.trace_files import numbered
from provisioning_client.unit_names import UnitNames

EXIT_SOME_WOULD_FAIL: Final = 1


class PlanFunctions(CheckpointClient):
    """A TCP client that keeps what a run would show before its first stage."""

    def __init__(self, options: RunOptions, room: DiskRoom) -> None:
        super().__init__(options.access(), options.checkpoints, options.pinned_log_key())
        self._room = room
        self._unit = options.unit
        self._units = None if options.units is None else UnitNames.read(options.units)
        self.warnings: list[AtcaProvError] = []

    def require_ready(self) -> None:
        """Check that what a board's run writes has room."""
        self._room.require()

    def unit_name(self, serial_number: bytes) -> str:
        """Return the name that a run would give the unit with this chip."""
        return self._unit if self._units is None else self._units.name_for(serial_number)

    def warning(self, warning: AtcaProvError) -> None:
        """Keep a warning about the chip."""
        self.warnings.append(warning)


@click.command(name="plan")
@run_options
@dry_run_option
def plan(options: RunOptions, dry_run: bool) -> int:
    """Show what a run with these options would do to a chip.

    That is: checks, stages, what becomes permanent, and what is lost. The chip is only read, and the server issues
    nothing. The exit code is 0 only if a run would start and reach its end.
    """
    return show_plans(options, dry_run=dry_run)


def show_plans(options: RunOptions, *, dry_run: bool) -> int:
    """Show the plan for each chip of the options; return the exit code.

    Raises:
        UsageError: an option or a file is wrong.
        TransportError, ProtocolError, DeviceError: a chip cannot be read.
    """
    options.require_usable_devices()
    options.require_one_unit()
    profile = options.profile()
    errors = []
    for number, url in enumerate(options.device, 1):
        made = _planned(options, url, profile, None if options.trace is None else numbered(options.trace, number))
        if (error := _show(made, url, options, dry_run=dry_run)) is not None:
            errors.append(error)
    return exit_code(errors)


def _planned(options: RunOptions, url: str, profile: Profile, trace: Path | None) -> tuple[Plan, list[AtcaProvError]]:
    functions = PlanFunctions(options, DiskRoom(options.trace, options.reports))
    cert_info, error = _cert_info(options)
    with closing(functions), open_read_only(url, trace=trace) as device:
        made = make_plan(
            device,
            profile,
            cert_info,
            functions,
            boards=options.boards,
            order=options.order,
            product=options.product_name,
        )
    return (made if error is None else replace(made, error=made.error or error)), functions.warnings


def _cert_info(options: RunOptions) -> tuple[CertInfo | None, AtcaProvError | None]:
    """Return the cert info file's contents, or why there are none: then the server is not asked."""
    try:
        return options.cert_info(), None
    except AtcaProvError as error:
        return None, error


def _show(
    made: tuple[Plan, list[AtcaProvError]], url: str, options: RunOptions, *, dry_run: bool
) -> AtcaProvError | None:
    plan, warnings = made
    if options.json:
        warned = [{"code": each.code, "message": each.what, "advice": each.advice} for each in warnings]
        say(json.dumps({**plan_object(plan, url, dry_run=dry_run), "warnings": warned}))
    else:
        columns = terminal_columns(sys.stdout)
        for line in (*(f"Warning: {each}" for each in warnings), *plan_lines(plan, url, dry_run=dry_run)):
            say(folded(line, columns))
    return plan.error


def exit_code(errors: Iterable[AtcaProvError]) -> int:
    """Return the exit code of plans with these errors: that of the only one, or 1."""
    codes = [error.exit_code for error in errors]
    if not codes:
        return 0
    return codes[0] if len(codes) == 1 else EXIT_SOME_WOULD_FAIL
