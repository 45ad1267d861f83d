"""Find the zone in the report of a program: rows of hex bytes among sentences, such as chip_info of ATECC608-Tools.

Only an unbroken run of rows that has exactly 128 bytes counts, and only if it is the one of its kind: a changed
character breaks the run, a lost or doubled row changes its length.
"""

from __future__ import annotations

import re
from typing import Final

from atcaprov.config_zone.forms.reading import Place, PlacedByte, Reading, form_error, reading_of, sizes

_ROW: Final = re.compile(r"\s*(?:[0-9A-Fa-f]{2}[ \t,:]+)*[0-9A-Fa-f]{2},?\s*")
_RUN_TOGETHER: Final = re.compile(r"\s*(?:[0-9A-Fa-f]{2}){16,128}\s*")
_WORTH_NAMING: Final = 64
"""Bytes of a run that is long enough to be meant as a zone."""


def read_report(text: str, *, accept_112: bool) -> Reading | None:
    """Return the zone of a report, None if it has no long run of rows; raises UsageError if none or several fit."""
    runs = _runs(text)
    fitting = [run for run in runs if len(run) in sizes(accept_112=accept_112)]
    if len({bytes(value for value, _ in run) for run in fitting}) == 1:
        return reading_of("hex rows in a report", fitting[0])
    if fitting:
        raise form_error(f"The report has {len(fitting)} runs of 128 bytes, which differ.")
    longest = max(runs, key=len, default=[])
    if len(longest) < _WORTH_NAMING or not _begins_with_words(text):
        return None
    raise form_error(
        f"The longest run of hex rows has {len(longest)} bytes and begins at {longest[0][1]}; a zone has 128.",
        "Look for a row that is missing, doubled or damaged.",
    )


def _begins_with_words(text: str) -> bool:
    """Tell a report from damaged hex text, whose error is more exact."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return re.match(r"[\s\[{]*(?:0[xX])?[0-9A-Fa-f]{2}\b", first) is None


def _runs(text: str) -> list[list[PlacedByte]]:
    runs: list[list[PlacedByte]] = [[]]
    for number, line in enumerate(text.splitlines(), start=1):
        if _ROW.fullmatch(line) or _RUN_TOGETHER.fullmatch(line):
            runs[-1] += [
                (int(pair.group(), 16), Place(number, pair.start() + 1)) for pair in re.finditer("[0-9A-Fa-f]{2}", line)
            ]
        else:
            runs.append([])
    return [run for run in runs if run]
