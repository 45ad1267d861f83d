"""The published digests: `tests/vectors/digests.json`, made with the library's host calculations."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.counters import decode, encode, write_counter
from atcaprov.emulator.open_points import OpenPoints
from atcaprov.emulator.random_source import RandomSource
from atcaprov.emulator.volatile import TempKey
from tests.support.chips import SERIAL, awake_chip, configured_memory, send

VECTORS: Final = Path(__file__).parent.parent / "vectors"
DIGESTS: Final[dict[str, dict[str, Any]]] = {
    vector["name"]: vector for vector in json.loads((VECTORS / "digests.json").read_text())["vectors"]
}
COUNTERS: Final = json.loads((VECTORS / "counters.json").read_text())["rows"]
SYMMETRIC: Final = (0x0F8F, 0x003C)


class Scripted(RandomSource):
    """Gives the bytes of a vector as the chip's random ones."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def take(self, count: int) -> bytes:
        taken, self._content = self._content[:count], self._content[count:]
        assert len(taken) == count
        return taken

    def key_pair(self) -> tuple[bytes, bytes]:
        raise AssertionError("no key is made here")


def names(prefix: str) -> list[str]:
    found = [name for name in DIGESTS if name.startswith(prefix)]
    assert found
    return found


def inputs_of(name: str) -> dict[str, Any]:
    inputs: dict[str, Any] = dict(DIGESTS[name]["inputs"])
    for field, value in inputs.items():
        if isinstance(value, str) and field not in ("details_u32", "details_meaning"):
            inputs[field] = bytes.fromhex(value)
    assert inputs.get("sn", SERIAL) == SERIAL
    return inputs


def result_of(name: str) -> bytes:
    return bytes.fromhex(DIGESTS[name]["result"])


def temp_key(content: bytes, **flags: Any) -> TempKey:
    return TempKey(value=content.ljust(64, b"\0"), valid=True, **flags)


def check_flags(chip: Chip, flags: dict[str, int]) -> None:
    key = chip.core.temp_key
    found = {
        "valid": key.valid,
        "source_flag": key.from_input,
        "gen_dig_data": key.gen_dig,
        "gen_key_data": key.gen_key,
        "no_mac_flag": key.no_mac,
        "key_id": key.key_id,
    }
    assert found == flags


@pytest.mark.parametrize("name", names("nonce_"))
def test_nonce(name: str) -> None:
    inputs = inputs_of(name)
    chip = Chip(configured_memory(), random_source=Scripted(inputs.get("rand_out", b"")))
    reply = send(chip, Opcode.NONCE, inputs["mode"][0], 0, inputs["num_in"])
    assert reply.body == inputs.get("rand_out", b"\0")
    result = result_of(name)
    assert chip.core.temp_key.value[: len(result)] == result
    check_flags(chip, DIGESTS[name]["tempkey_flags_after"])


@pytest.mark.parametrize("name", names("mac_mode"))
def test_mac(name: str) -> None:
    inputs = inputs_of(name)
    mode, slot = inputs["mode"][0], inputs["slot"]
    otp = inputs["otp"].ljust(64, b"\xff")
    memory = configured_memory(slots={slot: SYMMETRIC}, content={slot: inputs["key"]}, otp=otp)
    chip = awake_chip(memory, open_points=OpenPoints(mac_otp_fields="hash"))
    source = DIGESTS[name]["tempkey_source_flag_needed"]
    chip.core.volatile.temp_key = temp_key(inputs["tempkey"], from_input=bool(source))
    challenge = b"" if mode & 1 else inputs["challenge"]
    reply = send(chip, Opcode.MAC, mode, slot, challenge)
    assert reply.body == result_of(name), reply.reason
    assert not chip.core.temp_key.valid


