"""Published known answers (tests/vectors/standards.json) through the chip, by the stock library."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ctypes import byref, c_uint8
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest

from atcaprov.emulator.chip import Chip
from tests.support.chips import configured_memory
from tests.support.stock_cryptoauthlib import Wheel, buffer, driven, flag

STANDARDS: Final = json.loads((Path(__file__).parent.parent / "vectors" / "standards.json").read_text())["vectors"]
TEMP_KEY: Final = 0xFFFF


def rows(name: str) -> list[dict[str, bytes]]:
    return [{field: bytes.fromhex(value) for field, value in row.items()} for row in STANDARDS[name]["rows"]]


@pytest.fixture
def wheel() -> Iterator[Wheel]:
    slots = {0: (0x2087, 0x0033)}
    with driven(Chip(configured_memory(slots=slots, config_bytes={90: b"\x00"}))) as driver:
        yield driver


def load_key(wheel: Wheel, key: bytes) -> None:
    wheel.call("calib_nonce_load", 0, buffer(key.ljust(32, b"\0")), 32)


@pytest.mark.parametrize("row", rows("sha256"), ids=["one-block", "two-blocks"])
def test_sha256(wheel: Wheel, row: dict[str, bytes]) -> None:
    message = row["message"]
    assert wheel.fetch("calib_hw_sha2_256", 32, buffer(message), len(message)) == row["digest"]


@pytest.mark.parametrize("row", rows("hmac"), ids=["case-1", "case-2"])
def test_hmac(wheel: Wheel, row: dict[str, bytes]) -> None:
    load_key(wheel, row["key"])
    out = buffer(bytes(32))
    wheel.call("calib_sha_hmac", buffer(row["message"]), len(row["message"]), TEMP_KEY, out, 0xC0)
    assert bytes(out) == row["mac"]


@pytest.mark.parametrize("row", rows("aes128"), ids=["c1"])
def test_aes(wheel: Wheel, row: dict[str, bytes]) -> None:
    load_key(wheel, row["key"])
    assert wheel.fetch("calib_aes_encrypt", 16, TEMP_KEY, 0, buffer(row["plain"])) == row["cipher"]
    assert wheel.fetch("calib_aes_decrypt", 16, TEMP_KEY, 0, buffer(row["cipher"])) == row["plain"]


@pytest.mark.parametrize("row", rows("cmac"), ids=lambda row: str(len(row["message"])))
def test_cmac(wheel: Wheel, row: dict[str, bytes]) -> None:
    load_key(wheel, bytes.fromhex(STANDARDS["cmac"]["key"]))
    context, mac = buffer(bytes(1024)), buffer(bytes(16))
    wheel.call("atcab_aes_cmac_init_ext", context, TEMP_KEY, 0)
    if row["message"]:
        wheel.call_plain("atcab_aes_cmac_update", context, buffer(row["message"]), len(row["message"]))
    wheel.call_plain("atcab_aes_cmac_finish", context, mac, 16)
    assert bytes(mac) == row["mac"]


@pytest.mark.parametrize("row", rows("ccm"), ids=["example-1"])
def test_ccm(wheel: Wheel, row: dict[str, bytes]) -> None:
    load_key(wheel, row["key"])
    context, cipher, tag, size = buffer(bytes(2048)), buffer(bytes(len(row["plain"]))), buffer(bytes(16)), c_uint8(16)
    lengths = len(row["nonce"]), len(row["extra"]), len(row["plain"]), len(row["tag"])
    nonce, extra, plain = (buffer(row[name]) for name in ("nonce", "extra", "plain"))
    wheel.call("atcab_aes_ccm_init_ext", context, TEMP_KEY, 0, nonce, *lengths)
    wheel.call_plain("atcab_aes_ccm_aad_update", context, extra, lengths[1])
    wheel.call_plain("atcab_aes_ccm_encrypt_update", context, plain, lengths[2], cipher)
    wheel.call_plain("atcab_aes_ccm_encrypt_finish", context, tag, byref(size))
    assert bytes(cipher) == row["cipher"]
    assert bytes(tag)[: size.value] == row["tag"]


@pytest.mark.parametrize("row", rows("gcm"), ids=["case-4"])
def test_gcm(wheel: Wheel, row: dict[str, bytes]) -> None:
    load_key(wheel, row["key"])
    plain, cipher, tag = row["plain"], buffer(bytes(len(row["plain"]))), buffer(bytes(16))
    context = start_gcm(wheel, row)
    wheel.call("calib_aes_gcm_encrypt_update", context, buffer(plain), len(plain), cipher)
    wheel.call("calib_aes_gcm_encrypt_finish", context, tag, 16)
    assert bytes(cipher) == row["cipher"]
    assert bytes(tag) == row["tag"]
    context, decrypted, verified = start_gcm(wheel, row), buffer(bytes(len(plain))), flag()
    wheel.call("calib_aes_gcm_decrypt_update", context, cipher, len(plain), decrypted)
    wheel.call("calib_aes_gcm_decrypt_finish", context, tag, 16, byref(verified))
    assert verified.value
    assert bytes(decrypted) == plain


def start_gcm(wheel: Wheel, row: dict[str, bytes]) -> Any:
    context = buffer(bytes(1024))
    wheel.call("calib_aes_gcm_init", context, TEMP_KEY, 0, buffer(row["nonce"]), len(row["nonce"]))
    wheel.call("calib_aes_gcm_aad_update", context, buffer(row["extra"]), len(row["extra"]))
    return context


@pytest.mark.parametrize("row", rows("ecdsa"), ids=["sample"])
def test_ecdsa(wheel: Wheel, row: dict[str, bytes]) -> None:
    wheel.chip.memory.write_slot(0, 0, bytes(4) + row["private"])
    assert wheel.fetch("calib_get_pubkey", 64, 0) == row["public"]
    digest = sha256(row["message"]).digest()
    for signature in (row["signature"], wheel.fetch("calib_sign", 64, 0, buffer(digest))):
        verified = flag()
        wheel.call("calib_verify_extern", buffer(digest), buffer(signature), buffer(row["public"]), byref(verified))
        assert verified.value


@pytest.mark.parametrize("row", rows("ecdh"), ids=["group-19"])
def test_ecdh(wheel: Wheel, row: dict[str, bytes]) -> None:
    wheel.chip.memory.write_slot(0, 0, bytes(4) + row["private"])
    assert wheel.fetch("calib_ecdh", 32, 0, buffer(row["peer"])) == row["secret"]
