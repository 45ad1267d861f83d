"""The unit's own name in a certificate: its form, its pattern, and its place on the chip.

A unit is a product with a name of its own: a serial number, a MAC address, a DevEUI. All names of a product have the
same length, because compressed certificates are rebuilt from a template. Text stands on the chip as it is written;
an address stands there as its 6 or 8 bytes.
"""

from __future__ import annotations

import enum
import functools
import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Self

from atcaprov.certs.document_reader import Document
from atcaprov.chip.memory_map import BLOCK_SIZE, OTP_SIZE, SLOT_COUNT, SLOT_SIZES
from atcaprov.terminal.printable import printable

LONGEST_UNIT: Final = 64
"""Characters of a unit's name, as the common name and the wire protocol have room for."""
TEXT_CHARACTERS: Final = frozenset(map(chr, range(0x21, 0x7F)))
"""Printable ASCII without the space."""
_SEPARATORS: Final = frozenset(":-. ")
_HEX: Final = MappingProxyType({"upper": frozenset("0123456789ABCDEF"), "lower": frozenset("0123456789abcdef")})
_ITEM: Final = re.compile(r"(?:\[((?:\\.|[^\]\\])+)\]|\\(.)|([^\[\](){}.*+?^$|\\]))(?:\{([0-9]{1,3})\})?", re.DOTALL)
_RANGE: Final = re.compile(r"(\\.|[^\\])-(\\.|[^\\])|(\\.|[^\\])", re.DOTALL)
LONGEST_PATTERN: Final = 256


class UnitForm(enum.StrEnum):
    """What a unit's name is."""

    TEXT = "text"
    MAC = "mac"
    """An EUI-48, 6 bytes."""
    EUI64 = "eui64"
    """An EUI-64 such as a DevEUI, 8 bytes."""


_ADDRESS_SIZES: Final = MappingProxyType({UnitForm.MAC: 6, UnitForm.EUI64: 8})


