from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Code, UsageError
from atcaprov.chip.maker_tables import TFLXTLS_TABLE
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.product_profile.preset import PRESETS
from atcaprov.product_profile.profile import ProofPolicy, SignerRule
from atcaprov.product_profile.profile_file import profile_from_toml, read_profile, read_profiles
from atcaprov.provisioning.profile import DeliveredPart
from tests.product_profile.profiles import FITTING, MINIMAL, ROOT, replaced

FILE = Path("product.toml")


def refusal(text: str, path: Path = FILE) -> str:
    with pytest.raises(UsageError) as caught:
        profile_from_toml(text, path)
    assert caught.value.code == Code.PROFILE_INVALID
    return str(caught.value)


def test_what_is_left_out_has_a_default() -> None:
    profile = profile_from_toml(MINIMAL, FILE)
    assert (profile.name, profile.title) == ("x", "x")
    assert profile.config_zone == DEFAULT_608A
    assert profile.chip.device_key_slot == 0
    assert profile.chip.certificate_slots == {10, 11, 12}
    assert profile.chip.slots_to_lock == ()
    assert profile.chip.part is DeliveredPart.BLANK
    assert profile.proof.policy is ProofPolicy.OPTIONAL
    assert profile.signers == SignerRule()


def test_every_key_is_read(tmp_path: Path) -> None:
    (tmp_path / "zone.hex").write_text((ROOT / "configs" / "atecc608a-default.hex").read_text())
    (tmp_path / "root.pem").write_text((ROOT / "configs" / "images" / "tngtls-test-root.pem").read_text())
    text = replaced(
        "[certificate]",
        """title = "A thing"
[chip]
config = "zone.hex"
certificate_slots = [10, 11, 12, 13]
lock_slots = [0]
[signers]
root = "root.pem"
name = "Some CA"
ids = ["00AB"]
[proof]
policy = "required"
within_hours = 2
most_overdue = 0
[certificate]""",
    )
    profile = profile_from_toml(text, tmp_path / "p.toml")
    assert profile.title == "A thing"
    assert profile.chip.certificate_slots == {10, 11, 12, 13}
    assert profile.chip.slots_to_lock == (0,)
    assert len(profile.signers.root_public_key) == 64
    assert (profile.signers.name, profile.signers.ids) == ("Some CA", frozenset({b"\x00\xab"}))
    assert profile.proof.policy is ProofPolicy.REQUIRED
    assert (profile.proof.within_hours, profile.proof.most_overdue) == (2, 0)


def test_description_and_zone_may_be_files_or_tables(tmp_path: Path) -> None:
    whole = tomllib.loads(MINIMAL)
    (tmp_path / "device.toml").write_text((ROOT / "configs" / "certificates" / "device.toml").read_text())
    by_file = profile_from_toml('name = "x"\ndescription = "device.toml"\n', tmp_path / "p.toml")
    assert by_file.certificate.subject.common_name == "Example ATECC608A Device {chip_serial}"
    assert "description" not in whole
    zone = (ROOT / "configs" / "atecc608a-default.toml").read_text()
    inline = "\n".join(
        line.replace("[", "[chip.zone.", 1) if line.startswith("[") else line
        for line in zone.replace("title =", "[chip.zone]\ntitle =").splitlines()
    ).replace("[chip.zone.chip.zone]", "[chip.zone]")
    assert profile_from_toml(f"{MINIMAL}\n{inline}", FILE).config_zone == DEFAULT_608A


@pytest.mark.parametrize("name", FITTING)
def test_each_preset_is_valid_and_is_in_configs(name: str) -> None:
    path = ROOT / "configs" / "products" / f"{name}.toml"
    assert path.read_text() == PRESETS[name].text
    assert read_profile(path).name == f"example-{name}"


def test_preset_that_does_not_fit_is_refused_with_the_reason() -> None:
    with pytest.raises(UsageError, match=r"critical extension \(2\.23\.148\.1\.2\)") as caught:
        _ = PRESETS["qi"].text
    assert caught.value.code == Code.PROFILE_INVALID


UNIT = '[unit]\nform = "text"\npattern = "SN[0-9]{6}"\nslot = 8\n'


