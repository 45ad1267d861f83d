"""The station CA and the server's certificate: made at first need, whole after a cut, renewed in time."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from atcaprov import UsageError
from provisioning_server.stations.certificates import server_names
from provisioning_server.stations.server_tls import ServerTls
from provisioning_server.stations.station_ca import StationCa
from tests.support.server_parts import RememberingLog
from tests.support.stations import new_key

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def _tls(data: Path, *names: str, clock: Clock | None = None, log: RememberingLog | None = None) -> ServerTls:
    return ServerTls(
        data, StationCa.open(data, NOW), names or ("line.example",), clock or Clock(), log or RememberingLog()
    )


def _served(data: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificates((data / "stations" / "server.pem").read_bytes())[0]


def test_station_ca_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    assert not StationCa.is_in(tmp_path)
    first, again = StationCa.open(tmp_path, NOW), StationCa.open(tmp_path, NOW + DAY)
    assert first.certificate == again.certificate
    assert first.sha256.hex() in repr(first)
    assert (tmp_path / "stations" / "station-ca.pem").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "stations").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "damage",
    [b"", b"garbage", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"],
)
def test_damaged_station_ca_is_never_replaced(tmp_path: Path, damage: bytes) -> None:
    StationCa.open(tmp_path, NOW)
    path = tmp_path / "stations" / "station-ca.pem"
    path.write_bytes(damage)
    with pytest.raises(UsageError) as caught:
        StationCa.open(tmp_path, NOW)
    assert caught.value.code == "key-file-invalid"
    assert path.read_bytes() == damage


def test_station_ca_with_the_key_of_another_is_refused(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        StationCa.open(tmp_path / name, NOW)
    one, other = ((tmp_path / name / "stations" / "station-ca.pem").read_bytes() for name in "ab")
    begin = b"-----BEGIN CERTIFICATE"
    mixed = one.partition(begin)[0] + begin + other.partition(begin)[2]
    (tmp_path / "a" / "stations" / "station-ca.pem").write_bytes(mixed)
    with pytest.raises(UsageError, match="not that of its certificate"):
        StationCa.open(tmp_path / "a", NOW)


@pytest.mark.parametrize(
    ("purpose", "good"),
    [("sslclient", (True, False)), ("sslserver", (False, True)), ("crlsign", (False, False))],
)
def test_openssl_takes_each_certificate_for_its_purpose_only(
    tmp_path: Path, purpose: str, good: tuple[bool, bool]
) -> None:
    ca = StationCa.open(tmp_path, datetime.now(UTC))
    key = new_key().public_key()
    files = {
        "station": ca.certify_station("line-1", key, datetime.now(UTC)),
        "server": ca.certify_server(["localhost", "::1"], key, datetime.now(UTC)),
    }
    found = []
    for name, certificate in files.items():
        path = tmp_path / f"{name}.der"
        path.write_bytes(certificate)
        trusted = str(tmp_path / "stations" / "station-ca.pem")
        command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", trusted, str(path)]
        found.append(subprocess.run(command, capture_output=True).returncode == 0)
    assert tuple(found) == good


def test_certificate_of_the_server_is_kept_and_made_again_for_other_names(tmp_path: Path) -> None:
    _tls(tmp_path, "line.example", "10.0.0.1")
    first = _served(tmp_path)
    assert server_names(first) == ["line.example", "10.0.0.1"]
    _tls(tmp_path, "10.0.0.1", "line.example")
    assert _served(tmp_path) == first
    _tls(tmp_path, "other.example")
    assert server_names(_served(tmp_path)) == ["other.example"]


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_damaged_or_foreign_certificate_of_the_server_is_replaced(tmp_path: Path, damage: bytes | None) -> None:
    _tls(tmp_path)
    path = tmp_path / "stations" / "server.pem"
    if damage is None:
        (tmp_path / "other").mkdir()
        _tls(tmp_path / "other")
        damage = (tmp_path / "other" / "stations" / "server.pem").read_bytes()
    path.write_bytes(damage)
    _tls(tmp_path)
    assert StationCa.open(tmp_path, NOW).has_issued(_served(tmp_path))


def test_certificate_of_the_server_is_renewed_before_it_ends(tmp_path: Path) -> None:
    clock, log = Clock(), RememberingLog()
    tls = _tls(tmp_path, clock=clock, log=log)
    first, context = _served(tmp_path), tls.context()
    clock.now += 200 * DAY
    assert tls.context() is context
    clock.now += 60 * DAY
    assert tls.context() is not context
    assert _served(tmp_path).not_valid_after_utc - first.not_valid_after_utc == 260 * DAY
    assert "renewed" in log.lines[-1]


def test_clock_that_steps_back_gets_a_certificate_that_is_valid(tmp_path: Path) -> None:
    clock = Clock()
    tls = _tls(tmp_path, clock=clock)
    clock.now -= 30 * DAY
    tls.context()
    assert _served(tmp_path).not_valid_before_utc <= clock.now


def test_renewal_that_fails_keeps_the_old_certificate_and_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, log = Clock(), RememberingLog()
    tls = _tls(tmp_path, clock=clock, log=log)
    context = tls.context()
    clock.now += 300 * DAY

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("atcaprov.durable_files.replace", full)
        for _ in range(3):
            assert tls.context() is context
    assert [line for line in log.lines if "No space" in line] == log.lines[-1:], "it is said once"
    assert log.lines[-1] == f"warning: {tls.trouble}"
    clock.now += timedelta(minutes=11)
    assert tls.context() is not context
    assert tls.trouble == ""
