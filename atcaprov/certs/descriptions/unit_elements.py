"""Find where the unit's name stands in a template: the elements that take it from the chip."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from atcaprov.certs.definitions.definition import CertElement, CertLocation, DeviceLocation, DeviceZone, Transform
from atcaprov.certs.unit_rule import UnitForm, UnitRule

_DIGITS_PER_BYTE: Final = 2


def unit_elements(rule: UnitRule | None, template: bytes, other: bytes) -> tuple[CertElement, ...]:
    """Return the elements of the unit's name; `other` differs from the template in each character of the name only.

    An address is text of its bytes, or, in a hardware module name, the bytes themselves. Where separators are written
    each byte is an element of its own.
    """
    if rule is None:
        return ()
    zone = DeviceZone.DATA if rule.slot is not None else DeviceZone.OTP
    elements: list[CertElement] = []
    at = 0
    for start, end in _differing(template, other):
        is_text = rule.form is not UnitForm.TEXT and template[start] != 0
        while start < end:
            count = 1 if is_text and rule.separator else rule.size
            size = count * _DIGITS_PER_BYTE if is_text else count
            location = DeviceLocation(zone, rule.slot or 0, False, rule.offset + at % rule.size, count)
            transform = _transform(rule, is_text=is_text)
            elements.append(
                CertElement(f"unit_{len(elements)}", location, CertLocation(start, size), (transform, Transform.NONE))
            )
            start, at = start + size, at + count
    return tuple(elements)


def _transform(rule: UnitRule, *, is_text: bool) -> Transform:
    if not is_text:
        return Transform.NONE
    return Transform.BIN2HEX_UC if rule.case == "upper" else Transform.BIN2HEX_LC


def _differing(template: bytes, other: bytes) -> Iterator[tuple[int, int]]:
    """Yield the first byte of each run that differs, and the first one after it."""
    assert len(template) == len(other)
    start: int | None = None
    for place, (one, two) in enumerate(zip(template, other, strict=True)):
        if one != two and start is None:
            start = place
        elif one == two and start is not None:
            yield start, place
            start = None
