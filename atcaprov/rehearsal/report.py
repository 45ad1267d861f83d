"""A rehearsal in words: the table of `atcaprov config check`, and a sentence for each slot."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from atcaprov.rehearsal.rehearsal import Rehearsal, SlotRehearsal
from atcaprov.rehearsal.slot_uses import Needs

_PROOFS: Final = frozenset({"used for MAC", "used by CheckMac"})
"""Uses that prove nothing with a value that everyone can read."""
_NO_LOSS: Final = frozenset({"written encrypted", "used to sign inside"})
"""Uses that are not reported as lost: the open data zone grants an encrypted write with any TempKey."""


def table_lines(rehearsal: Rehearsal) -> list[str]:
    """Return a line for each use with the slots on which it works, and one for the slots that never change."""
    lines = [f"{use:<30}{slot_list(numbers)}" for use, numbers in rehearsal.slots.items()]
    return [*lines, f"{'never changed again':<30}{slot_list(rehearsal.fixed)}"]


def needs_lines(rehearsal: Rehearsal) -> list[str]:
    """Return a line for each use of a slot that needs something, with what it is."""
    return [
        f"slot {number} {use}: {', '.join(map(str, needs))}"
        for use, found in rehearsal.needs.items()
        for number, needs in found.items()
        if needs
    ]


def told_losses(lost: Iterable[str]) -> tuple[str, ...]:
    """Return the lost uses that are reported."""
    return tuple(use for use in lost if use not in _NO_LOSS)


def slot_sentences(rehearsal: Rehearsal) -> list[str]:
    """Return a sentence for each slot: what it can be used for after the locks, what that needs, and what is lost."""
    return [_sentence(slot) for slot in rehearsal.by_slot()]


def _sentence(found: SlotRehearsal) -> str:
    useless = _PROOFS if "read in clear" in found.after else frozenset()
    uses = "; ".join(_worded(use, needs) for use, needs in found.after.items() if use not in useless)
    lost = "; ".join(told_losses(found.lost))
    can = f"can be {uses}" if uses else "cannot be used"
    return f"Slot {found.slot} {can}." + (f" No longer: {lost}." if lost else "")


def _worded(use: str, needs: Needs) -> str:
    return f"{use} (needs {', '.join(map(str, needs))})" if needs else use


def slot_list(numbers: Iterable[int]) -> str:
    """Return slot numbers as text, such as `0-2, 5`; `none` if there are none."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs) or "none"
