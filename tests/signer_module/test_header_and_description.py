"""What stands on a module is read strictly: whole, cut off, one bit flipped, garbage."""

from __future__ import annotations

import hashlib
import random
import string
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import CertificateError, Code, UsageError
from atcaprov.certs.descriptions.description import (
    CertificateDescription,
    default_description,
    default_text,
    description_document,
)
from atcaprov.certs.descriptions.subject import SubjectDescription
from signer_module.on_chip import description as packing
from signer_module.on_chip.description import known_root, pack_root, pack_signer, unpack_root, unpack_signer
from signer_module.on_chip.header import SIZE, ModuleHeader
from signer_module.on_chip.password_keys import PasswordScheme
from signer_module.on_chip.preset_dictionary import DICTIONARY_1
from signer_module.on_chip.quota import decode_limit, encode_limit, limit_for
from signer_module.on_files.root_folder import RootFolder
from signer_module.signer_description import SignerDocument
from tests.support.generated_dictionary import dictionary
from tests.support.random_units import _descriptions
from tests.support.signer_modules import root_folder

SCHEME = PasswordScheme(bytes(range(16)), 12)
HEAD = ModuleHeader.of("signer", SCHEME, b"description")
DICTIONARY = "ab7345d63b179f05a76781191e028dd85b43f4e6af8e8ace2c8d6265b49222e7"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> RootFolder:
    return root_folder(tmp_path_factory.mktemp("root") / "root")


def document(root: RootFolder, serial: bytes | None = None) -> SignerDocument:
    return SignerDocument(root.certificate, default_description("signer"), default_description("device"), 2026, serial)


def test_header_has_the_documented_bytes() -> None:
    packed = HEAD.pack()
    assert packed[:8] == b"ATSM\x02\x01\x0c\x00"
    assert packed[8:24] == bytes(range(16))
    assert packed[24:26] == b"\x00\x0b"
    assert packed[26:58] == hashlib.sha256(b"description").digest()
    assert packed[58:] == bytes(14)
    assert ModuleHeader.parse(packed) == HEAD


def test_damaged_header_is_refused() -> None:
    packed = HEAD.pack()
    for size in (*range(SIZE), SIZE + 1):
        with pytest.raises(CertificateError):
            ModuleHeader.parse(packed[:size].ljust(size, b"\0"))
    for bit in range(8 * SIZE):
        changed = bytearray(packed)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            found = ModuleHeader.parse(bytes(changed))
        except CertificateError as error:
            assert error.code == Code.MODULE_INVALID  # noqa: PT017
        else:
            assert found != HEAD


@given(st.binary(min_size=SIZE, max_size=SIZE))
def test_garbage_is_not_a_header(data: bytes) -> None:
    with pytest.raises(CertificateError):
        ModuleHeader.parse(data)


def test_description_has_the_digest_of_the_header() -> None:
    assert HEAD.description(b"description" + bytes(100)) == b"description"
    with pytest.raises(CertificateError):
        HEAD.description(b"descriptioN" + bytes(100))


def test_a_signers_document_comes_back(root: RootFolder) -> None:
    for serial in (None, bytes.fromhex("7f" * 20), bytes.fromhex("10" * 8)):
        written = document(root, serial)
        packed = pack_signer(written, root.public_key)
        assert unpack_signer(packed, root.public_key) == written
        assert len(packed) < 200


def with_uri(root: RootFolder, length: int) -> SignerDocument:
    source = random.Random(length)
    text = "".join(source.choice(string.ascii_letters) for _ in range(length))
    table = f"[subject_alt_name]\nuri = 'urn:{text}:{{chip_serial}}'\nhardware_module_type = '2.999.1'\n[slots]"
    device = CertificateDescription.from_toml(default_text("device").replace("[slots]", table))
    return replace(document(root), device=device)


def test_alternative_names_come_back(root: RootFolder) -> None:
    written = with_uri(root, 60)
    packed = pack_signer(written, root.public_key)
    assert unpack_signer(packed, root.public_key) == written
    assert len(packed) < 300


def test_alternative_names_without_room_on_a_module_are_named(root: RootFolder) -> None:
    source = random.Random(1)
    names = ["".join(chr(source.randrange(0x4E00, 0x9FFF)) for _ in range(64)) for _ in range(4)]
    keys = ("organization", "organizational_unit", "state", "locality")
    subject = SubjectDescription((*zip(keys, names, strict=True), ("common_name", "Signer {signer_id}")))
    long = with_uri(root, 170)
    long = replace(long, signer=replace(long.signer, subject=subject))
    with pytest.raises(UsageError, match=r"are needed, [12]\d\d of them for the device's subject_alt_name") as caught:
        pack_signer(long, root.public_key)
    assert caught.value.code == Code.DEFINITION_INVALID
    assert "Shorten subject_alt_name" in caught.value.advice


