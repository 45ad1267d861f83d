"""The actions that commands may ask a server for, by name, and how the running server does them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from atcaprov.errors import UsageError
from provisioning_server.issuing.requests import AdministrationOutcome
from provisioning_server.ledger.actions import Action, ActionPlace
from provisioning_server.ledger.administer import Decide
from provisioning_server.orders import order_actions
from provisioning_server.revocation import revoke as revocation
from provisioning_server.stations import actions as stations

ACTIONS: Final[dict[str, Action]] = {
    order_actions.CLOSE: order_actions.close_order,
    order_actions.OPEN: order_actions.open_order,
    revocation.REVOKE: revocation.revoke,
    stations.ADD: stations.add_station,
    stations.REMOVE: stations.remove_station,
    stations.RENEW: stations.renew_station,
}
"""Every action; the command line and the server find them here."""
BY: Final = "by"
"""The argument that says who wants the action; each has it."""
_BY_MAX: Final = 64
Administer = Callable[[Decide, Callable[[AdministrationOutcome], None]], None]


class Administrator:
    """Does actions in the running server, by the thread that issues. On the event loop.

    Each function in `followers` is called after an action has changed the ledger, before the command has its answer:
    what stations may do changes at once.
    """

    def __init__(self, data: Path, now: Callable[[], datetime], administer: Administer) -> None:
        self._data = data
        self._now = now
        self._administer = administer
        self.followers: list[Callable[[], None]] = []

    async def run(self, action: Action, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Do an action; return its result. Raises AtcaProvError."""
        place = ActionPlace(self._data, self._now(), who_asks(arguments))
        planned = await asyncio.to_thread(action, arguments, place)
        done: asyncio.Future[AdministrationOutcome] = asyncio.get_running_loop().create_future()

        def deliver(outcome: AdministrationOutcome) -> None:
            if not done.done():  # the command may have gone
                done.set_result(outcome)

        self._administer(planned.decide, deliver)
        outcome = await done
        if outcome.error is not None:
            raise outcome.error
        for follow in self.followers:
            follow()
        return planned.result(outcome.written)


def who_asks(arguments: Mapping[str, Any]) -> str:
    """Return who wants an action; raises UsageError if it is no printable name."""
    by = arguments.get(BY)
    if not isinstance(by, str) or not 0 < len(by) <= _BY_MAX or not by.isprintable():
        raise UsageError("The request does not say who asks.")
    return by
