"""Signs of life for the watchdog: given only while the thread that issues answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from provisioning_server.operations.service_manager import ServiceManager

_EACH: Final = 3
"""Signs of life in the time of the watchdog; sd_watchdog_enabled(3) advises two or more."""
STATUS_SECONDS: Final = 10.0


async def give_signs_of_life(
    manager: ServiceManager, issuing_answers: Callable[[], Awaitable[None]], status: Callable[[], str]
) -> None:
    """Tell the service manager, without end, how the server is.

    `issuing_answers` returns when the thread that issues has answered: while that hangs, there is no sign of life, and
    the service manager restarts the server. A loop that hangs gives none either.
    """
    pause = STATUS_SECONDS
    if manager.watchdog_seconds is not None:
        pause = min(pause, manager.watchdog_seconds / _EACH)
    while True:
        await issuing_answers()
        manager.alive()
        manager.status(status())
        await asyncio.sleep(pause)