def test_distribution_points_without_room_on_a_module_are_named(root: RootFolder) -> None:
    source = random.Random(1)
    paths = ["".join(source.choice(string.ascii_letters) for _ in range(170)) for _ in range(4)]
    points = str([f"http://crl.example.com/{path}" for path in paths])
    text = default_text("device").replace("key_usage =", f"crl_distribution_points = {points}\nkey_usage =", 1)
    long = replace(with_uri(root, 170), device=CertificateDescription.from_toml(text))
    with pytest.raises(UsageError, match=r"are needed, \d+ of them for the device's crl_distribution_points") as caught:
        pack_signer(long, root.public_key)
    assert "Shorten crl_distribution_points or the names" in caught.value.advice


def test_damaged_document_or_one_of_another_root_is_refused(root: RootFolder) -> None:
    packed = pack_signer(document(root), root.public_key)
    for size in range(len(packed)):
        with pytest.raises(CertificateError):
            unpack_signer(packed[:size], root.public_key)
    with pytest.raises(CertificateError):
        unpack_signer(packed + b"\0", root.public_key)
    for bit in range(0, 8 * len(packed), 3):
        changed = bytearray(packed)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            found = unpack_signer(bytes(changed), root.public_key)
        except CertificateError:
            continue
        assert found.definitions() == document(root).definitions() or found.root_certificate != root.certificate


@given(st.binary(max_size=64))
def test_garbage_is_not_a_document(data: bytes) -> None:
    for reading in (unpack_signer, unpack_root):
        with pytest.raises(CertificateError):
            reading(data, bytes(64))


@pytest.mark.slow
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=8) | st.binary(max_size=8),
        lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=12,
    )
)
def test_well_packed_garbage_is_not_a_document(contents: object) -> None:
    packed = packing.pack(contents, known_root(bytes(64)))
    with pytest.raises(CertificateError):
        unpack_signer(packed, bytes(64))


def test_a_root_comes_back(root: RootFolder) -> None:
    packed = pack_root(root.certificate, root.public_key)
    assert unpack_root(packed, root.public_key) == root.certificate


def test_random_descriptions_come_back(root: RootFolder) -> None:
    source = random.Random(4)
    for _ in range(50):
        for description in _descriptions(source):
            assert CertificateDescription.from_document(description_document(description)) == description


def test_the_dictionary_never_changes() -> None:
    """Modules that were made with it could not be read any more."""
    assert len(DICTIONARY_1) == 1268
    assert hashlib.sha256(DICTIONARY_1).hexdigest() == DICTIONARY
    assert dictionary() == DICTIONARY_1


def test_a_program_that_makes_other_definitions_refuses(root: RootFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = pack_signer(document(root), root.public_key)
    monkeypatch.setattr("atcaprov.certs.descriptions.template._CHIP_SERIAL_MARK", "00" * 9)
    with pytest.raises(CertificateError, match="other certificate definitions"):
        unpack_signer(packed, root.public_key)


@given(st.integers(1, 2_000_000), st.integers(0, 90_000))
def test_limits_are_multiples_of_32_and_never_too_low(quota: int, counter: int) -> None:
    limit = limit_for(quota, counter)
    assert limit % 32 == 0
    assert 0 <= limit - counter - quota < 32
    assert decode_limit(encode_limit(limit)) == (limit, None)
    assert decode_limit(encode_limit(limit, quota)) == (limit, quota)


def test_limit_of_a_module_of_an_older_version_has_zeros_behind_it() -> None:
    assert decode_limit((96).to_bytes(4, "little") * 2 + bytes(8)) == (96, None)


@pytest.mark.parametrize("place", [7, 15])
def test_damaged_limit_is_refused(place: int) -> None:
    stored = bytearray(encode_limit(128, 100))
    stored[place] ^= 1
    with pytest.raises(CertificateError, match="not stored twice"):
        decode_limit(bytes(stored))


def test_limit_below_its_quota_is_refused() -> None:
    with pytest.raises(CertificateError, match="limit is below it"):
        decode_limit(encode_limit(96, 97))


@pytest.mark.parametrize(("salt", "cost"), [(bytes(15), 10), (bytes(17), 10), (bytes(16), 0), (bytes(16), 21)])
def test_unknown_schemes_are_refused(salt: bytes, cost: int) -> None:
    with pytest.raises(UsageError):
        PasswordScheme(salt, cost)


def test_secrets_are_scrypt_of_password_and_salt() -> None:
    expected = Scrypt(salt=SCHEME.salt, length=64, n=1 << SCHEME.cost, r=8, p=1).derive(b"pleaseletmein")
    made = SCHEME.secrets(b"pleaseletmein", None)
    assert made.authorization + made.write_key == expected
    unset = SCHEME.secrets(None, None)
    whole = hashlib.sha512(b"atcaprov signer module, no password set" + SCHEME.salt).digest()
    assert unset.authorization + unset.write_key == whole
