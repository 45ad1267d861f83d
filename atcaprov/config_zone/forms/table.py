"""The table of forms: which is tried in which order, and what is done when a text can be read in two ways.

To add a form, write a module with one function and add it here. The function returns None for a text that is not of its
form and raises for one that is, but damaged.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Protocol

from atcaprov.config_zone.forms.dump import read_dump
from atcaprov.config_zone.forms.hex_text import read_hex_text
from atcaprov.config_zone.forms.intel_hex import read_intel_hex
from atcaprov.config_zone.forms.json_zone import read_json_zone
from atcaprov.config_zone.forms.listing import read_listing
from atcaprov.config_zone.forms.mongoose_os import read_mongoose_os
from atcaprov.config_zone.forms.python_bytes import read_python_bytes
from atcaprov.config_zone.forms.reading import Reading, form_error
from atcaprov.config_zone.forms.report import read_report
from atcaprov.config_zone.forms.source_array import read_source_array
from atcaprov.errors import UsageError


class _Form(Protocol):
    def __call__(self, text: str, *, accept_112: bool) -> Reading | None: ...


_DOCUMENTS: Final[tuple[_Form, ...]] = (read_json_zone, read_mongoose_os, read_intel_hex)
"""Forms with a grammar of their own: no other form can mean such a text."""
_TEXTS: Final[tuple[_Form, ...]] = (read_dump, read_source_array, read_python_bytes, read_listing, read_report)
_UNREAD: Final = (
    (re.compile(r"\s*<[A-Za-z?!]"), "XML", "Write its 128 bytes as hex digits, 16 on a line."),
    (re.compile(r"PK\x03\x04"), "a ZIP archive", "Unpack it and give the file with the 128 bytes."),
    (
        re.compile(r"0{4,}(?:[ \t]+[0-7]{6})+\s*\n"),
        "a dump of od in octal words",
        "Make it again in single bytes: od -t x1, xxd or hexdump -C.",
    ),
)


def read_text(text: str, *, accept_112: bool) -> Reading:
    """Return the zone of a text in any form that is read.

    Raises:
        UsageError: the text is of no form, damaged, or can be read in two ways (code config-zone-invalid).
    """
    for pattern, name, advice in _UNREAD:
        if pattern.match(text):
            raise form_error(f"It is {name}, which is not read.", advice)
    for form in _DOCUMENTS:
        found = form(text, accept_112=accept_112)
        if found is not None:
            return found
    return _agreed(_texts(text, accept_112=accept_112))


def _texts(text: str, *, accept_112: bool) -> list[Reading]:
    """Return all readings as text; hex text, or else the first form that knows the text, must be one of them."""
    try:
        readings = [read_hex_text(text, accept_112=accept_112)]
    except UsageError as error:
        readings, refusal = [], error
    for form in _TEXTS:
        try:
            found = form(text, accept_112=accept_112)
        except UsageError:
            if not readings:
                raise
            continue
        if found is not None:
            readings.append(found)
    if not readings:
        raise refusal
    return readings


def _agreed(readings: Sequence[Reading]) -> Reading:
    other = next((found for found in readings if found.data != readings[0].data), None)
    if other is not None:
        raise form_error(
            f"The text can be read as {readings[0].form} and as {other.form}, with different bytes.",
            "Write its 128 bytes as hex digits, 16 on a line.",
        )
    return readings[0]
