"""Unexpected exceptions, as errors that are safe to show."""

from __future__ import annotations

from pathlib import Path

from atcaprov.errors import AtcaProvError


def internal_error(error: BaseException) -> AtcaProvError:
    """Return an AtcaProvError as it is, any other as one that names its type and place.

    Its own text is left out, because it may quote a password.
    """
    if isinstance(error, AtcaProvError):
        return error
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f" at {Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}" if place is not None else ""
    return AtcaProvError(
        f"Internal error, {type(error).__name__}{where}.",
        advice="Restart the server; if it happens again, report it with the program log.",
    )
