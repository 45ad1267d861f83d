from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import UsageError
from atcaprov.web.address import WebAddress


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("8080", "127.0.0.1", 8080),
        ("0", "127.0.0.1", 0),
        ("localhost:80", "localhost", 80),
        ("127.0.0.2:65535", "127.0.0.2", 65535),
        ("[::1]:8080", "::1", 8080),
    ],
)
def test_places_on_this_computer(text: str, host: str, port: int) -> None:
    assert WebAddress.parse(text) == WebAddress(host, port)


@pytest.mark.parametrize(
    "text", ["", ":", ":80", "host:", "65536", "-1", "a:b", "::1:80", "[::1]", "[::1]80", "8o", "١٢", "http://a:1"]
)
def test_text_that_is_not_an_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not an address"):
        WebAddress.parse(text)


@pytest.mark.parametrize("text", ["0.0.0.0:80", "[::]:80", "192.0.2.1:80", "line.example:80"])
def test_other_computers_reach_it_only_with_a_certificate(text: str) -> None:
    with pytest.raises(UsageError, match="--web-cert") as caught:
        WebAddress.parse(text)
    assert "everyone" in caught.value.what
    assert WebAddress.parse(text, Path("cert.pem"), Path("key.pem")).tls


@pytest.mark.parametrize(("certificate", "key"), [(Path("cert.pem"), None), (None, Path("key.pem"))])
def test_a_certificate_goes_with_its_key(certificate: Path | None, key: Path | None) -> None:
    with pytest.raises(UsageError, match="--web-key"):
        WebAddress.parse("80", certificate, key)


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_a_typed_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert 0 <= WebAddress.parse(text).port <= 65535