def test_unit_rule_of_the_profile_belongs_to_its_certificate(tmp_path: Path) -> None:
    text = replaced('"X {chip_serial}"', '"X {unit}"')
    rule = profile_from_toml(f"{text}{UNIT}", FILE).certificate.unit
    assert rule is not None
    assert (rule.length, rule.slot) == (8, 8)
    inside = (ROOT / "configs" / "certificates" / "device.toml").read_text().replace("{chip_serial}", "{unit}")
    (tmp_path / "device.toml").write_text(inside)
    outside = f'name = "x"\ndescription = "device.toml"\n{UNIT}'
    assert profile_from_toml(outside, tmp_path / "p.toml").certificate.unit == rule
    (tmp_path / "device.toml").write_text(f"{inside}\n{UNIT}")
    assert profile_from_toml('name = "x"\ndescription = "device.toml"', tmp_path / "p.toml").certificate.unit == rule
    assert "line 3: unit cannot stand beside the one of" in refusal(outside, tmp_path / "p.toml")


REFUSED = [
    ('name = "x"', 'name = "x', "product.toml is not TOML: "),
    ('name = "x"', 'name = "x"\nnmae = "y"', "product.toml, line 2: nmae is not known; the keys here are name, title,"),
    ('name = "x"\n', "", "product.toml, line 1: name is missing: Name of the product"),
    ('name = "x"', "name = 5", "product.toml, line 1: name must be letters, digits and spaces . _ + - inside, not 5."),
    ('name = "x"', 'name = " x"', "product.toml, line 1: name must be letters"),
    ("[certificate]", "[chip]\nconfg = 1\n[certificate]", "product.toml, line 3: chip.confg is not known"),
    ("[certificate]", "chip = 1\n[certificate]", "product.toml, line 2: chip must be a table, not 1."),
    (
        "[certificate]",
        '[chip]\npart = "x"\n[certificate]',
        'line 3: chip.part must be "blank" or "tflxtls", not',
    ),
    ("[certificate]", "[chip]\nlock_slots = [1, 1]\n[certificate]", "line 3: chip.lock_slots holds a value twice."),
    (
        "[certificate]",
        "[chip]\nlock_slots = [16]\n[certificate]",
        "chip.lock_slots must be a whole number from 0 to 15",
    ),
    ("[certificate]", "[chip]\nlock_slots = [10]\n[certificate]", "line 2: The configuration zone would harm the chip"),
    (
        "[certificate]",
        "[chip]\ncertificate_slots = [11]\n[certificate]",
        "line 3: chip.certificate_slots must hold slot",
    ),
    ("[certificate]", '[chip]\nconfig = "none.hex"\n[certificate]', "line 3: none.hex cannot be read"),
    (
        "[certificate]",
        '[chip]\nconfig = "a"\nzone = {}\n[certificate]',
        "line 4: chip.zone cannot stand beside",
    ),
    ("[certificate]", "[chip.zone]\nslot = 1\n[certificate]", "line 2: chip.zone.slots: slots 0, 1,"),
    ("[certificate]", '[signers]\nids = ["1"]\n[certificate]', "line 3: signers.ids must be four hexadecimal digits"),
    ("[certificate]", '[signers]\nroot = "none.pem"\n[certificate]', "line 3: none.pem cannot be read"),
    (
        "[certificate]",
        "[proof]\nwithin_hours = true\n[certificate]",
        "line 3: proof.within_hours must be a whole",
    ),
    ("[certificate]", 'description = "d.toml"\n[certificate]', "line 3: certificate cannot stand beside description"),
    (
        "template_id = 2",
        "template_id = 16",
        "line 4: certificate.template_id must be a whole number",
    ),
    ("private_key = 0", "private_key = 10", "line 13: certificate.slots must be different slots."),
    ("expire_years = 0", "expire_years = 99", "line 10: certificate.validity.expire_years must be 0 (no expiry) to 31"),
    ('"X {chip_serial}"', '"X {serial}"', "line 8: certificate.subject.common_name uses the placeholder {serial}"),
    (
        '["digital_signature"]',
        "[]",
        "line 12: certificate.extensions.key_usage must be a list of",
    ),
    ("private_key = 0", "private_key = 9", "line 1: The configuration zone would harm the chip"),
]


@pytest.mark.parametrize(("before", "after", "message"), REFUSED, ids=lambda value: str(value)[:30])
def test_refusal_names_file_line_and_field(before: str, after: str, message: str) -> None:
    text = replaced(before, after)
    assert message in refusal(text)