@dataclass(frozen=True, slots=True)
class UnitRule:
    """What each unit of a product is called, and where its chip holds the name.

    `pattern` is a regular expression of characters, classes and counts; empty for any address. `case` and `separator`
    are those of an address as it is written in the certificate. `slot` None is the OTP zone. `offset` is a multiple of
    32: until the data lock a chip takes whole blocks.
    """

    form: UnitForm
    pattern: str = ""
    slot: int | None = None
    offset: int = 0
    case: str = "upper"
    separator: str = ""

    @property
    def length(self) -> int:
        """Characters of a name as it is written in the certificate."""
        return len(self.positions)

    @property
    def size(self) -> int:
        """Bytes of a name on the chip."""
        return _ADDRESS_SIZES.get(self.form, self.length)

    @property
    def positions(self) -> tuple[frozenset[str], ...]:
        """The characters that are possible at each position of a name."""
        return _positions(self)

    @property
    def place(self) -> str:
        """Where the chip holds the name, in words."""
        zone = "the OTP zone" if self.slot is None else f"slot {self.slot}"
        return f"{zone}, byte {self.offset}"

    def filled(self, digit: str) -> str:
        """Return a text of the form and length of a name, with one digit everywhere but at the separators."""
        if not self.separator:
            return digit * self.length
        return self.separator.join([2 * digit] * self.size)

    @property
    def example(self) -> str:
        """A name that the rule allows."""
        first = "".join(min(allowed) for allowed in self.positions)
        return first if self.broken_rule(first) is None else first[:-1] + max(self.positions[-1])

    def canonical(self, name: str) -> str:
        """Return an address that is written in another usual way as the certificate has it; text as it is."""
        size = _ADDRESS_SIZES.get(self.form)
        digits = "".join(each for each in name if each not in _SEPARATORS)
        if size is None or len(digits) != 2 * size or not digits.isascii() or not digits.isalnum():
            return name
        digits = digits.upper() if self.case == "upper" else digits.lower()
        return self.separator.join(digits[at : at + 2] for at in range(0, len(digits), 2))

    def broken_rule(self, name: str) -> str | None:
        """Return which rule a name breaks, as the end of a sentence about it; None if it breaks none."""
        if not name:
            return f"it is empty; a name has {self.length} characters"
        if not all(each in TEXT_CHARACTERS for each in name):
            return "it has spaces, control characters or others that are not printable ASCII"
        if len(name) != self.length:
            return f"it has {len(name)} characters; this product's names have {self.length}"
        for position, (character, allowed) in enumerate(zip(name, self.positions, strict=True), 1):
            if character not in allowed:
                return f"character {position} is '{character}'; the pattern is {self.pattern_text}"
        if self.form is not UnitForm.TEXT and self.encoded(name) in (b"\x00" * self.size, b"\xff" * self.size):
            return "it is the address of no unit; a chip without a name holds the same bytes"
        return None

    @property
    def pattern_text(self) -> str:
        """The pattern for people; for addresses without one of their own, their form."""
        return self.pattern or f"{self.filled('X')} with hexadecimal digits in {self.case} case"

    def stored(self, name: str) -> bytes:
        """Return the bytes for the chip; ValueError says which rule the name breaks."""
        broken = self.broken_rule(name)
        if broken is not None:
            raise ValueError(f"The unit's name '{printable(name[:LONGEST_UNIT])}' is refused: {broken}.")
        return self.encoded(name)

    def encoded(self, name: str) -> bytes:
        """Return the bytes for a text of the form and length of a name, whatever the pattern is."""
        if self.form is UnitForm.TEXT:
            return name.encode("ascii")
        return bytes.fromhex(name.replace(self.separator, "") if self.separator else name)

    def written(self, data: bytes) -> str | None:
        """Return the name that a chip holds; None if the bytes are not a name of this product."""
        if len(data) != self.size:
            return None
        name = data.decode("latin-1") if self.form is UnitForm.TEXT else self.canonical(data.hex())
        return name if self.broken_rule(name) is None else None

    def document(self) -> dict[str, Any]:
        """Return a map of plain values from which the same rule is read."""
        found: dict[str, Any] = {"form": self.form.value}
        if self.pattern:
            found["pattern"] = self.pattern
        if self.form is not UnitForm.TEXT:
            found |= {"case": self.case, "separator": self.separator}
        found["zone"] = "otp" if self.slot is None else "data"
        if self.slot is not None:
            found["slot"] = self.slot
        return found | {"offset": self.offset}

    @classmethod
    def read(cls, table: Document) -> Self:
        """Read a [unit] table; raises the table's error with the key at fault."""
        form = _choice(table, "form", tuple(UnitForm))
        is_text = form == UnitForm.TEXT
        slot, offset = _place(table)
        rule = cls(
            form=UnitForm(form),
            pattern=table.text("pattern", LONGEST_PATTERN) if is_text or table.has("pattern") else "",
            slot=slot,
            offset=offset,
            case="upper" if is_text or not table.has("case") else _choice(table, "case", tuple(_HEX)),
            separator="" if is_text or not table.has("separator") else _choice(table, "separator", ("", ":", "-")),
        )
        rule.check(table)
        if table.has("length"):
            table.integer("length", 1, LONGEST_UNIT)
            if table.get("length") != rule.length:
                raise table.fault(table.at("length"), f"must be {rule.length}, as the pattern has it, or be left out")
        table.finish()
        return rule

    def check(self, table: Document) -> None:
        """Raise the table's error unless the pattern is one and the chip has room for the name."""
        try:
            length = self.length
        except ValueError as error:
            raise table.fault(table.at("pattern"), str(error)) from None
        if not 1 <= length <= LONGEST_UNIT:
            raise table.fault(table.at("pattern"), f"must give names of 1 to {LONGEST_UNIT} characters, not {length}")
        room = OTP_SIZE if self.slot is None else SLOT_SIZES[self.slot]
        if self.offset % BLOCK_SIZE or self.offset + self.size > room:
            what = "the OTP zone" if self.slot is None else f"slot {self.slot}"
            raise table.fault(
                table.at("offset"),
                f"must be a multiple of {BLOCK_SIZE} with room for {self.size} bytes; {what} has {room}",
            )


