"""One profile is the file of signer-module, server and client; a wrong chip and a broken reload change nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from cryptography import x509

from atcaprov import Code
from atcaprov.cli.main import atcaprov
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.config_zone.hex_file import format_hex
from atcaprov.product_profile.preset import preset
from provisioning_client.cli import command
from provisioning_server.products.product import ProductFiles
from tests.support.programs import Ended, run, run_in_process, run_signer_module
from tests.support.server import running_server, server_program

pytestmark = pytest.mark.slow

NAME: Final = "example-tls-client"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a profile, and a root and a signer made for it."""
    folder = tmp_path_factory.mktemp("product")
    (folder / "profiles").mkdir()
    (folder / "profiles" / "product.toml").write_text(preset("tls-client").text)
    assert run_signer_module("root", "create", "--out", folder / "root", "--no-password") == 0
    described = ("--device-description", folder / "profiles" / "product.toml", "--no-password")
    assert run_signer_module("signer", "create", "--root", folder / "root", "--out", folder / "signer", *described) == 0
    return folder


def client(folder: Path, port: int, *words: object, chip: str = "emulator:") -> Ended:
    station = ("--certinfo", folder / "signer" / "atcaprov_cert_info_0.c", "--host", "127.0.0.1", "--port", port)
    stored = ("--reports", folder / "reports", "--checkpoints", folder / "checkpoints", "--device", chip)
    return run_in_process(command, *map(str, (*station, *stored, "--auto", *words)))


def test_client_takes_from_the_profile_what_its_options_would_say(folder: Path, tmp_path: Path) -> None:
    profile = folder / "profiles" / "product.toml"
    with running_server(folder / "signer", tmp_path / "data", products=ProductFiles((folder / "profiles",))) as address:
        assert client(folder, address.port, "--profile", profile).code == 0
        assert client(folder, address.port, "--product", NAME).code == 0
        twice = client(folder, address.port, "--profile", profile, "--key-slot", "2")
        assert twice.code == 2
        assert "--key-slot is what the profile says. Leave out --key-slot or --profile." in " ".join(twice.err.split())
        assert client(folder, address.port, "--profile", profile).code == 0
        broken = tmp_path / "broken.toml"
        broken.write_text("nmae = 1")
        said = " ".join(client(folder, address.port, "--profile", broken).err.split())
        assert f"{broken}, line 1: nmae is not known" in said


def test_wrongly_configured_board_is_refused_before_it_is_touched(folder: Path, tmp_path: Path) -> None:
    zone = bytearray(DEFAULT_608A)
    zone[88 + 16] ^= 0x20  # KeyConfig of slot 4: lockable
    (tmp_path / "other.hex").write_text(format_hex(bytes(zone)))
    chip = tmp_path / "chip.json"
    with running_server(folder / "signer", tmp_path / "data", products=ProductFiles((folder / "profiles",))) as address:
        ended = client(folder, address.port, "--config", tmp_path / "other.hex", chip=f"emulator:{chip}")
        assert ended.code == 8
        said = " ".join(ended.err.split())
        assert f"[{Code.REQUEST_INVALID}]" in said
        assert f"is not that of the product {NAME}: slot 4 KeyConfig is" in said
        assert client(folder, address.port, chip=f"emulator:{chip}").code == 0, "it was not touched"
        unknown = client(folder, address.port, "--product", "other")
        assert unknown.code == 8
        assert f"The server has no profile of the product 'other'. It has {NAME}." in " ".join(unknown.err.split())


def test_running_server_reloads_profiles_and_keeps_them_if_one_is_broken(folder: Path, tmp_path: Path) -> None:
    profiles = tmp_path / "profiles"
    profiles.mkdir()
    path = profiles / "product.toml"
    path.write_text(preset("tls-client").text)
    options = ("--signer", folder / "signer", "--data", tmp_path / "data", "--profile", profiles)
    with server_program(*options) as server:
        port = server.address().port
        path.write_text(preset("tls-client").text.replace("chain_id = 0", "chain_id = 77"))
        refused = run("provisioning-server", "reload", "--data", tmp_path / "data")
        assert refused.returncode == 2
        assert "product.toml, line" in refused.stderr
        assert "certificate.chain_id must be a whole number from 0 to 15, not 77." in " ".join(refused.stderr.split())
        assert client(folder, port, "--product", NAME).code == 0, "the old ones stay"
        path.write_text(preset("tls-client").text.replace(NAME, "renamed"))
        assert run("provisioning-server", "reload", "--data", tmp_path / "data").returncode == 0
        assert client(folder, port, "--product", NAME).code == 8
        assert client(folder, port, "--product", "renamed").code == 0


def test_server_does_not_start_with_a_broken_profile(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(preset("tls-client").text.replace("[chip]", "[chips]"))
    ended = run("provisioning-server", "--signer", folder / "signer", "--data", tmp_path / "data", "--profile", path)
    assert ended.returncode == 2
    assert f"{path}, line" in ended.stderr
    assert "chips is not known" in ended.stderr


def test_each_unit_gets_its_own_name_by_the_profile(tmp_path: Path) -> None:
    """One file says how units are called and where the chip keeps it: for the signer, the server and the station."""
    unit = '[unit]\nform = "text"\npattern = "SN[0-9]{6}"\nslot = 8\n'
    text = preset("tls-client").text.replace("{chip_serial}", "{unit}").replace("[chip]", f"{unit}[chip]", 1)
    profile = tmp_path / "product.toml"
    profile.write_text(text)
    assert run_signer_module("root", "create", "--out", tmp_path / "root", "--no-password") == 0
    described = ("--device-description", profile, "--no-password")
    made = ("--root", tmp_path / "root", "--out", tmp_path / "signer")
    assert run_signer_module("signer", "create", *made, *described) == 0
    chip = f"emulator:{tmp_path / 'chip.json'}"
    with running_server(tmp_path / "signer", tmp_path / "data", products=ProductFiles((profile,))) as address:
        own = ("--profile", profile, "--count", 1)
        wrong = client(tmp_path, address.port, *own, "--unit", "SN12345X", chip=chip)
        assert wrong.code != 0
        assert "'SN12345X' is refused: character 8 is 'X'; the pattern is SN[0-9]{6}." in wrong.out
        assert "The board was not changed." in wrong.out
        done = client(tmp_path, address.port, *own, "--unit", "SN123456", chip=chip)
        assert done.code == 0, done.out + done.err
        taken = client(tmp_path, address.port, *own, "--unit", "SN123456", chip="emulator:")
        assert taken.code == 8
        assert "SN123456" in taken.out
    chain = run_in_process(atcaprov, "chip", "cert", "--device", chip, "--signer", str(tmp_path / "signer"), "--pem")
    subject = x509.load_pem_x509_certificate(chain.out.encode()).subject
    assert subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value == "Example Device SN123456"
