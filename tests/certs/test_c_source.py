"""Exported C is compiled against structures of the vendor's layout, compared with ours, and fed to the library."""

from __future__ import annotations

import ctypes
import random
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from atcaprov import CertificateError, Code
from atcaprov.certs import c_source as export_c
from atcaprov.certs.definitions.definition import CertificateDefinition
from tests.certs.test_unit_names import (
    DEV_EUI,
    MAC,
    SERIAL,
    definitions,
    described,
    issued,
    put_named_on_chip,
)
from tests.certs.test_wheel_judge import put_on_chip
from tests.support import atcacert, atcacert_years
from tests.support.certificates import ROOT, default_definitions, genuine_definition
from tests.support.random_units import Unit, random_unit
from tests.support.stock_cryptoauthlib import Wheel
from tests.support.system_programs import require_program

HEADER = Path(__file__).parent / "atcacert_def.h"
FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wno-missing-field-initializers"]


def compiler_output(
    folder: Path, signer: CertificateDefinition, device: CertificateDefinition, year: int, *flags: str
) -> str:
    """Compile both definitions against the library of a year; return what the compiler complains about."""
    gcc = require_program("gcc")
    (folder / "atcacert").mkdir(parents=True)
    (folder / "atcacert" / "atcacert_def.h").write_text(HEADER.read_text())
    for definition, issuer, key in ((signer, None, ROOT.public), (device, signer, None)):
        (folder / export_c.header_name(definition)).write_text(export_c.header(definition))
        text = export_c.source(definition, issuer=issuer, ca_public_key=key)
        (folder / export_c.source_name(definition)).write_text(text)
    sources = [export_c.source_name(signer), export_c.source_name(device)]
    options = [*FLAGS, f"-DATCACERT_YEAR={year}", *flags, "-I.", "-shared", "-fPIC", "-o", "definitions.so"]
    done = subprocess.run([gcc, *options, *sources], cwd=folder, capture_output=True, text=True, check=False)
    return done.stderr


def compiled(
    folder: Path,
    signer: CertificateDefinition,
    device: CertificateDefinition,
    year: int = atcacert_years.TODAY,
    *flags: str,
) -> ctypes.CDLL:
    assert compiler_output(folder, signer, device, year, *flags) == ""
    return ctypes.CDLL(str(folder / "definitions.so"))


def loaded(library: ctypes.CDLL, definition: CertificateDefinition, year: int = atcacert_years.TODAY) -> Any:
    layout = atcacert.Definition if year == atcacert_years.TODAY else atcacert_years.layout(year)
    return layout.in_dll(library, f"g_{export_c.stem(definition)}")


def expected_fields(definition: CertificateDefinition) -> dict[str, object]:
    """What the library must see; its std_sig_size of 0 stands for the 64 bytes of P-256."""
    return atcacert.fields(atcacert.c_definition(definition)) | {"std_sig_size": 0}


def test_default_definitions_compile_to_the_same_structures(tmp_path: Path) -> None:
    signer, device = default_definitions()
    library = compiled(tmp_path, signer, device)
    for definition in (signer, device):
        assert atcacert.fields(loaded(library, definition)) == expected_fields(definition)
    issuer = loaded(library, device).ca_cert_def
    assert ctypes.addressof(issuer.contents) == ctypes.addressof(loaded(library, signer))
    assert not loaded(library, signer).ca_cert_def
    assert bytes((ctypes.c_uint8 * 64).in_dll(library, "g_signer_1_ca_public_key")) == ROOT.public


@pytest.mark.slow
def test_the_library_rebuilds_with_the_compiled_definitions(tmp_path: Path, wheel: Wheel) -> None:
    source = random.Random(20160108)
    for number in range(5):
        unit = random_unit(source)
        library = compiled(tmp_path / str(number), unit.signer_definition, unit.device_definition)
        put_on_chip(wheel, unit)
        signer = atcacert.read_certificate(wheel, loaded(library, unit.signer_definition), unit.root_key.public)
        device = atcacert.read_certificate(wheel, loaded(library, unit.device_definition), unit.signer_key.public)
        assert (signer, device) == (unit.signer.der, unit.device.der)


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "name"), [(MAC, "00:04:A3:01:02:FF"), (DEV_EUI, "0004a30b001c0530")])
def test_library_rebuilds_the_units_name_with_compiled_definitions(
    rule: str, name: str, tmp_path: Path, wheel: Wheel
) -> None:
    unit = issued(described(rule), name)
    library = compiled(tmp_path, unit.signer_definition, unit.device_definition)
    assert atcacert.fields(loaded(library, unit.device_definition)) == expected_fields(unit.device_definition)
    put_named_on_chip(wheel, unit, name)
    device = atcacert.read_certificate(wheel, loaded(library, unit.device_definition), unit.signer_key.public)
    assert device == unit.device.der


