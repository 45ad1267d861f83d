"""Keys as JSON Web Key: read, or named for what they are instead. The first is the example of RFC 7515, A.3.1."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Code, UsageError
from atcaprov.certs.key_files.private_key import key_is_encrypted, read_private_key
from atcaprov.certs.key_files.public_key import read_public_key
from atcaprov.certs.keys import raw_public_key

JWK = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
}
X = "7fcdce2770f6c45d4183cbee6fdb4b7b580733357be9ef13bacf6e3c7bd15445"


def refused(data: bytes) -> str:
    for read in (lambda: read_private_key(data, None, "some.jwk"), lambda: key_is_encrypted(data, "some.jwk")):
        with pytest.raises(UsageError) as caught:
            read()
        assert caught.value.code == Code.KEY_FILE_INVALID
    return caught.value.what


def test_a_jwk_is_read() -> None:
    data = json.dumps(JWK, indent=2).encode()
    assert not key_is_encrypted(data, "x")
    assert raw_public_key(read_private_key(data, None, "x").public_key())[:32].hex() == X


@pytest.mark.parametrize("members", [JWK, {name: value for name, value in JWK.items() if name != "d"}])
def test_a_public_key_is_read_from_a_jwk_and_a_set_of_one(members: dict[str, str]) -> None:
    for document in (members, {"keys": [members]}):
        assert read_public_key(json.dumps(document).encode(), "x")[:32].hex() == X


def test_a_point_that_is_not_on_the_curve_is_refused() -> None:
    with pytest.raises(UsageError, match="not a point on P-256"):
        read_public_key(json.dumps(JWK | {"x": JWK["y"]}).encode(), "x")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"kty": "RSA"}, "of the kind RSA"),
        ({"crv": "P-384"}, "on the curve P-384"),
        ({"crv": None}, "on the curve None"),
        ({"d": None}, "its member d is missing"),
        ({"d": "!"}, "its member d is not in Base64url"),
        ({"d": "AAAA"}, "its member d has 3 bytes"),
        ({"d": "A" * 43}, "its member d is not a private key"),
        ({"x": JWK["y"]}, "do not belong together"),
        ({"y": 7}, "its member y is missing or not text"),
    ],
)
def test_other_keys_are_named_in_the_error(changed: dict[str, object], says: str) -> None:
    message = refused(json.dumps(JWK | changed).encode())
    assert says in message
    assert JWK["d"] not in message


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (json.dumps({name: value for name, value in JWK.items() if name != "d"}).encode(), "holds a public key"),
        (b'{"keys": []}', "it has no member kty"),
        (json.dumps({"keys": [JWK, JWK]}).encode(), "a set of 2 keys"),
        (b"{" * 5000, "is damaged JSON"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "JSON"),
        (b'{"kty": ' + b"9" * 5000 + b"}", "JSON"),
    ],
)
def test_other_json_is_named_in_the_error(data: bytes, says: str) -> None:
    assert says in refused(data)


@given(st.binary(max_size=200))
def test_garbage(garbage: bytes) -> None:
    refused(b"{" + garbage)
