"""Zones as the Mongoose OS tool writes them, judged by the words that its sample file is known to give."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import ConfigZone, UsageError, read_zone_file
from atcaprov.config_zone.forms.mongoose_os import build_mongoose_os
from atcaprov.config_zone.forms.simple_yaml import parse_simple_yaml
from atcaprov.config_zone.forms.table import read_text

_ROOT = Path(__file__).parents[2]
_TOOLS = json.loads((_ROOT / "vectors" / "other-tools-zones.json").read_text())
SAMPLE: dict[str, Any] = next(
    zone
    for zone in next(value for value in _TOOLS.values() if isinstance(value, list))
    if zone["tool"] == "Mongoose OS"
)


def slot(number: int) -> dict[str, Any]:
    """Return a slot of the sample as mos describes it, taken apart from its published words."""
    config, key = (int(SAMPLE[name][number], 16) for name in ("slot_config", "key_config"))
    flags = ("nomac", "limiteduse", "encryptread", "issecret")
    uses = ("extsignenable", "intsignenable", "ecdhenable", "ecdhtonextslot")
    slot_config: dict[str, Any] = {name: bool(config >> bit & 1) for bit, name in enumerate(flags, start=4)}
    slot_config |= {"writekey": config >> 8 & 15, "writeconfig": config >> 12}
    if key & 1:
        slot_config["privatekeyslotconfig"] = {name: bool(config >> bit & 1) for bit, name in enumerate(uses)}
    else:
        slot_config["readkey"] = config & 15
    key_flags = {"private": 0, "pubinfo": 1, "lockable": 5, "reqrandom": 6, "reqauth": 7, "intrusiondisable": 12}
    key_config: dict[str, Any] = {name: bool(key >> bit & 1) for name, bit in key_flags.items()}
    key_config |= {"keytype": {4: "ECC", 7: "NonECC"}[key >> 2 & 7], "authkey": key >> 8 & 15, "x509id": key >> 14}
    return {"num": number, "slotconfig": slot_config, "keyconfig": key_config}


def document() -> dict[str, Any]:
    return {
        "reserved13": 192,
        "i2cenable": True,
        "reserved15": 0,
        "i2caddress": 192,
        "reserved17": 0,
        "otpmode": 85,
        "chipmode": {"selectorwriteonce": False, "ttlenable": True, "watchdogduration": "10s"},
        "slotinfo": [slot(number) for number in range(16)],
        "counter0": 0xFFFFFFFF00000000,
        "counter1": 0x7FFFFFFF00000000,
        "lastkeyuse0": 0xFFFFFFFFFFFFFFFF,
        "lastkeyuse1": 0x00FFFFFFFFFFFFFF,
        "userextra": 0,
        "selector": 0,
        "lockvalue": "Unlocked",
        "lockconfig": "Locked",
        "slotlocked": 0xFFFE,
        "reserved90": 0,
        "reserved91": 0,
        "x509format": [{"publicposition": 1, "templatelength": 2}, *[{"publicposition": 0, "templatelength": 0}] * 3],
    }


def yaml_of(value: object, indent: int = 0) -> str:
    """Write a document as mos does: lists at the indent of their key."""
    pad = "  " * indent
    if isinstance(value, dict):
        return "".join(
            f"{pad}{key}:"
            + (
                f"\n{yaml_of(member, indent + isinstance(member, dict))}"
                if isinstance(member, dict | list)
                else f" {json.dumps(member).strip(chr(34))}\n"
            )
            for key, member in value.items()
        )
    if isinstance(value, list):
        return "".join(pad + "- " + yaml_of(member, indent + 1).lstrip(" ") for member in value)
    return f"{value}\n"


def test_the_sample_is_read_as_its_published_words() -> None:
    found = read_text("# a comment\n" + yaml_of(document()), accept_112=False)
    zone = ConfigZone(found.data)
    assert found.form == "YAML of Mongoose OS"
    assert [f"{each.slot_config.value:04X}" for each in zone.slots] == SAMPLE["slot_config"]
    assert [f"{each.key_config.value:04X}" for each in zone.slots] == SAMPLE["key_config"]


def test_every_other_field_goes_where_the_data_sheet_has_it() -> None:
    data = build_mongoose_os(document())
    assert data[13:20].hex() == "c00100c0005506"
    assert data[52:68].hex() == "ffffffff00000000" + "7fffffff00000000"
    assert data[68:84].hex() == "ffffffffffffffff" + "00ffffffffffffff"
    assert data[84:92].hex() == "00005500" + "feff" + "0000"
    assert data[92:96].hex() == "21000000"


def test_json_of_mos_is_read_with_the_serial_number() -> None:
    serial = bytes.fromhex("0123AABBCCDDEEFFEE")
    upper = {key.title(): value for key, value in document().items()}
    text = json.dumps(upper | {"SerialNum": base64.b64encode(serial).decode(), "Revision": 0x5000})
    found = read_text(text, accept_112=False)
    assert found.form == "JSON of Mongoose OS"
    assert ConfigZone(found.data).serial_number == serial
    assert found.data[4:8].hex() == "00005000"
    assert found.data[13:] == build_mongoose_os(document())[13:]


def test_a_serial_number_in_yaml_is_a_list_of_numbers() -> None:
    text = "serialnum:\n" + "".join(f"- {n}\n" for n in range(1, 10)) + yaml_of(document())
    assert ConfigZone(read_text(text, accept_112=False).data).serial_number == bytes(range(1, 10))


def changed(**fields: object) -> dict[str, Any]:
    return {key: value for key, value in (document() | fields).items() if value is not ...}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (changed(slotlocked=...), "slotlocked is missing"),
        (changed(uselock=5), "Unknown field uselock: only the ATECC508A model"),
        (changed(i2caddress=256), "i2caddress must be a number from 0 to 255"),
        (changed(i2caddress=True), "i2caddress must be a number"),
        (changed(i2cenable=1), "i2cenable must be true or false"),
        (changed(lockvalue="Unchanged"), "lockvalue must be one of Locked, Unlocked"),
        (changed(slotinfo=[slot(n) for n in range(15)]), "slotinfo must be a list of 16"),
        (changed(slotinfo=[slot(n) for n in (1, 0, *range(2, 16))]), "slotinfo[0].num must be 0"),
        (changed(chipmode=3), "chipmode must be a table"),
        (changed(serialnum=[1, 2]), "serialnum must have 9 bytes"),
        (changed(chipmode={"selectorwriteonce": False}), "chipmode.ttlenable is missing"),
    ],
)  # fmt: skip
def test_fields_that_do_not_fit_are_named(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        build_mongoose_os(given)
    assert words in caught.value.what


def test_a_private_slot_needs_the_uses_of_its_key() -> None:
    slots = [slot(n) for n in range(16)]
    del slots[0]["slotconfig"]["privatekeyslotconfig"]
    with pytest.raises(UsageError, match=r"slotinfo\[0\]\.slotconfig\.privatekeyslotconfig is missing"):
        build_mongoose_os(changed(slotinfo=slots))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\na: 2\n", "line 2: the field a appears twice"),
        ("a: &x 1\n", "line 1: '&x 1' is not a plain value"),
        ("a: 010\n", "'010' is not a plain value"),
        ("a: 0x10\n", "'0x10' is not a plain value"),
        ("a: 'text'\n", "is not a plain value"),
        ("a: 1\n   b: 2\n", "line 2"),
        ("- 1\n", "not a mapping"),
        ("a:\n- b: 1\n  c\n", "line 3: 'c' is not a field"),
        ("", "ends too early"),
        ("a: 1\n" * 3000, "more than"),
        ("-\n" * 1500, "nested more than"),
        ("- " * 1500 + "1", "nested more than"),
    ],
)
def test_other_yaml_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_simple_yaml(text)
    assert words in caught.value.what


def test_plain_yaml_is_read_as_a_yaml_library_reads_it() -> None:
    yaml = pytest.importorskip("yaml")
    text = yaml_of(document()) + "last:\n  - 1\n  - x: true\n    y: word\nempty: []\n"
    assert parse_simple_yaml(text) == yaml.safe_load(text)


@given(st.text(max_size=200))
def test_garbage_ends_in_the_one_error(text: str) -> None:
    for given_text in (text, "slotinfo:\n" + text, f"a:\n- {text}"):
        try:
            parse_simple_yaml(given_text)
        except UsageError:
            continue


@given(st.data())
def test_a_changed_character_is_refused_or_changes_one_field(data: st.DataObject) -> None:
    text = yaml_of(document())
    at = data.draw(st.integers(0, len(text) - 1))
    other = text[:at] + data.draw(st.sampled_from("0123456789abcxyz:- \n#")) + text[at + 1 :]
    try:
        found = read_text(other, accept_112=False).data
    except UsageError:
        return
    before = build_mongoose_os(document())
    assert sum(old != new for old, new in zip(before, found, strict=True)) <= 8, "no field moves into another"


def test_the_file_is_read_by_every_command(tmp_path: Path) -> None:
    path = tmp_path / "product.yaml"
    path.write_text(yaml_of(document()))
    found = read_zone_file(path)
    assert found.form == "YAML of Mongoose OS"
    assert found.place(20) == str(path)
