"""Exported C is compiled against structures of the vendor's layout, compared with ours, and fed to the library."""

from __future__ import annotations

import ctypes
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from atcaprov.certs import export_c
from atcaprov.certs.definition import CertificateDefinition
from atcaprov.errors import CertificateError, Code
from tests.certs.test_wheel_judge import put_on_chip
from tests.support import atcacert
from tests.support.certificates import ROOT, default_definitions, genuine_definition
from tests.support.programs import require_program
from tests.support.random_units import random_unit
from tests.support.wheel import Wheel

HEADER = Path(__file__).parent / "atcacert_def.h"
FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wno-missing-field-initializers"]


def compiled(folder: Path, signer: CertificateDefinition, device: CertificateDefinition, *flags: str) -> ctypes.CDLL:
    gcc = require_program("gcc")
    (folder / "atcacert").mkdir(parents=True)
    (folder / "atcacert" / "atcacert_def.h").write_text(HEADER.read_text())
    for definition, issuer, key in ((signer, None, ROOT.public), (device, signer, None)):
        (folder / export_c.header_name(definition)).write_text(export_c.header(definition))
        text = export_c.source(definition, issuer=issuer, ca_public_key=key)
        (folder / export_c.source_name(definition)).write_text(text)
    sources = [export_c.source_name(signer), export_c.source_name(device)]
    command = [gcc, *FLAGS, *flags, "-I.", "-shared", "-fPIC", "-o", "definitions.so", *sources]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(folder / "definitions.so"))


def loaded(library: ctypes.CDLL, definition: CertificateDefinition) -> Any:
    return atcacert.Definition.in_dll(library, f"g_{export_c.stem(definition)}")


def test_default_definitions_compile_to_the_same_structures(tmp_path: Path) -> None:
    signer, device = default_definitions()
    library = compiled(tmp_path, signer, device)
    for definition in (signer, device):
        assert atcacert.fields(loaded(library, definition)) == atcacert.fields(atcacert.c_definition(definition))
    issuer = loaded(library, device).ca_cert_def
    assert ctypes.addressof(issuer.contents) == ctypes.addressof(loaded(library, signer))
    assert not loaded(library, signer).ca_cert_def
    assert bytes((ctypes.c_uint8 * 64).in_dll(library, "g_signer_1_ca_public_key")) == ROOT.public


def test_the_library_rebuilds_with_the_compiled_definitions(tmp_path: Path, wheel: Wheel) -> None:
    source = random.Random(20160108)
    for number in range(5):
        unit = random_unit(source)
        library = compiled(tmp_path / str(number), unit.signer_definition, unit.device_definition)
        put_on_chip(wheel, unit)
        signer = atcacert.read_certificate(wheel, loaded(library, unit.signer_definition), unit.root_key.public)
        device = atcacert.read_certificate(wheel, loaded(library, unit.device_definition), unit.signer_key.public)
        assert (signer, device) == (unit.signer.der, unit.device.der)


def test_libraries_of_2016_have_fewer_fields(tmp_path: Path) -> None:
    compiled(tmp_path, *default_definitions(), f"-D{export_c.OLD_LIBRARY}")


def test_cplusplus_headers(tmp_path: Path) -> None:
    assert 'extern "C"' in export_c.header(default_definitions()[0])


def test_names_are_those_of_the_published_definitions() -> None:
    definition = genuine_definition()
    text = export_c.source(definition, ca_public_key=bytes(64))
    for name in ("g_signer_1_ca_public_key[64]", "g_cert_template_1_signer", "g_cert_def_1_signer"):
        assert name in text


def test_the_issuer_must_be_the_one_that_is_named() -> None:
    signer, device = default_definitions()
    for definition, issuer in ((device, None), (signer, device), (device, device)):
        with pytest.raises(CertificateError) as caught:
            export_c.source(definition, issuer=issuer)
        assert caught.value.code == Code.DEFINITION_INVALID