def _place(table: Document) -> tuple[int | None, int]:
    zone = _choice(table, "zone", ("data", "otp")) if table.has("zone") else "data"
    offset = table.integer("offset", 0, max(SLOT_SIZES) - 1) if table.has("offset") else 0
    if zone == "otp":
        return None, offset
    return table.integer("slot", 0, SLOT_COUNT - 1), offset


def _choice(table: Document, key: str, allowed: tuple[str, ...]) -> str:
    value = table.get(key)
    if not isinstance(value, str) or value not in allowed:
        raise table.fault(table.at(key), f"must be one of {', '.join(repr(str(each)) for each in allowed)}")
    return value


@functools.lru_cache(maxsize=64)
def _positions(rule: UnitRule) -> tuple[frozenset[str], ...]:
    """Return the characters for each position of a name; ValueError says what is wrong with the pattern."""
    size = _ADDRESS_SIZES.get(rule.form)
    if size is None:
        return pattern_positions(rule.pattern)
    digits, separator = _HEX[rule.case], frozenset(rule.separator)
    address = [digits, digits, *([separator] if separator else [])] * size
    positions = tuple(address[: 3 * size - 1] if separator else address)
    if not rule.pattern:
        return positions
    parsed = pattern_positions(rule.pattern)
    if len(parsed) != len(positions):
        raise ValueError(f"must give names of {len(positions)} characters, not {len(parsed)}")
    both = tuple(mine & of_address for mine, of_address in zip(parsed, positions, strict=True))
    for number, allowed in enumerate(both, 1):
        if not allowed:
            raise ValueError(f"allows no address: character {number} is none in {rule.case} case with this separator")
    return both


def pattern_positions(pattern: str) -> tuple[frozenset[str], ...]:
    """Return the characters that a pattern allows at each position; ValueError says what is wrong with it."""
    positions: list[frozenset[str]] = []
    end = 0
    while end < len(pattern):
        match = _ITEM.match(pattern, end)
        if match is None:
            raise ValueError(
                f"is not understood from '{pattern[end : end + 12]}' on: use characters, classes such as [A-Z0-9], \\d"
                " and counts such as {8}"
            )
        members, escaped, literal, count = match.groups()
        positions += [_class(members) if members else _character(escaped, literal)] * int(count or 1)
        end = match.end()
        if len(positions) > LONGEST_UNIT:
            raise ValueError(f"must give names of 1 to {LONGEST_UNIT} characters")
    return tuple(positions)


def _character(escaped: str | None, literal: str | None) -> frozenset[str]:
    if escaped == "d":
        return frozenset("0123456789")
    character = literal or escaped or ""
    if character not in TEXT_CHARACTERS or (escaped and escaped.isalnum()):
        raise ValueError(f"has '{printable(character)}', which no name may have")
    return frozenset(character)


def _class(members: str) -> frozenset[str]:
    found: set[str] = set()
    if members.startswith("^"):
        raise ValueError("has a class that begins with ^: list what is allowed")
    for first, last, single in _RANGE.findall(members):
        if single:
            found |= _member(single)
            continue
        low, high = first[-1], last[-1]
        is_digits = "\\d" in (first, last)
        if is_digits or low > high or not {low, high} <= TEXT_CHARACTERS:
            raise ValueError(f"has a class with the range '{printable(first)}-{printable(last)}', which is not valid")
        found |= set(map(chr, range(ord(low), ord(high) + 1)))
    return frozenset(found)


def _member(single: str) -> frozenset[str]:
    is_escaped = len(single) > 1
    return _character(single[1] if is_escaped else None, None if is_escaped else single)