@pytest.mark.parametrize("name", names("checkmac_"))
def test_check_mac(name: str) -> None:
    inputs = inputs_of(name)
    mode, slot = inputs["mode"][0], inputs["slot"]
    copied = inputs["target_key"]
    slots = {slot: (0x0F8F, 0x001C), slot + 1: (0x0F80 if copied else 0x0F8F, 0x001C)}
    content = {slot: inputs["key"], slot + 1: copied or bytes(32)}
    chip = awake_chip(configured_memory(slots=slots, content=content, otp=inputs["otp"].ljust(64, b"\xff")))

    def check(response: bytes) -> bytes:
        chip.core.volatile.temp_key = temp_key(inputs["tempkey"], from_input=bool(mode & 4), key_id=3)
        data = inputs["challenge"] + response + inputs["other_data"]
        return send(chip, Opcode.CHECK_MAC, mode, slot, data).body

    if mode & 0x20:  # the OTP zone was part of the ATSHA204A's message: bits 7 to 3 are 0 (DS20005927A, 9.2)
        assert check(result_of(name)) == b"\x03"
        return
    assert check(bytes(32)) == b"\x01"
    assert chip.core.volatile.authorized is None
    assert check(result_of(name)) == b"\x00"
    if copied:
        assert chip.core.temp_key.key == copied
        check_flags(chip, DIGESTS[name]["tempkey_flags_after"])
    else:
        assert not chip.core.temp_key.valid  # in every mode (DS20005927A, 2.5.1)


@pytest.mark.parametrize("name", [name for name in names("gendig_") if name != "gendig_config_block0"])
def test_gen_dig(name: str) -> None:
    """Block 0 of the configuration is left out: its vector's content is not the serial number of its digest."""
    inputs = inputs_of(name)
    zone, p2 = inputs["zone"], int.from_bytes(inputs["p2"])
    slot_config = int.from_bytes(inputs.get("slot_config", b"\x0f\x9f" if "nomac" in name else b"\x0f\x8f"))
    key_config = int.from_bytes(inputs.get("key_config", b"\x00\x3c"))
    memory = configured_memory(slots={p2 & 15: (slot_config, key_config)} if zone in (2, 5) else {})
    stored = inputs.get("stored", b"")
    if zone == 0:
        memory.config[32 * p2 : 32 * p2 + 32] = stored
    elif zone == 1:
        memory.otp[32 * p2 : 32 * p2 + 32] = stored
    elif zone == 2:
        memory.write_slot(p2, 0, stored)
    elif zone == 4:
        write_counter(memory, p2, inputs["counter"])
    chip = awake_chip(memory)
    chip.core.volatile.temp_key = temp_key(inputs["tempkey"])
    reply = send(chip, Opcode.GEN_DIG, zone, p2, inputs.get("other_data", b""))
    assert reply.status == 0, reply.reason
    assert chip.core.temp_key.key == result_of(name)
    check_flags(chip, DIGESTS[name]["tempkey_flags_after"])


def test_gen_dig_needs_the_other_data_only_for_keys_that_check() -> None:
    chip = awake_chip(configured_memory(slots={4: SYMMETRIC, 6: (0x0F9F, 0x003C)}, content={4: bytes(32)}))
    digests = []
    for other in (b"", bytes.fromhex("15020400"), b"abcd"):
        chip.core.volatile.temp_key = temp_key(bytes(32))
        assert send(chip, Opcode.GEN_DIG, 2, 4, other).status == 0
        digests.append(chip.core.temp_key.key)
    assert len(set(digests)) == 1
    assert send(chip, Opcode.GEN_DIG, 2, 6, b"").status == 0x0F


def test_gen_key_digest_of_a_stored_key() -> None:
    name = "genkey_digest_mode_10"
    inputs = inputs_of(name)
    xy = inputs["public_key"]
    chip = awake_chip(
        configured_memory(slots={14: (0x0F0F, 0x0030)}, content={14: bytes(4) + xy[:32] + bytes(4) + xy[32:]})
    )
    chip.core.volatile.temp_key = temp_key(inputs["tempkey"])
    assert send(chip, Opcode.GEN_KEY, 0x10, 14, inputs["other_data"]).status == 0
    assert chip.core.temp_key.key == result_of(name)
    check_flags(chip, DIGESTS[name]["tempkey_flags_after"])


