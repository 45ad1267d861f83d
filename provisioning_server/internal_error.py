"""What runs for as long as the server does: nothing of it may end without a word."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from atcaprov.errors import AtcaProvError


async def run_all(*work: Coroutine[Any, Any, None]) -> None:
    """Run until all have ended or one fails; then the others are cancelled, and its error is raised."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def program_fault(error: BaseException) -> AtcaProvError:
    """Return the error itself if it is one of ours, else one that names its kind and place.

    Its own text is left out: nobody knows whether it quotes a password.
    """
    if isinstance(error, AtcaProvError):
        return error
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f" at {Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}" if place is not None else ""
    return AtcaProvError(
        f"A fault of the program, {type(error).__name__}{where}.",
        advice="Start it again; if it happens again, report it with the program log.",
    )
