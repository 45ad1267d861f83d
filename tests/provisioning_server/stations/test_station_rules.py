"""What is decided about enrolments: tokens in time, requests that are none, names that no station can have."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import AtcaProvError, ServerRejected
from atcaprov.wire.enrolment_token import token_hash
from provisioning_server.ledger.administer import administer
from provisioning_server.ledger.administration import StationInvited
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.stations.station_ca import StationCa
from provisioning_server.stations.station_rules import Admitting, requested_key, require_validity
from tests.support.in_memory_signer import NOW
from tests.support.ledgers import ledger_in
from tests.support.stations import new_key

SECRET = bytes(range(32))
HOUR = timedelta(hours=1)
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "line-1")])


def _request(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return x509.CertificateSigningRequestBuilder(NAME).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlLedger]:
    with contextlib.closing(ledger_in(tmp_path / "ledger")) as opened:
        invited = StationInvited(NOW, "line-1", token_hash(SECRET), NOW + HOUR, "console")
        administer(opened, lambda _: [invited])
        yield opened


@pytest.mark.parametrize(
    ("after", "code"),
    [
        (timedelta(0), ""),
        (HOUR - timedelta(seconds=1), ""),
        (HOUR, "token-expired"),
        (365 * 24 * HOUR, "token-expired"),
        (-24 * HOUR, ""),
    ],
)
def test_token_is_good_until_its_end_however_the_clock_steps(
    ledger: SqlLedger, tmp_path: Path, after: timedelta, code: str
) -> None:
    ca = StationCa.open(tmp_path, NOW)
    admitting = Admitting(ca, new_key().public_key(), NOW + after, "192.0.2.7:40001")
    if code:
        with pytest.raises(ServerRejected) as caught:
            admitting.with_token(ledger.administered, token_hash(SECRET))
        assert caught.value.code == code
    else:
        (admitted,) = admitting.with_token(ledger.administered, token_hash(SECRET))
        assert (admitted.station, admitted.certificate) == ("line-1", admitting.certificate)


def test_expired_token_still_gives_its_certificate_to_the_key_that_used_it(ledger: SqlLedger, tmp_path: Path) -> None:
    """The answer was lost, and the operator comes back after the weekend."""
    ca, key = StationCa.open(tmp_path, NOW), new_key().public_key()
    first = Admitting(ca, key, NOW, "192.0.2.7:40001")
    administer(ledger, lambda opened: first.with_token(opened.administered, token_hash(SECRET)))
    again = Admitting(ca, key, NOW + 60 * HOUR, "192.0.2.7:40002")
    assert again.with_token(ledger.administered, token_hash(SECRET)) == ()
    assert again.certificate == first.certificate


def test_request_of_a_key_on_p_256_is_taken() -> None:
    key = new_key()
    assert requested_key(_request(key)) == key.public_key()


@pytest.mark.parametrize(
    "request_of_another",
    [
        pytest.param(_request(ec.generate_private_key(ec.SECP384R1())), id="P-384"),
        pytest.param(_request(rsa.generate_private_key(65537, 2048)), id="RSA"),
        pytest.param(
            x509.CertificateSigningRequestBuilder(NAME)
            .sign(ed25519.Ed25519PrivateKey.generate(), None)
            .public_bytes(Encoding.DER),
            id="Ed25519",
        ),
        pytest.param(b"\x30\x00", id="empty"),
    ],
)
def test_request_of_another_kind_is_refused(request_of_another: bytes) -> None:
    with pytest.raises(ServerRejected):
        requested_key(request_of_another)


GOOD = _request(new_key())


@given(st.binary(max_size=200) | st.integers(0, len(GOOD) - 1).map(lambda size: GOOD[:size]))
def test_garbage_is_refused_with_one_error(data: bytes) -> None:
    with pytest.raises(ServerRejected):
        requested_key(data)


@given(st.integers(0, len(GOOD) * 8 - 1))
def test_request_with_a_flipped_bit_is_refused(place: int) -> None:
    """Whoever has not got the key cannot ask for a certificate over it."""
    changed = bytearray(GOOD)
    changed[place // 8] ^= 1 << place % 8
    with pytest.raises(ServerRejected):
        requested_key(bytes(changed))


@pytest.mark.parametrize(("valid", "good"), [(0, False), (1, True), (30 * 86400, True), (30 * 86400 + 1, False)])
def test_token_is_valid_for_thirty_days_at_most(valid: int, good: bool) -> None:
    with contextlib.nullcontext() if good else pytest.raises(AtcaProvError):
        require_validity(timedelta(seconds=valid))
