"""The rule for a unit's own name: what it accepts, what it refuses, and what a chip holds of it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import UsageError
from atcaprov.certs.document_reader import Document
from atcaprov.certs.unit_rule import LONGEST_UNIT, UnitForm, UnitRule

SERIAL = {"form": "text", "pattern": "SN-[0-9]{8}", "slot": 8}
MAC = {"form": "mac", "separator": ":", "slot": 8}
DEV_EUI = {"form": "eui64", "pattern": "0004A3[0-9A-F]{10}", "zone": "otp", "offset": 32}


def read(table: dict[str, Any]) -> UnitRule:
    return UnitRule.read(Document(table, "unit", lambda path, rule: UsageError(f"{path} {rule}")))


@pytest.mark.parametrize(
    ("table", "length", "size", "place"),
    [
        (SERIAL, 11, 11, "slot 8, byte 0"),
        (MAC, 17, 6, "slot 8, byte 0"),
        (DEV_EUI, 16, 8, "the OTP zone, byte 32"),
        ({"form": "mac", "case": "lower", "slot": 4}, 12, 6, "slot 4, byte 0"),
        (SERIAL | {"pattern": r"DE\*ABC\*E\d{6}", "length": 14, "offset": 384}, 14, 14, "slot 8, byte 384"),
        ({"form": "text", "pattern": "[!-~]{64}", "zone": "otp"}, 64, 64, "the OTP zone, byte 0"),
    ],
)
def test_rule_is_read_and_written(table: dict[str, Any], length: int, size: int, place: str) -> None:
    rule = read(table)
    assert (rule.length, rule.size, rule.place) == (length, size, place)
    assert read(rule.document()) == rule


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"form": "uuid"}, "unit.form"),
        ({"form": "text", "pattern": ""}, "unit.pattern"),
        ({"pattern": "SN-[0-9]+"}, "unit.pattern"),
        ({"pattern": "(SN|SM)[0-9]"}, "unit.pattern"),
        ({"pattern": "SN [0-9]"}, "unit.pattern"),
        ({"pattern": "SN[^0]"}, "unit.pattern"),
        ({"pattern": "SN[9-0]"}, "unit.pattern"),
        ({"pattern": r"[\d-x]"}, "unit.pattern"),
        ({"pattern": r"\w{4}"}, "unit.pattern"),
        ({"pattern": "[0-9]{65}"}, "unit.pattern"),
        ({"pattern": "[0-9]{999}[0-9]{999}"}, "unit.pattern"),
        ({"pattern": "A{0}"}, "unit.pattern"),
        ({"pattern": "SNé"}, "unit.pattern"),
        ({"pattern": 8}, "unit.pattern"),
        ({"length": 10}, "unit.length"),
        ({"slot": 16}, "unit.slot"),
        ({"slot": 4, "offset": 32}, "unit.offset"),
        ({"offset": 4}, "unit.offset"),
        ({"zone": "config"}, "unit.zone"),
        ({"zone": "otp"}, "unit.slot"),
        ({"case": "upper"}, "unit.case"),
        ({"form": "mac", "pattern": "[0-9A-F]{11}"}, "unit.pattern"),
        ({"form": "mac", "pattern": "[g-z]{12}"}, "unit.pattern"),
        ({"form": "mac", "pattern": "[0-9A-F]{12}", "separator": "."}, "unit.separator"),
        ({"form": "mac", "pattern": "[0-9A-F]{12}", "case": "Upper"}, "unit.case"),
    ],
)
def test_wrong_rule_is_refused_with_its_key(change: dict[str, Any], path: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(path)} "):
        read(SERIAL | change)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "it is empty"),
        ("SN-0000001", "it has 10 characters; this product's names have 11"),
        ("SN-000000001", "it has 12 characters"),
        ("SM-00000001", "character 2 is 'M'; the pattern is SN-[0-9]{8}"),
        ("SN-0000000\n", "control characters"),
        ("SN-0000000\0", "control characters"),
        ("SN-0000000\x1b", "control characters"),
        ("SN-0000000 ", "spaces"),
        ("SN-0000000é", "not printable ASCII"),
        ("SN-0000000\N{ARABIC-INDIC DIGIT ONE}", "not printable ASCII"),
    ],
)
def test_broken_rule_is_named(name: str, rule: str) -> None:
    broken = read(SERIAL).broken_rule(name)
    assert broken is not None
    assert rule in broken
    with pytest.raises(ValueError, match="is refused") as refused:
        read(SERIAL).stored(name)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("typed", ["00:04:a3:01:02:ff", "00-04-A3-01-02-FF", "0004a30102ff", "0004.a301.02FF"])
def test_address_is_taken_in_every_usual_form(typed: str) -> None:
    rule = read(MAC)
    assert rule.canonical(typed) == "00:04:A3:01:02:FF"
    assert rule.stored(rule.canonical(typed)) == bytes.fromhex("0004A30102FF")
    assert read({"form": "mac", "case": "lower", "slot": 8}).canonical(typed) == "0004a30102ff"


@pytest.mark.parametrize("typed", ["00:04:a3:01:02", "0004a30102f", "0004a30102fg", "0004a30102ff00", "0004a30102f\n"])
def test_no_address_breaks_the_rule(typed: str) -> None:
    rule = read(MAC)
    assert rule.broken_rule(rule.canonical(typed)) is not None


@pytest.mark.parametrize("typed", ["000000000000", "FF:FF:FF:FF:FF:FF"])
def test_what_an_empty_place_holds_is_no_address(typed: str) -> None:
    rule = read(MAC)
    name = rule.canonical(typed)
    assert rule.broken_rule(name) == "it is the address of no unit; a chip without a name holds the same bytes"
    assert rule.written(rule.encoded(name)) is None


@pytest.mark.parametrize("table", [SERIAL, MAC, DEV_EUI, {"form": "mac", "case": "lower", "slot": 8}])
def test_example_follows_its_rule(table: dict[str, Any]) -> None:
    assert read(table).broken_rule(read(table).example) is None


def test_prefix_of_an_address_is_demanded() -> None:
    rule = read(DEV_EUI)
    assert rule.broken_rule("0004A30123456789") is None
    assert "character 6 is '4'" in (rule.broken_rule("0004A40123456789") or "")


CLASSES = st.sampled_from(["[A-Z]", "[0-9A-F]", r"\d", "[-_.]", r"[\]\\a]", "x", r"\.", "[!-~]", "-", "/"])
PATTERNS = st.lists(st.tuples(CLASSES, st.integers(1, 8)), min_size=1, max_size=8).map(
    lambda parts: "".join(f"{each}{{{count}}}" if count > 1 else each for each, count in parts)
)


@given(PATTERNS, st.text(st.characters(max_codepoint=0x17F), max_size=66), st.data())
def test_pattern_is_a_regular_expression(pattern: str, name: str, data: st.DataObject) -> None:
    rule = read({"form": "text", "pattern": pattern, "zone": "otp"})
    judge = re.compile(pattern, re.ASCII)
    assert (rule.broken_rule(name) is None) == bool(judge.fullmatch(name))
    good = "".join(data.draw(st.sampled_from(sorted(allowed))) for allowed in rule.positions)
    assert judge.fullmatch(good)
    assert rule.broken_rule(good) is None
    assert rule.written(rule.stored(good)) == good


@given(st.text(max_size=80))
def test_any_pattern_is_read_or_refused(pattern: str) -> None:
    try:
        rule = read({"form": "text", "pattern": pattern, "zone": "otp"})
    except UsageError as error:
        refusal = str(error)
    else:
        refusal = ""
        assert 1 <= rule.length <= LONGEST_UNIT
        assert rule.form is UnitForm.TEXT
    assert refusal.isprintable()


@given(st.sampled_from([SERIAL, MAC, DEV_EUI]), st.binary(max_size=20))
def test_bytes_of_a_chip_are_a_name_or_none(table: dict[str, Any], content: bytes) -> None:
    rule = read(table)
    name = rule.written(content)
    assert name is None or rule.stored(name) == content
