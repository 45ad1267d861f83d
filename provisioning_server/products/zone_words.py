"""Say in words how a chip's configuration zone differs from a product's."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from typing import Final

from atcaprov.chip.maker_tables import TFLXTLS_TABLE
from atcaprov.config_zone.diff import Difference, diff
from atcaprov.config_zone.zone import ConfigZone, Part
from atcaprov.device.zones.config_zone import differing_bytes

_OWN: Final = 16
"""Bytes at the beginning of a zone that the maker has set: serial number, revision, AES_Enable, I2C_Enable."""
_NAMED: Final = 3
_LONGEST_MEANING: Final = 60
_LONGEST: Final = 320
"""Characters of the named fields with their meanings, so that all of a rejection fits into a reply."""


def differing(found: bytes, wanted: bytes) -> Sequence[int]:
    """Return where a locked zone is not that of a product (128 bytes each); TFLXTLS of all orders are one product.

    Bytes 0 to 15, which are each chip's own, do not count; so chips of one product are compared once.
    """
    return _differing(found[_OWN:], wanted)


@functools.lru_cache(maxsize=1024)
def _differing(found: bytes, wanted: bytes) -> tuple[int, ...]:
    zone = bytes(_OWN) + found
    if not TFLXTLS_TABLE.differing_bytes(wanted):
        return tuple(TFLXTLS_TABLE.differing_bytes(zone))
    return tuple(differing_bytes(zone, wanted))


def differing_fields(found: bytes, wanted: bytes, at: Collection[int]) -> str:
    """Return the first fields that differ in words, and how many more there are; `at` are the bytes that differ."""
    fields = [
        each for each in diff(ConfigZone(wanted), ConfigZone(found), Part.ATECC608) if set(at) & set(_bytes(each))
    ]
    if not fields:
        return f"bytes {', '.join(map(str, sorted(at)))} differ"
    words: list[str] = []
    for number, each in enumerate(fields[:_NAMED]):
        long = _words(each, fields[:number])
        fits = len("; ".join([*words, long])) <= _LONGEST
        words.append(long if fits else _values(each))
    more = len(fields) - _NAMED
    return "; ".join([*words, f"{more} more fields differ"] if more > 0 else words)


def _bytes(difference: Difference) -> range:
    return range(difference.byte, difference.byte + len(difference.before) // 2)


def _words(difference: Difference, before: Collection[Difference]) -> str:
    """Return one field in words; what a slot means is said once."""
    values = _values(difference)
    meanings = difference.after_meaning, difference.before_meaning
    if meanings[0] == meanings[1] or meanings in [(each.after_meaning, each.before_meaning) for each in before]:
        return values
    return f"{values} ('{meanings[0][:_LONGEST_MEANING]}', not '{meanings[1][:_LONGEST_MEANING]}')"


def _values(difference: Difference) -> str:
    return f"{difference.field} is {difference.after}, not {difference.before}"
