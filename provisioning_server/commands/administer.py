"""Do an action of an administrator: the running server does it, or, if none runs, this program in place."""

from __future__ import annotations

import contextlib
import getpass
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from atcaprov.terminal.printable import printable
from provisioning_server.commands.locked_folder import locked_data_folder
from provisioning_server.control.actions import ACTIONS, BY
from provisioning_server.control.client import NoServerError, run_command
from provisioning_server.ledger.actions import ActionPlace
from provisioning_server.ledger.administer import administer as write
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.ledger.open_ledger import open_ledger
from provisioning_server.records.data_folder import FolderInUseError

_NAME_MAX: Final = 64


def administer(place: LedgerPlace, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Do the action of a name; return its result.

    Raises:
        AtcaProvError: as the action.
        FolderInUseError: another command holds the data folder, or a server that is starting or stopping.
        TransportError: SERVER_DROPPED, the server ended meanwhile: what became of the action is not known.
    """
    told = {**arguments, BY: _user()}
    try:  # first: at the port of a server that was killed another user's program may listen
        with locked_data_folder(place.data):
            return _in_place(place, name, told)
    except FolderInUseError as in_use:
        try:
            return run_command(place.data, name, told)
        except NoServerError:
            raise in_use from None


def _in_place(place: LedgerPlace, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    now = datetime.now(UTC)
    planned = ACTIONS[name](arguments, ActionPlace(place.data, now, arguments[BY]))
    with contextlib.closing(open_ledger(place.ledger, now)) as ledger:
        return planned.result(write(ledger, planned.decide))


def _user() -> str:
    """Return the name of the user, that behind sudo if there is one, for the records."""
    try:
        return printable(os.environ.get("SUDO_USER") or getpass.getuser())[:_NAME_MAX]
    except (KeyError, OSError):  # an account without a name: Python 3.13 raises OSError
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"