def test_text_as_the_units_name_compiles_with_every_release(tmp_path: Path) -> None:
    signer, device = definitions(described(SERIAL))
    for year in atcacert_years.YEARS:
        flag = f"-DATCAPROV_CA_CERT_DEF={int(year >= atcacert_years.FIRST_WITH_CA_CERT_DEF)}"
        library = compiled(tmp_path / str(year), signer, device, year, flag)
        (element,) = loaded(library, device, year).cert_elements[0:1]
        assert (element.id, element.device_loc.slot, element.device_loc.count) == (b"unit_0", 8, 11)


def is_transformed(unit: Unit) -> bool | None:
    """Tell whether elements are transformed; None: there are none."""
    elements = unit.device_definition.cert_elements
    return any(element.transforms[0] for element in elements) if elements else None


def units(count: int, *, transformed: bool) -> list[Unit]:
    """Return units; those that are not transformed have the chip's serial number in a hardware module name."""
    source = random.Random(20170701)
    found: list[Unit] = []
    while len(found) < count:
        unit = random_unit(source)
        if is_transformed(unit) is transformed:
            found.append(unit)
    return found


def key_of_issuer(wheel: Wheel, library: ctypes.CDLL, unit: Unit, year: int) -> bytes:
    """Return the issuer's key as firmware finds it: at the place that the definition behind ca_cert_def names."""
    address = loaded(library, unit.device_definition, year).ca_cert_def
    issuer = loaded(library, unit.signer_definition, year)
    if year == atcacert_years.TODAY:
        address = ctypes.addressof(address.contents)
    assert address == ctypes.addressof(issuer), "ca_cert_def does not lead to the signer's definition"
    padded = wheel.chip.memory.read_slot(issuer.public_key_dev_loc.slot, 0, 72)
    return padded[4:36] + padded[40:72]


@pytest.mark.slow
@pytest.mark.parametrize("year", [year for year in atcacert_years.YEARS if year > 2017])
def test_firmware_with_the_library_of_each_year_rebuilds_the_chain(tmp_path: Path, wheel: Wheel, year: int) -> None:
    flags = [f"-D{export_c.CA_CERT_DEF}=1"] if year == atcacert_years.FIRST_WITH_CA_CERT_DEF else []
    with_transforms = year >= atcacert_years.FIRST_WITH_TRANSFORMS
    for number, unit in enumerate(units(2, transformed=False) + units(2, transformed=True) * with_transforms):
        library = compiled(tmp_path / str(number), unit.signer_definition, unit.device_definition, year, *flags)
        put_on_chip(wheel, unit)
        key = key_of_issuer(wheel, library, unit, year)
        definition = atcacert_years.as_today(loaded(library, unit.device_definition, year), year)
        assert atcacert.read_certificate(wheel, definition, key) == unit.device.der


@pytest.mark.parametrize("year", [2016, 2017])
def test_firmware_without_ca_cert_def_rebuilds_with_its_own_issuer_key(tmp_path: Path, wheel: Wheel, year: int) -> None:
    (unit,) = units(1, transformed=False)
    library = compiled(tmp_path, unit.signer_definition, unit.device_definition, year, f"-D{export_c.CA_CERT_DEF}=0")
    put_on_chip(wheel, unit)
    definition = atcacert_years.as_today(loaded(library, unit.device_definition, year), year)
    assert atcacert.read_certificate(wheel, definition, unit.signer_key.public) == unit.device.der


