"""Tell by a chip's answer to Info, never by its configuration zone, whether it can be provisioned."""

from __future__ import annotations

from atcaprov.chip.parts import is_608, is_known, part_name, spaced
from atcaprov.errors import Board, Code, ProvisioningError


def require_608(revision: bytes) -> None:
    """Raise ProvisioningError (WRONG_PART) unless a chip with this revision, 4 bytes, is an ATECC608."""
    if not is_608(revision):
        raise ProvisioningError(
            f"This chip is not an ATECC608: its revision is {spaced(revision)} ({part_name(revision)}).",
            advice="Wrong chip type for this product: call the technician.",
            code=Code.WRONG_PART,
            board=Board.UNTOUCHED,
        )


def newer_silicon(revision: bytes) -> ProvisioningError | None:
    """Return a warning if the ATECC608 with this revision, 4 bytes, is newer than those that are known; else None.

    The vendor announces that the last byte changes with the silicon, so an unknown one is accepted.
    """
    if is_known(revision) or not is_608(revision):
        return None
    return ProvisioningError(
        f"This chip is an ATECC608 of a revision that atcaprov does not know: {spaced(revision)}.",
        advice="It is treated like the ATECC608C. Call the technician: one such chip has to be tried before the batch.",
        code=Code.REVISION_UNKNOWN,
        board=Board.RETRY,
    )
