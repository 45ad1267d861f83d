"""Actions of the people who run the server: each may be done by the running server, or in place where none runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from provisioning_server.ledger.administer import Decide, Written


@dataclass(frozen=True, slots=True)
class ActionPlace:
    """Where an action is done: the data folder, the time (UTC), and who wants it, such as `anna`."""

    data: Path
    now: datetime
    by: str


@dataclass(frozen=True, slots=True)
class PlannedAction:
    """What an action decides about the ledger, and the result (for JSON) that it has once that is written."""

    decide: Decide
    result: Callable[[Written], dict[str, Any]]


Action = Callable[[Mapping[str, Any], ActionPlace], PlannedAction]
"""Takes the arguments of its command, as JSON carries them, and plans. It runs in a thread; raises AtcaProvError.

Arguments come from another process: check each. What an action writes to files must stand before `decide` is called,
because the entry in the ledger is what counts.
"""