@pytest.mark.parametrize("year", [2019, 2024, 2026])
def test_the_macro_of_old_libraries_takes_nothing_from_new_ones(tmp_path: Path, year: int) -> None:
    """A macro that removes ca_cert_def from an old library must not remove it, or std_sig_size, from a new one."""
    signer, device = default_definitions()
    library = compiled(tmp_path, signer, device, year, f"-D{export_c.CA_CERT_DEF}=0")
    address = loaded(library, device, year).ca_cert_def
    if year == atcacert_years.TODAY:
        assert atcacert.fields(loaded(library, device)) == expected_fields(device)
        address = ctypes.addressof(address.contents)
    assert address == ctypes.addressof(loaded(library, signer, year))


@pytest.mark.parametrize("year", [2024, 2026])
def test_with_parsed_certificates_everything_else_is_the_same(tmp_path: Path, year: int) -> None:
    signer, device = default_definitions()
    library = compiled(tmp_path, signer, device, year, "-DATCACERT_INTEGRATION_EN=1")
    plain = loaded(library, device, year)
    assert bytes(plain.cert_template[: plain.cert_template_size]) == device.cert_template
    assert plain.ca_cert_def


@pytest.mark.parametrize("year", [2024, 2026])
def test_library_without_compressed_certificates_is_refused_by_the_compiler(tmp_path: Path, year: int) -> None:
    output = compiler_output(tmp_path, *default_definitions(), year, "-DATCACERT_COMPCERT_EN=0")
    assert "Compressed certificates are switched off in cryptoauthlib: set ATCACERT_COMPCERT_EN to 1" in output


@pytest.mark.parametrize("standard", ["c99", "c11", "gnu17"])
@pytest.mark.parametrize("year", atcacert_years.YEARS)
def test_every_release_compiles_under_each_standard(tmp_path: Path, year: int, standard: str) -> None:
    (unit,) = units(1, transformed=year >= atcacert_years.FIRST_WITH_TRANSFORMS)
    flags = [f"-std={standard}", "-O2", "-Wshadow", "-Wundef", f"-D{export_c.CA_CERT_DEF}={int(year >= 2018)}"]
    assert compiler_output(tmp_path, unit.signer_definition, unit.device_definition, year, *flags) == ""


def test_ids_of_old_libraries_are_short(tmp_path: Path) -> None:
    (unit,) = units(1, transformed=False)
    elements = unit.device_definition.cert_elements
    assert elements
    longest = replace(elements[0], id="x" * 16)
    definition = replace(unit.device_definition, cert_elements=(longest, *elements[1:]))
    output = compiler_output(tmp_path / "old", unit.signer_definition, definition, 2018)
    assert "device needs the long ids of cryptoauthlib 20190517 or later" in output
    shorter = replace(definition, cert_elements=(replace(longest, id="x" * 15), *elements[1:]))
    flag = f"-D{export_c.CA_CERT_DEF}=1"
    assert compiler_output(tmp_path / "short", unit.signer_definition, shorter, 2018, flag) == ""
    assert compiler_output(tmp_path / "new", unit.signer_definition, definition, 2019) == ""


@pytest.mark.parametrize("year", [2016, 2017, 2018])
def test_a_definition_with_transforms_does_not_compile_without_them(tmp_path: Path, year: int) -> None:
    (unit,) = units(1, transformed=True)
    output = compiler_output(tmp_path, unit.signer_definition, unit.device_definition, year)
    assert "device needs the transforms of cryptoauthlib 20190517 or later" in output


def test_old_library_needs_the_macro_for_ca_cert_def(tmp_path: Path) -> None:
    output = compiler_output(tmp_path, *default_definitions(), 2018)
    assert f"Add -D{export_c.CA_CERT_DEF}=1 if" in output


def test_cplusplus_headers(tmp_path: Path) -> None:
    assert 'extern "C"' in export_c.header(default_definitions()[0])


def test_names_are_those_of_the_published_definitions() -> None:
    definition = genuine_definition()
    text = export_c.source(definition, ca_public_key=bytes(64))
    for name in ("g_signer_1_ca_public_key[64]", "g_cert_template_1_signer", "g_cert_def_1_signer"):
        assert name in text


def test_other_issuer_definition_is_refused() -> None:
    signer, device = default_definitions()
    for definition, issuer in ((device, None), (signer, device), (device, device)):
        with pytest.raises(CertificateError) as caught:
            export_c.source(definition, issuer=issuer)
        assert caught.value.code == Code.DEFINITION_INVALID
