"""Trust parts of every published kind, certified by test keys: the vendor's templates and compression, not ours."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, utils

from atcaprov import SoftwareChip
from atcaprov.device.device import Device
from atcaprov.emulator.images import load_image
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.random_source import SeededRandom
from atcaprov.emulator.slot import MemorySlot
from atcaprov.hal.emulated import EmulatedHal
from tests.support.atcacert import Definition, compress, fields
from tests.support.certificates import SIGNER, Key
from tests.support.stock_cryptoauthlib import LIBRARY

PUBLIC_KEY, SIGNATURE, ISSUE_DATE, EXPIRE_DATE, SIGNER_ID, CERT_SN, AUTH_KEY_ID, SUBJ_KEY_ID = range(8)
BEGIN: Final = datetime(2021, 3, 4, 5, tzinfo=UTC)
_SIGNER_ID: Final = b"2C00"
DEFINITIONS: Final = {
    "tngtls-2": ("g_tngtls_cert_def_1_signer", "g_tngtls_cert_def_2_device"),
    "tngtls-3": ("g_tngtls_cert_def_1_signer", "g_tngtls_cert_def_3_device"),
    "tflxtls": ("g_tngtls_cert_def_1_signer", "g_tflxtls_cert_def_4_device"),
    "tnglora-2": ("g_tnglora_cert_def_1_signer", "g_tnglora_cert_def_2_device"),
    "tnglora-4": ("g_tnglora_cert_def_1_signer", "g_tnglora_cert_def_4_device"),
}


def trust_part(kind: str, *, root: Key | None = None, signer: Key = SIGNER) -> Memory:
    """Return the memory of a locked part with a chain of the kind: device, signer, and a root key that signs it."""
    memory = load_image(kind.split("-")[0]).make(SeededRandom(kind.encode()))
    for slot in (5, 8, 10, 11, 12):
        memory.write_slot(slot, 0, bytes(72))
    memory.write_slot(10 if kind == "tnglora-4" else 5, 0, b"0004A3FFFE123456"[: 16 if kind == "tnglora-4" else 12])
    signer_symbol, device_symbol = DEFINITIONS[kind]
    issuer, device = (Definition.in_dll(LIBRARY, symbol) for symbol in (signer_symbol, device_symbol))
    key_slot = device.public_key_dev_loc.slot
    key = private_key(memory, key_slot)
    _store(memory, issuer, signer.public, root or Key.of(1))
    _store(memory, device, key.public, signer)
    return memory


def private_key(memory: Memory, slot: int) -> Key:
    """Return the private key in a slot of a software chip."""
    scalar = MemorySlot(memory, slot).private_key()
    assert scalar is not None
    return Key(ec.derive_private_key(int.from_bytes(scalar), ec.SECP256R1()))


@contextmanager
def opened(memory: Memory) -> Iterator[Device]:
    """Open a device over a chip with that memory."""
    with Device(EmulatedHal(SoftwareChip(memory), "emulator:")) as device:
        yield device


def _store(memory: Memory, definition: Any, public_key: bytes, issuer: Key) -> None:
    found: Any = fields(definition)
    certificate = _certificate(memory, found, public_key, issuer)
    place = found["comp_cert_dev_loc"]
    memory.write_slot(place["slot"], place["offset"], compress(definition, certificate))
    place = found["public_key_dev_loc"]
    if not place["is_genkey"]:
        padded = bytes(4) + public_key[:32] + bytes(4) + public_key[32:]
        memory.write_slot(place["slot"], place["offset"], padded)


def _certificate(memory: Memory, definition: Any, public_key: bytes, issuer: Key) -> bytes:
    der = bytearray(definition["cert_template"])
    places = definition["std_cert_elements"]
    years = definition["expire_years"]
    dates = (21 << 19 | 3 << 15 | 4 << 10 | 5 << 5 | years).to_bytes(3)
    serial = bytearray(hashlib.sha256(public_key + dates).digest()[:16])
    serial[0] = serial[0] & 0x7F | 0x40
    end = BEGIN.replace(year=BEGIN.year + years)
    root_key = der[places[AUTH_KEY_ID]["offset"] :][:20]
    values = {
        PUBLIC_KEY: public_key,
        ISSUE_DATE: f"{BEGIN:%y%m%d%H%M%SZ}".encode(),
        EXPIRE_DATE: f"{end:%Y%m%d%H%M%SZ}".encode(),
        SIGNER_ID: _SIGNER_ID,
        CERT_SN: bytes(serial),
        SUBJ_KEY_ID: hashlib.sha1(b"\x04" + public_key).digest(),
        AUTH_KEY_ID: _key_id(issuer) if definition["template_id"] != 1 else root_key,
    }
    for element, value in values.items():
        der[places[element]["offset"] : places[element]["offset"] + len(value)] = value
    for extra in definition["cert_elements"]:
        _put_extra(memory, der, extra)
    return _signed(bytes(der), definition, issuer)


def _put_extra(memory: Memory, der: bytearray, extra: Any) -> None:
    source, target = extra["device_loc"], extra["cert_loc"]
    if source["zone"] == 0:
        data = bytes(memory.config[source["offset"] : source["offset"] + source["count"]]).hex().upper().encode()
    elif source["zone"] == 2:
        data = memory.read_slot(source["slot"], source["offset"], source["count"])
    else:
        return
    der[target["offset"] : target["offset"] + target["count"]] = data


def _signed(der: bytes, definition: Any, issuer: Key) -> bytes:
    place = definition["tbs_cert_loc"]
    content = der[place["offset"] : place["offset"] + place["count"]]
    signature = issuer.sign(hashlib.sha256(content).digest())
    encoded = utils.encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))
    start = definition["std_cert_elements"][SIGNATURE]["offset"]
    whole = der[:start] + bytes((3, len(encoded) + 1, 0)) + encoded
    return whole[:2] + (len(whole) - 4).to_bytes(2) + whole[4:]


def _key_id(key: Key) -> bytes:
    return hashlib.sha1(b"\x04" + key.public).digest()