def test_fault_in_another_file_names_that_file(tmp_path: Path) -> None:
    text = (ROOT / "configs" / "certificates" / "device.toml").read_text()
    (tmp_path / "device.toml").write_text(text.replace("template_id = 2 ", 'template_id = "2"'))
    found = refusal('name = "x"\ndescription = "device.toml"\n', tmp_path / "p.toml")
    assert f"{tmp_path / 'device.toml'}, line 5: template_id must be a whole number from 0 to 15." in found
    (tmp_path / "device.toml").write_text((ROOT / "configs" / "certificates" / "signer.toml").read_text())
    found = refusal('name = "x"\ndescription = "device.toml"\n', tmp_path / "p.toml")
    assert "line 2: description names the description of a signer; a device's is needed." in found


def test_trust_flex_part_has_the_makers_zone() -> None:
    text = replaced("[certificate]", '[chip]\npart = "tflxtls"\nlock_slots = [10]\n[certificate]')
    profile = profile_from_toml(text, FILE)
    assert profile.chip.part is DeliveredPart.TFLXTLS
    assert profile.config_zone == TFLXTLS_TABLE.config
    other = text.replace("private_key = 0", "private_key = 1")
    assert "line 2: Slot 1 of a TFLXTLS holds no key that signs messages." in refusal(other)


def test_profile_without_certificate_is_refused() -> None:
    assert "line 1: description is missing; give it or certificate." in refusal('name = "x"\n')


def test_folder_gives_all_its_profiles(tmp_path: Path) -> None:
    for name in FITTING:
        (tmp_path / f"{name}.toml").write_text(PRESETS[name].text)
    (tmp_path / "readme.txt").write_text("not a profile")
    assert sorted(profile.name for profile in read_profiles([tmp_path])) == sorted(
        f"example-{name}" for name in FITTING
    )


def test_two_profiles_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.toml").write_text(MINIMAL)
    with pytest.raises(UsageError, match=r"b\.toml and .*a\.toml are both profiles of the product 'x'\.") as caught:
        read_profiles([tmp_path])
    assert caught.value.code == Code.PROFILE_INVALID


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no product profile"):
        read_profiles([tmp_path])


def test_missing_and_endless_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_profiles([tmp_path / "none.toml"])
    assert caught.value.code == Code.FILE_UNREADABLE
    (tmp_path / "long.toml").write_text("#" * 70_000)
    with pytest.raises(UsageError) as caught:
        read_profiles([tmp_path / "long.toml"])
    assert caught.value.code == Code.FILE_INVALID
    if os.name == "posix":
        with pytest.raises(UsageError) as caught:
            read_profile(Path("/dev/zero"))
        assert caught.value.code == Code.FILE_INVALID


def only_typed_errors(text: str) -> None:
    try:
        profile_from_toml(text, FILE)
    except UsageError as error:
        code, said = error.code, str(error)
    else:
        return
    assert code == Code.PROFILE_INVALID
    assert said.replace("\n", "").isprintable()


@pytest.mark.slow
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    only_typed_errors(text)
    only_typed_errors(f"{MINIMAL}\n{text}")


@pytest.mark.slow
@given(st.integers(0, len(MINIMAL)), st.integers(0, 7), st.booleans())
def test_damaged_profile_is_read_or_refused(position: int, bit: int, cut: bool) -> None:
    data = bytearray(MINIMAL.encode())
    if cut:
        del data[position:]
    elif position < len(data):
        data[position] ^= 1 << bit
    only_typed_errors(data.decode(errors="replace"))


VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [
        "1",
        "-1",
        "1e300",
        "nan",
        "true",
        '""',
        '"a"',
        "[]",
        "[[]]",
        "{}",
        "{ a = 1 }",
        "1979-05-27",
        "99999999999999999999",
    ]
)


@pytest.mark.slow
@given(st.sampled_from([line for line in MINIMAL.splitlines() if " = " in line]), VALUES)
def test_value_of_any_type_is_read_or_refused(line: str, value: str) -> None:
    only_typed_errors(MINIMAL.replace(line, f"{line.split(' = ')[0]} = {value}"))


@pytest.mark.slow
@given(
    st.text(min_size=1, max_size=12),
    st.sampled_from(["", "[chip]\n", "[chip.zone]\n", "[chip.zone.slots]\n", "[unit]\n"]),
)
def test_key_of_any_characters_is_refused_in_printable_words(key: str, table: str) -> None:
    quoted = "".join(f"\\U{ord(character):08x}" for character in key if not 0xD800 <= ord(character) <= 0xDFFF)
    only_typed_errors(f'{MINIMAL}\n{table}"{quoted}" = 1\n')
