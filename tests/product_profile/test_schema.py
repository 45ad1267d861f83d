"""The JSON Schema says what the reader does; the judge is the package jsonschema."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from atcaprov import UsageError
from atcaprov.product_profile.preset import PRESETS
from atcaprov.product_profile.profile_file import profile_from_toml
from atcaprov.product_profile.profile_keys import PROFILE, json_schema
from tests.product_profile.key_table import key_table
from tests.product_profile.profiles import FITTING, MINIMAL, ROOT, replaced

VALIDATOR = Draft202012Validator(json_schema())
PAGE = (ROOT / "docs" / "reference" / "product-profiles.md").read_text()


def test_schema_is_one() -> None:
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("name", FITTING)
def test_presets_follow_the_schema(name: str) -> None:
    VALIDATOR.validate(tomllib.loads(PRESETS[name].text))


def test_template_shows_every_key_but_those_of_whole_other_files() -> None:
    """Each key stands in the template of the TLS client, in use or in a comment."""
    text = PRESETS["tls-client"].text
    shown = set(re.findall(r"^#?([a-z_]+) = ", text, re.MULTILINE)) | set(
        re.findall(r"^#?\[(\w+)\]", text, re.MULTILINE)
    )
    assert {key.name for key in PROFILE.keys} - shown <= {"description"}
    assert "description = " in text
    uncommented = re.sub(r"^#([a-z_]+ = |\[)", r"\1", text, flags=re.MULTILINE)
    VALIDATOR.validate(tomllib.loads(uncommented))


BROKEN = [
    ('name = "x"', 'name = "x"\nnmae = "y"'),
    ('name = "x"\n', ""),
    ('name = "x"', "name = 5"),
    ('name = "x"', 'name = " x"'),
    ('name = "x"', f'name = "{"x" * 33}"'),
    ("[certificate]", "[chip]\nconfg = 1\n[certificate]"),
    ("[certificate]", "chip = 1\n[certificate]"),
    ("[certificate]", '[chip]\npart = "x"\n[certificate]'),
    ("[certificate]", "[chip]\nlock_slots = [1, 1]\n[certificate]"),
    ("[certificate]", "[chip]\ncertificate_slots = []\n[certificate]"),
    ("[certificate]", '[chip]\nconfig = "a"\nzone = {}\n[certificate]'),
    ("[certificate]", '[signers]\nids = ["1"]\n[certificate]'),
    ("[certificate]", "[proof]\nwithin_hours = 0\n[certificate]"),
    ("[certificate]", 'description = "d.toml"\n[certificate]'),
    ("template_id = 2", "template_id = 16"),
    ("template_id = 2\n", ""),
    ("template_id = 2", "template_id = true"),
    ("compressed_certificate = 10", "compressed_certificate = 7"),
    ('["digital_signature"]', '["key_cert_signs"]'),
    ('common_name = "X {chip_serial}"', 'organization = "X"'),
]


@pytest.mark.parametrize(("before", "after"), BROKEN)
def test_broken_profile_is_refused_by_schema_and_reader(before: str, after: str) -> None:
    text = replaced(before, after)
    assert not VALIDATOR.is_valid(tomllib.loads(text))
    with pytest.raises(UsageError):
        profile_from_toml(text, Path("p.toml"))


def all_keys(schema: dict[str, Any]) -> list[dict[str, Any]]:
    inner = schema.get("properties", {}).values()
    return [*inner, *(each for table in inner for each in all_keys(table))]


def test_every_key_of_the_schema_is_described() -> None:
    found = all_keys(json_schema())
    assert len(found) > 40
    assert all(len(key["description"]) > 10 for key in found)


def test_minimal_profile_follows_the_schema() -> None:
    VALIDATOR.validate(tomllib.loads(MINIMAL))


def test_page_has_the_table_of_the_code() -> None:
    assert key_table() in PAGE, f"Put this table into the page:\n{key_table()}"
