"""Advice that stops a board or a batch is followed with `provisioning-client` against a real server."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from atcaprov import CertInfo
from atcaprov.certs.descriptions.description import default_description
from atcaprov.emulator.images import load_image
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.random_source import SystemRandom
from atcaprov.emulator.state_file import StateFile
from provisioning_client.cli import command
from provisioning_server.products.product import ProductFiles
from signer_module.on_files.create_signer import create_signer
from signer_module.on_files.key_file import SoftwareKey
from signer_module.on_files.root_folder import RootFolder, create_root
from signer_module.signer_description import SignerDescriptions
from tests.support.chips_by_use import provisioned
from tests.support.programs import run_in_process
from tests.support.server import running_server, server_program

pytestmark = pytest.mark.slow

CONFIGS = Path(__file__).parents[2] / "configs"
TRUST_FLEX = ("--part", "tflxtls")


def signer_of(root: RootFolder, folder: Path, key_slot: int) -> Path:
    device = default_description("device")
    assert device.slots is not None
    device = replace(device, slots=replace(device.slots, private_key=key_slot))
    made = create_signer(
        folder,
        root=root,
        root_key=root.unlock(None),
        descriptions=SignerDescriptions(default_description("signer"), device),
        key=SoftwareKey.generate(),
        password=None,
        signer_id=bytes((0x12, len(root.register.issued()))),
        now=datetime.now(UTC),
    )
    return made.path


@dataclass
class Line:
    """A server that takes blank parts and TFLXTLS, with the signer of one key slot."""

    certinfo: Path
    port: int

    def said(self, chip: Path | str, *words: str, code: int) -> str:
        station = ("--certinfo", str(self.certinfo), "--host", "127.0.0.1", "--port", str(self.port))
        done = run_in_process(command, *station, "--auto", "--device", f"emulator:{chip}", *words)
        text = " ".join((done.out + done.err).split())
        assert done.code == code, text
        return text


Lines = Callable[[int], Line]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> RootFolder:
    return create_root(tmp_path_factory.mktemp("root") / "root", default_description("root"), None, datetime.now(UTC))


def _line(root: RootFolder, folder: Path, key_slot: int) -> Iterator[Line]:
    products = ProductFiles(zones=(CONFIGS / "tflxtls.hex", CONFIGS / "atecc608a-default.hex"))
    signer = signer_of(root, folder / "signer", key_slot)
    with running_server(signer, folder / "data", products=products) as address:
        yield Line(signer / "atcaprov_cert_info_0.c", address.port)


@pytest.fixture(scope="module")
def line(root: RootFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    yield from _line(root, tmp_path_factory.mktemp("line"), 0)


@pytest.fixture
def line_of_slot_2(root: RootFolder, tmp_path: Path) -> Iterator[Line]:
    yield from _line(root, tmp_path, 2)


def kept(chip: Path, change: Callable[[Memory], None], image: str = "tflxtls") -> Path:
    memory = load_image(image).make(SystemRandom())
    change(memory)
    StateFile(chip).keep(memory)
    return chip


def test_part_of_the_line_is_named_or_left_out(line: Line, tmp_path: Path) -> None:
    refused = line.said(kept(tmp_path / "flex.json", lambda memory: None), code=6)
    (words,) = re.findall(r"starts its client with (--part tflxtls)\.", refused)
    line.said(tmp_path / "flex.json", *words.split(), "--replace-certificates", code=0)
    refused = line.said(tmp_path / "blank.json", "--part", "tflxtls", code=6)
    assert "A line for blank chips leaves --part out." in refused
    line.said(tmp_path / "blank.json", code=0)


def test_configuration_is_left_out_for_a_trust_part(line: Line, tmp_path: Path) -> None:
    chip = kept(tmp_path / "chip.json", lambda memory: None)
    words = (*TRUST_FLEX, "--replace-certificates")
    own = tmp_path / "own.hex"
    own.write_text((CONFIGS / "atecc608a-default.hex").read_text().replace("C0 00 00 00 85", "C0 00 00 01 85"))
    assert "Leave --config out." in line.said(chip, *words, "--config", str(own), code=2)
    line.said(chip, *words, code=0)


def test_key_slot_is_one_of_those_that_the_advice_names(line: Line, line_of_slot_2: Line, tmp_path: Path) -> None:
    words = (*TRUST_FLEX, "--replace-certificates", "--key-slot")
    for number, refused in enumerate(("1", "5")):
        assert "Use --key-slot 0, 2, 3 or 4." in line.said(tmp_path / f"{number}.json", *words, refused, code=2)
    line.said(kept(tmp_path / "first.json", lambda memory: None), *words, "0", code=0)
    line_of_slot_2.said(kept(tmp_path / "second.json", lambda memory: None), *words, "2", code=0)


def test_key_that_needs_a_secure_boot_is_left_for_another_slot(
    line: Line, line_of_slot_2: Line, tmp_path: Path
) -> None:
    def after_boot(memory: Memory) -> None:
        memory.config[70] |= 0x08
        memory.config[97] |= 0x10

    chip, words = kept(tmp_path / "chip.json", after_boot), (*TRUST_FLEX, "--replace-certificates")
    assert "or use --key-slot 2, 3 or 4 with a signer for that slot." in line.said(chip, *words, code=6)
    line_of_slot_2.said(chip, *words, "--key-slot", "2", code=0)


def test_certificates_on_a_part_are_replaced_with_the_advised_option(line: Line, tmp_path: Path) -> None:
    chip = kept(tmp_path / "makers.json", lambda memory: None)
    (option,) = re.findall(r"start again with (--replace-certificates)\.", line.said(chip, *TRUST_FLEX, code=6))
    line.said(chip, *TRUST_FLEX, option, code=0)
    chip = kept(tmp_path / "foreign.json", lambda memory: memory.write_slot(10, 70, b"\x01"))
    refused = line.said(chip, *TRUST_FLEX, code=6)
    (option,) = re.findall(r"start again with (--replace-foreign-certificates)\.", refused)
    line.said(chip, *TRUST_FLEX, option, code=0)


def test_slot_that_cannot_be_locked_is_taken_off_the_list(line: Line, tmp_path: Path) -> None:
    def not_lockable(memory: Memory) -> None:
        memory.config[96 + 2 * 8] &= ~0x20

    chip, words = kept(tmp_path / "chip.json", not_lockable), (*TRUST_FLEX, "--replace-certificates")
    refused = line.said(chip, *words, "--lock-slot", "8", "--lock-slot", "13", code=6)
    assert "Take it off the list of slots to lock (--lock-slot)." in refused
    line.said(chip, *words, "--lock-slot", "13", code=0)


def test_proof_that_a_blank_part_cannot_give_is_left_out(line: Line, tmp_path: Path) -> None:
    refused = line.said(tmp_path / "chip.json", "--require-genuine", code=6)
    assert "or leave out --require-genuine." in refused
    line.said(tmp_path / "chip.json", code=0)


def test_cert_info_of_another_product_is_exchanged_for_the_right_one(line: Line, tmp_path: Path) -> None:
    info = CertInfo.parse(line.certinfo.read_text(encoding="utf-8"))
    wrong = tmp_path / "atcaprov_cert_info_0.c"
    wrong.write_text(replace(info, device_template_id=9).to_c(), encoding="utf-8")
    chip = tmp_path / "chip.json"
    refused = Line(wrong, line.port).said(chip, code=7)
    assert "Check the file given with --certinfo; export it again from the signer." in refused
    line.said(chip, code=0)


def test_chip_with_a_new_key_is_certified_by_a_server_that_allows_it(root: RootFolder, tmp_path: Path) -> None:
    signer, serial = signer_of(root, tmp_path / "signer", 3), provisioned().serial
    for number in (1, 2):
        blank = load_image("atecc608a").make(SystemRandom())
        blank.config[0:4], blank.config[8:13] = serial[:4], serial[4:]
        StateFile(tmp_path / f"chip{number}.json").keep(blank)
    for options, chip, code in (((), 1, 0), ((), 2, 8), (("--allow-rekey",), 2, 0)):
        with server_program("--signer", signer, "--data", tmp_path / "data", *options) as server:
            line = Line(signer / "atcaprov_cert_info_0.c", server.address().port)
            said = line.said(tmp_path / f"chip{chip}.json", "--key-slot", "3", code=code)
            assert server.stop() == 0
        assert ("have the server started with --allow-rekey." in said) == (code == 8)
