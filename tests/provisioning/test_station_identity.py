"""The folder of a station: what is read from it, and that it is whole or missing."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from atcaprov import UsageError
from atcaprov.provisioning.station_identity import StationIdentity, is_enrolled, write_identity
from atcaprov.wire.server_place import ServerPlace
from tests.support.stations import ExampleStationCa, key_pem, new_key

CA = ExampleStationCa()


def test_enrolled_station_knows_its_name_servers_and_ca(tmp_path: Path) -> None:
    station = CA.enrolled(tmp_path / "a", "line-1", [ServerPlace("10.0.0.1", 11235), ServerPlace("::1", 5)])
    assert station.name == "line-1"
    assert station.ca_certificate == CA.der
    assert [*map(str, station.servers)] == ["10.0.0.1:11235", "[::1]:5"]
    assert station.not_before < station.not_after
    assert (tmp_path / "a" / "station.pem").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700
    station.tls_context()


def test_folder_without_a_certificate_is_not_enrolled(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        StationIdentity.load(tmp_path)
    assert caught.value.code == "station-not-enrolled"


def test_key_that_others_may_read_is_refused_until_the_advice_is_followed(tmp_path: Path) -> None:
    CA.enrolled(tmp_path)
    (tmp_path / "station.pem").chmod(0o644)
    with pytest.raises(UsageError) as caught:
        StationIdentity.load(tmp_path)
    assert caught.value.code == "key-exposed"
    command = ["chmod", "600", str(tmp_path / "station.pem")]
    assert caught.value.advice.endswith(f"Then run: {shlex.join(command)}")
    subprocess.run(command, check=True)
    assert StationIdentity.load(tmp_path).name == "line-1"


@pytest.mark.parametrize("file", ["station.pem", "station-ca.pem", "servers.txt"])
@pytest.mark.parametrize("content", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\n", b"\xff" * 2000])
def test_damaged_file_ends_in_one_typed_error(tmp_path: Path, file: str, content: bytes) -> None:
    CA.enrolled(tmp_path, servers=[ServerPlace("a", 1)])
    (tmp_path / file).write_bytes(content)
    if (file, content) == ("servers.txt", b""):
        assert StationIdentity.load(tmp_path).servers == ()
        return
    with pytest.raises(UsageError) as caught:
        StationIdentity.load(tmp_path).tls_context()
    assert caught.value.code in {"file-invalid", "address-form"}


def test_certificate_of_another_key_is_refused(tmp_path: Path) -> None:
    station = CA.enrolled(tmp_path)
    write_identity(tmp_path, key=key_pem(new_key()), certificate=station.certificate, ca_certificate=CA.der, servers=())
    with pytest.raises(UsageError) as caught:
        StationIdentity.load(tmp_path).tls_context()
    assert caught.value.code == "file-invalid"


def test_identity_is_enrolled_only_when_its_last_file_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CutError(Exception):
        pass

    def cut(self: Path, target: Path) -> None:
        if target.name == "station.pem":
            raise CutError
        rename(self, target)

    rename = Path.replace
    monkeypatch.setattr(Path, "replace", cut)
    with pytest.raises(CutError):
        CA.enrolled(tmp_path)
    assert not is_enrolled(tmp_path)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("line-1.example:11235", ("line-1.example", 11235)),
        ("10.0.0.1", ("10.0.0.1", 7)),
        ("[fe80::1%eth0]:65535", ("fe80::1%eth0", 65535)),
        ("[::1]", ("::1", 7)),
    ],
)
def test_server_place_is_read_and_written(text: str, place: tuple[str, int]) -> None:
    parsed = ServerPlace.parse(text, 7)
    assert parsed == place
    assert ServerPlace.parse(str(parsed)) == parsed


@pytest.mark.parametrize("text", ["", ":5", "a:", "a:0", "a:65536", "a:1_0", "::1:5", "[a]:5", "a b:5", "a:-1", "a"])
def test_what_is_not_a_server_place_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        ServerPlace.parse(text)
    assert caught.value.code == "address-form"