@pytest.mark.parametrize("name", ["genkey_digest_mode_08", "genkey_digest_mode_0c"])
def test_gen_key_digest_layout(name: str) -> None:
    """The vector's public key has no known private key: its layout is proven, then used on the chip's own key."""
    inputs = inputs_of(name)
    mode, slot = inputs["mode"], inputs["slot"]

    def layout(public_key: bytes) -> bytes:
        header = b"\x40" + mode + slot.to_bytes(2, "little") + SERIAL[8:] + SERIAL[:2]
        return sha256(inputs["tempkey"] + header + bytes(25) + public_key).digest()

    assert layout(inputs["public_key"]) == result_of(name)
    chip = awake_chip(configured_memory(slots={slot: (0x2083, 0x0033)}))
    send(chip, Opcode.GEN_KEY, 4, slot)
    chip.core.volatile.temp_key = temp_key(inputs["tempkey"])
    public_key = send(chip, Opcode.GEN_KEY, mode[0], slot).body
    assert chip.core.temp_key.key == layout(public_key)
    check_flags(chip, DIGESTS[name]["tempkey_flags_after"])


@pytest.mark.parametrize("name", names("sign_internal_"))
def test_sign_internal_message(name: str) -> None:
    from atcaprov.emulator.commands.sign import internal_message

    inputs = inputs_of(name)
    subject = inputs["tempkey_key_id"]
    words = int.from_bytes(inputs["slot_config"]), int.from_bytes(inputs["key_config"])
    memory = configured_memory(slots={subject: words})
    if inputs["slot_is_locked"]:
        memory.config[88 + subject // 8] &= ~(1 << subject % 8)
    chip = awake_chip(memory)
    chip.core.volatile.temp_key = temp_key(
        inputs["tempkey"],
        key_id=subject,
        gen_dig=bool(inputs["gen_dig_data"]),
        gen_key=bool(inputs["gen_key_data"]),
    )
    message = internal_message(chip.core, inputs["slot"], inputs["mode"][0])
    assert message == result_of(name)
    assert sha256(message).hexdigest() == DIGESTS[name]["digest"]


def session(inputs: dict[str, Any], slot: int) -> TempKey:
    return temp_key(inputs["tempkey"], key_id=slot, gen_dig=True)


def test_encrypted_write() -> None:
    name = "write_encrypted_c2_0040"
    inputs = inputs_of(name)
    memory = configured_memory(slots={8: (0x44C4, 0x001C)})
    chip = awake_chip(memory)
    chip.core.volatile.temp_key = session(inputs, 4)
    cipher = bytes.fromhex(DIGESTS[name]["cipher"])
    assert send(chip, Opcode.WRITE, 0xC2, 0x0040, cipher + result_of(name)).status == 0
    assert memory.read_slot(8, 0, 32) == inputs["plain"]
    assert send(chip, Opcode.WRITE, 0xC2, 0x0040, cipher + result_of(name)).status == 0x0F


def test_encrypted_read() -> None:
    inputs = inputs_of("read_encrypted")
    plain = result_of("read_encrypted")
    chip = awake_chip(configured_memory(slots={8: (0x44C4, 0x001C)}, content={8: plain}))
    chip.core.volatile.temp_key = session(inputs, 4)
    assert send(chip, Opcode.READ, 0x82, 0x0040).body == inputs["cipher"]
    assert not chip.core.temp_key.valid


def test_encrypted_priv_write() -> None:
    name = "privwrite_encrypted_slot7"
    inputs = inputs_of(name)
    memory = configured_memory(slots={7: (0x6483, 0x0033)})
    chip = awake_chip(memory)
    chip.core.volatile.temp_key = session(inputs, 4)
    cipher = bytes.fromhex(DIGESTS[name]["cipher"])
    reply = send(chip, Opcode.PRIV_WRITE, 0x40, 7, cipher + result_of(name))
    assert reply.status == 0, reply.reason
    assert memory.read_slot(7, 0, 36) == inputs["plain"]


@pytest.mark.parametrize("name", ["derivekey_mode_00", "derivekey_mode_04"])
@pytest.mark.parametrize("roll", [True, False])
def test_derive_key(name: str, roll: bool) -> None:
    inputs = inputs_of(name)
    mode = inputs["mode"][0]
    slots = {9: (0x2F8F if roll else 0x348F, 0x003C), 4: SYMMETRIC}
    memory = configured_memory(slots=slots, content={9 if roll else 4: inputs["parent"]})
    chip = awake_chip(memory)
    chip.core.volatile.temp_key = temp_key(inputs["tempkey"], from_input=bool(mode & 4))
    reply = send(chip, Opcode.DERIVE_KEY, mode, 9)
    assert reply.status == 0, reply.reason
    assert memory.read_slot(9, 0, 32) == result_of(name)
    assert not chip.core.temp_key.valid


@pytest.mark.parametrize("name", names("derivekey_mac"))
def test_derive_key_with_its_authorizing_mac(name: str) -> None:
    inputs = inputs_of(name)
    mode = inputs["mode"][0]
    memory = configured_memory(slots={3: (0xB48F, 0x003C), 4: SYMMETRIC}, content={4: inputs["parent"]})
    chip = awake_chip(memory)

    def derive(mac: bytes) -> int:
        chip.core.volatile.temp_key = temp_key(bytes(32), from_input=bool(mode & 4))
        return send(chip, Opcode.DERIVE_KEY, mode, 3, mac).status

    assert derive(b"") == 0x0F
    assert derive(bytes(32)) == 0x0F
    assert memory.read_slot(3, 0, 32) == b"\xff" * 32
    assert derive(result_of(name)) == 0


@pytest.mark.parametrize("name", names("kdf_"))
def test_kdf(name: str) -> None:
    inputs = inputs_of(name)
    mode = 0x12 if name == "kdf_prf_64" else 0x32
    data = inputs["details_bytes"] + inputs["message"]
    chip = awake_chip(
        configured_memory(slots={9: (0x0F8F, 0x001A)}, content={9: inputs["key"]}, config_bytes={90: b"\x04"})
    )
    reply = send(chip, Opcode.KDF, mode, 9, data)
    assert reply.body == result_of(name), reply.reason


@pytest.mark.parametrize("name", names("io_protection"))
def test_io_protection(name: str) -> None:
    from atcaprov.emulator.io_protection import protect

    inputs = inputs_of(name)
    memory = configured_memory(content={6: inputs["io_key"]}, config_bytes={90: b"\x02\x60"})
    chip = Chip(memory, random_source=Scripted(inputs["out_nonce"]))
    assert protect(chip.core, inputs["data"]) == result_of(name) + inputs["out_nonce"]


@pytest.mark.parametrize("row", COUNTERS, ids=lambda row: str(row["value"]))
def test_counters(row: dict[str, Any]) -> None:
    stored = bytes.fromhex(row["config_bytes"])
    assert encode(row["value"]) == stored
    assert decode(stored) == row["value"]
    chip = awake_chip(configured_memory(config_bytes={60: stored}))
    assert send(chip, Opcode.COUNTER, 0, 1).body == row["value"].to_bytes(4, "little")
    advanced = send(chip, Opcode.COUNTER, 1, 1)
    if row["value"] == 2_097_151:
        assert advanced.status == 0x0F
    else:
        assert advanced.body == (row["value"] + 1).to_bytes(4, "little")


@pytest.mark.parametrize("name", names("count_match"))
def test_count_match(name: str) -> None:
    """The limit stands in the CountMatch slot in the form of the vector; at the limit the key refuses."""
    limit = inputs_of(name)["value"]
    for used, allowed in ((limit - 1, True), (limit, False)):
        if used < 0:
            continue
        memory = configured_memory(
            slots={0: (0x20A3, 0x0033), 10: (0x0F0F, 0x003C)},
            content={0: bytes(35) + b"\x07", 10: result_of(name)},
            config_bytes={18: b"\xa1", 52: encode(used)},
        )
        chip = awake_chip(memory)
        send(chip, Opcode.NONCE, 3, 0, bytes(32))
        reply = send(chip, Opcode.SIGN, 0x80, 0)
        assert (len(reply.body) == 64) is allowed, reply.reason
        assert decode(bytes(memory.config[52:60])) == limit
