"""The parts of the family: their images, and what only the ATECC508A does."""

from __future__ import annotations

import hmac
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from atcaprov import Code, UsageError
from atcaprov.chip.commands import Opcode
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.images import image_names, load_image, parse_image
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.random_source import SeededRandom
from atcaprov.emulator.snapshot import fork
from atcaprov.hal.emulated import open_emulated
from tests.emulator.test_vectors import inputs_of, names, result_of, temp_key
from tests.support.chips import SERIAL, awake_chip, send
from tests.support.stock_cryptoauthlib import Wheel, buffer, driven

VECTORS = Path(__file__).parent.parent / "vectors"
ZONES = {zone["id"]: zone for zone in json.loads((VECTORS / "config-zones.json").read_text())["zones"]}
IMAGES = Path(__file__).parents[2] / "configs" / "images"


def chip_508(**config_bytes: bytes) -> Chip:
    memory = load_image("atecc508a").make(SeededRandom(b"508"), SERIAL)
    for place, content in config_bytes.items():
        offset = int(place.removeprefix("at_"))
        memory.config[offset : offset + len(content)] = content
    return awake_chip(memory)


def lock(memory: Memory) -> None:
    memory.config[86:88] = bytes(2)


class TestImages:
    def test_the_names(self) -> None:
        blank = ["atecc508a", "atecc608a", "atecc608b", "atecc608c"]
        flex = ["tflxtls", "tflxtls-608a", "tflxtls-608c"]
        go = ["tngtls", "tngtls-608a", "tngtls-608c"]
        assert image_names() == [*blank, *flex, "tmngtls", "tnglora", *go]

    @pytest.mark.parametrize(("image", "zone"), [("atecc608a", "factory-608a"), ("atecc508a", "factory-508a")])
    def test_blank_parts_are_the_published_ones(self, image: str, zone: str) -> None:
        config = open_emulated(f"?image={image}").chip.memory.config
        assert config[16:].hex() == ZONES[zone]["bytes_16_127"]

    @pytest.mark.parametrize(
        ("image", "revision", "end", "address", "locked"),
        [
            ("atecc608a", "00006002", 0xEE, 0xC0, False),
            ("atecc608b", "00006003", 0xEE, 0xC0, False),
            ("atecc608c", "00006004", 0xEE, 0xC0, False),
            ("atecc508a", "00005000", 0xEE, 0xC0, False),
            ("tngtls", "00006003", 0x01, 0x6A, True),
            ("tngtls-608a", "00006002", 0x01, 0x6A, True),
            ("tngtls-608c", "00006004", 0x01, 0x6A, True),
            ("tflxtls", "00006003", 0x01, 0x6C, True),
            ("tflxtls-608a", "00006002", 0x01, 0x6C, True),
            ("tflxtls-608c", "00006004", 0x01, 0x6C, True),
            ("tmngtls", "00006003", 0x01, 0x70, True),
            ("tnglora", "00006003", 0x27, 0xB2, True),
        ],
    )
    def test_the_marks_of_each_part(self, image: str, revision: str, end: int, address: int, locked: bool) -> None:
        chip = open_emulated(f"?image={image}").chip
        assert send(chip, Opcode.INFO).body == bytes.fromhex(revision)
        assert chip.memory.serial[:2] == b"\x01\x23"
        assert chip.memory.serial[8] == end
        assert chip.memory.config[16] == address
        assert chip.memory.config_locked is chip.memory.data_locked is locked

    def test_the_608c_is_configured_as_the_608b(self) -> None:
        """ATECC608C summary data sheet (2023), section 1: all configuration settings of the 608B."""
        newer, older = (open_emulated(f"?image={name}").chip.memory.config for name in ("atecc608c", "atecc608b"))
        assert newer[13:] == older[13:]

    def test_serial_numbers_are_unique(self) -> None:
        assert len({open_emulated("?image=tngtls").chip.memory.serial for _ in range(100)}) == 100

    def test_chip_in_a_file_keeps_its_part(self, tmp_path: Path) -> None:
        path = tmp_path / "chip.json"
        first = open_emulated(f"{path}?image=tngtls")
        first.close()
        second = open_emulated(str(path))
        assert first.chip.memory.image() == second.chip.memory.image()
        second.close()

    @pytest.mark.parametrize("rest", ["?image=nothing", "?image=", "?part=x", "?image=../secret", "?image=/no.json"])
    def test_invalid_image_is_refused(self, rest: str) -> None:
        with pytest.raises(UsageError):
            open_emulated(rest)

    def test_image_in_a_file(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.json"
        path.write_text((IMAGES / "tflxtls.json").read_text())
        assert open_emulated(f"?image={path}").chip.memory.config[16] == 0x6C

    @pytest.mark.parametrize(
        "change",
        [
            {"format": "x"},
            {"version": 2},
            {"revision": "00"},
            {"revision": None},
            {"info_revision": "000060"},
            {"info_revision": 6},
            {"otp": []},
            {"otp": ["00" * 63]},
            {"otp": None},
            {"serial_end": "eeee"},
            {"bytes_16_to_127": []},
            {"bytes_16_to_127": 5},
            {"bytes_13_to_15": "zz5500"},
            {"keys": [16]},
            {"keys": ["0"]},
            {"keys": None},
            {"keys": [1]},
            {"certificates": "tnglora", "keys": [0]},
            {"certificates": "unknown"},
            {"certificates": True},
        ],
    )
    def test_a_damaged_image_is_refused(self, change: dict[str, Any]) -> None:
        document = json.loads((IMAGES / "tngtls.json").read_text()) | change
        with pytest.raises(UsageError) as caught:
            parse_image(json.dumps(document), "damaged")
        assert caught.value.code == Code.FILE_INVALID

    @pytest.mark.parametrize(
        ("name", "tag"),
        [
            ("tngtls", b"x6tjuZMy"),
            ("tngtls-608a", b"x6tjuZMy"),
            ("tngtls-608c", b"x6tjuZMy"),
            ("tflxtls", b"wdNxAjae"),
            ("tflxtls-608a", b"wdNxAjae"),
            ("tflxtls-608c", b"KQp2ZkD8"),
            ("tmngtls", bytes.fromhex("0225701337B9CFF0")),
            ("tnglora", b"jsMu7iYO"),
        ],
    )
    def test_trust_parts_carry_a_tag_in_otp(self, name: str, tag: bytes) -> None:
        """Data sheets (of the I2C versions), section 2.3 or 3.3: 8 bytes, then zeros."""
        with driven(open_emulated(f"?image={name}").chip) as wheel:
            otp = buffer(bytes(64))
            wheel.call("calib_read_bytes_zone", 1, 0, 0, otp, 64)
        assert bytes(otp) == tag.ljust(64, b"\0")

    def test_a_cut_image_is_refused(self) -> None:
        text = (IMAGES / "tngtls.json").read_text()
        for length in range(len(text) - 2):
            with pytest.raises(UsageError):
                parse_image(text[:length], "cut")


class TestRevision:
    """Info tells the part, bytes 4 to 7 of the configuration zone do not (AN3539, section 1.2.4)."""

    @staticmethod
    def differing(info: str, zone: str) -> Chip:
        document = json.loads((IMAGES / "atecc608b.json").read_text())
        image = parse_image(json.dumps(document | {"revision": zone, "info_revision": info}), "differing")
        return awake_chip(image.make(SeededRandom(b"revision")))

    def test_info_can_differ_from_the_zone(self) -> None:
        chip = self.differing("00006003", "00006002")
        assert send(chip, Opcode.INFO).body == bytes.fromhex("00006003")
        assert send(chip, Opcode.READ, 0, 1).body == bytes.fromhex("00006002")

    def test_info_decides_which_part_the_chip_is(self) -> None:
        newer, older = self.differing("00006003", "00005000"), self.differing("00005000", "00006003")
        assert send(newer, Opcode.SELF_TEST, 0x3B).status == 0
        assert send(older, Opcode.SELF_TEST, 0x3B).status == 0x03

    def test_a_fork_is_the_same_part(self) -> None:
        twin = fork(self.differing("00006003", "00005000"))
        twin.wake()
        assert send(twin, Opcode.INFO).body == bytes.fromhex("00006003")


class TestTrustParts:
    """The slots as the vendor's pages describe them."""

    @pytest.fixture(params=["tngtls", "tngtls-608a", "tngtls-608c", "tflxtls", "tflxtls-608a", "tflxtls-608c"])
    def wheel(self, request: pytest.FixtureRequest) -> Any:
        with driven(open_emulated(f"?image={request.param}").chip) as wheel:
            yield wheel

    def test_the_primary_key_signs_and_stays(self, wheel: Wheel) -> None:
        wheel.fetch("calib_get_pubkey", 64, 0)
        wheel.fetch("calib_sign", 64, 0, buffer(bytes(32)))
        wheel.refused("calib_genkey", 0, buffer(bytes(64)))

    def test_slot_1_signs_internal_messages_only(self, wheel: Wheel) -> None:
        wheel.refused("calib_sign", 1, buffer(bytes(32)), buffer(bytes(64)))
        wheel.fetch("calib_nonce_rand", 32, buffer(bytes(20)))
        wheel.call("calib_genkey_base", 8, 0, None, buffer(bytes(64)))
        wheel.fetch("calib_sign_internal", 64, 1, False, False)

    def test_secondary_keys_can_be_replaced_and_locked(self, wheel: Wheel) -> None:
        for slot in (2, 3, 4):
            made = wheel.fetch("calib_genkey", 64, slot)
            assert wheel.fetch("calib_get_pubkey", 64, slot) == made
        wheel.call("calib_lock_data_slot", 2)
        wheel.refused("calib_genkey", 2, buffer(bytes(64)))

    def test_the_io_protection_key_is_written_and_never_read(self, wheel: Wheel) -> None:
        wheel.call("calib_write_zone", 2, 6, 0, 0, buffer(bytes(32)), 32)
        wheel.refused("calib_read_zone", 2, 6, 0, 0, buffer(bytes(32)), 32)

    def test_slot_8_is_free_data(self, wheel: Wheel) -> None:
        wheel.call("calib_write_bytes_zone", 2, 8, 0, buffer(b"x" * 416), 416)

    def test_the_configuration_is_closed(self, wheel: Wheel) -> None:
        wheel.refused("calib_write_zone", 0, 0, 1, 0, buffer(bytes(32)), 32)
        wheel.call("calib_updateextra", 1, 0xC0)
        wheel.refused("calib_updateextra", 1, 0xC2)


class Test508A:
    @pytest.mark.parametrize(
        "command",
        [
            (Opcode.AES, 0, 0xFFFF, bytes(16)),
            (Opcode.KDF, 0, 0, bytes(20)),
            (Opcode.SECURE_BOOT, 5, 0, bytes(96)),
            (Opcode.SELF_TEST, 0x3F, 0, b""),
            (Opcode.INFO, 4, 0, b""),
            (Opcode.NONCE, 0x23, 0, bytes(64)),
            (Opcode.NONCE, 0x43, 0, bytes(32)),
            (Opcode.SIGN, 0xA0, 0, b""),
            (Opcode.VERIFY, 0x22, 4, bytes(128)),
            (Opcode.VERIFY, 0x82, 4, bytes(128)),
            (Opcode.ECDH, 0x0C, 0, bytes(64)),
            (Opcode.GEN_KEY, 4, 0xFFFF, b""),
            (Opcode.SHA, 1, 5, bytes(5)),
            (Opcode.SHA, 6, 0, b""),
            (Opcode.SHA, 7, 36, bytes(36)),
            (Opcode.SHA, 2, 64, bytes(64)),
            (Opcode.SHA, 0x42, 0, b""),
        ],
    )
    def test_it_does_not_know_the_commands_of_the_608(self, command: tuple[int, int, int, bytes]) -> None:
        assert send(chip_508(), *command).status == 0x03

    @pytest.mark.parametrize("name", names("hmac508_"))
    def test_hmac(self, name: str) -> None:
        inputs = inputs_of(name)
        mode, slot = inputs["mode"][0], inputs["slot"]
        chip = chip_508(at_28=bytes.fromhex("0f0f"), at_104=bytes.fromhex("3c00"))
        lock(chip.memory)
        chip.memory.write_slot(slot, 0, inputs["key"])
        chip.core.volatile.temp_key = temp_key(inputs["tempkey"], from_input=bool(mode & 4))
        assert send(chip, Opcode.HMAC, mode, slot).body == result_of(name)
        assert send(chip, Opcode.HMAC, mode, slot).status == 0x0F

    @pytest.mark.parametrize("rest", [b"", b"tail"])
    def test_sha_and_hmac_by_blocks(self, rest: bytes) -> None:
        chip = chip_508()
        lock(chip.memory)
        chip.memory.write_slot(9, 0, bytes(32))
        block = bytes(range(64))
        for start, end, slot in ((0, 2, 0), (4, 5, 9)):
            assert send(chip, Opcode.SHA, start, slot).status == 0
            assert send(chip, Opcode.SHA, 7 - end, 0).status in (0x03, 0x0F)
            assert send(chip, Opcode.SHA, 1, 64, block).status == 0x0F  # an error ends it (DS20005927A, 9.17)
            assert send(chip, Opcode.SHA, start, slot).status == 0
            assert send(chip, Opcode.SHA, 1, 64, block).status == 0
            answer = send(chip, Opcode.SHA, end, len(rest), rest).body
            expected = sha256(block + rest).digest() if end == 2 else hmac.digest(bytes(32), block + rest, "sha256")
            assert answer == expected
            assert chip.core.temp_key.key == expected

    def test_otp_bits_can_be_consumed(self) -> None:
        chip = chip_508()
        lock(chip.memory)
        assert send(chip, Opcode.WRITE, 1, 1, b"\x0f\xff\xff\xff").status == 0
        assert send(chip, Opcode.WRITE, 1, 1, b"\xf0\xff\xff\xff").status == 0
        assert send(chip, Opcode.READ, 1, 1).body == b"\x00\xff\xff\xff"
        read_only = chip_508(at_18=b"\xaa")
        lock(read_only.memory)
        assert send(read_only, Opcode.WRITE, 1, 1, bytes(4)).status == 0x0F

    def test_slot_15_has_128_uses(self) -> None:
        chip = chip_508(at_50=bytes.fromhex("a320"), at_126=bytes.fromhex("3300"))
        lock(chip.memory)
        chip.memory.write_slot(15, 0, bytes(35) + b"\x07")
        for _ in range(128):
            chip.idle()
            send(chip, Opcode.NONCE, 3, 0, bytes(32))
            assert len(send(chip, Opcode.SIGN, 0x80, 15).body) == 64
        chip.idle()
        send(chip, Opcode.NONCE, 3, 0, bytes(32))
        assert send(chip, Opcode.SIGN, 0x80, 15).status == 0x0F
        assert chip.memory.config[68:84] == bytes(16)

    def test_the_selector_is_free_or_written_once(self) -> None:
        chip = chip_508()
        for value in (5, 6):
            assert send(chip, Opcode.UPDATE_EXTRA, 1, value).status == 0
        once = chip_508(at_19=b"\x01")
        assert send(once, Opcode.UPDATE_EXTRA, 1, 5).status == 0
        assert send(once, Opcode.UPDATE_EXTRA, 1, 6).status == 0x0F

    def test_pause_silences_the_others(self) -> None:
        chip = chip_508()
        assert send(chip, Opcode.PAUSE, 0).status == 0
        from tests.support.chips import packet

        assert chip.exchange(packet(Opcode.PAUSE, 7)) == b""
        assert chip.exchange(packet(Opcode.INFO)) == b""
        chip.wake()
        assert send(chip, Opcode.INFO).body == bytes.fromhex("00005000")
