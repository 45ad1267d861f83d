"""Which servers are asked, and whether over TLS: plain connections stay on this computer unless that is insisted on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from atcaprov import Code, UsageError
from atcaprov.provisioning import server_access
from atcaprov.provisioning.server_access import OWN_SERVER, ServerAccess
from atcaprov.wire.server_place import ServerPlace
from tests.support.stations import example_ca


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the user's folder for the station, which does not exist."""
    path = tmp_path / "station"
    monkeypatch.setattr(server_access, "default_station_folder", lambda: path)
    return path


PLACES = (ServerPlace("ca1.example", 11235), ServerPlace("ca2.example", 1))


def enrolled(folder: Path, places: Sequence[ServerPlace] = PLACES) -> Path:
    return example_ca().enrolled(folder, servers=places).folder


@pytest.mark.parametrize("own", ["localhost", "127.0.0.1", "127.9.9.9:1", "[::1]:5"])
def test_own_servers_are_asked_in_plain(folder: Path, own: str) -> None:
    assert ServerAccess.by([own]).station is None
    enrolled(folder)
    assert ServerAccess.by([own, "localhost:7"]).station is None


def test_without_a_name_the_servers_of_the_enrolment_are_asked(folder: Path) -> None:
    assert ServerAccess.by([]) == ((OWN_SERVER,), None)
    enrolled(folder)
    assert ServerAccess.by([]) == (("ca1.example:11235", "ca2.example:1"), folder)


def test_server_of_the_enrolment_is_asked_over_tls_on_this_computer_too(folder: Path) -> None:
    enrolled(folder, [ServerPlace("localhost", 7)])
    assert ServerAccess.by([]) == (("localhost:7",), folder)
    assert ServerAccess.by([], plain_network=True) == ((OWN_SERVER,), None)


def test_enrolment_without_servers_leaves_the_own_one(folder: Path) -> None:
    enrolled(folder, [])
    assert ServerAccess.by([]) == ((OWN_SERVER,), None)


@pytest.mark.parametrize("other", ["ca1.example", "192.0.2.7", "localhost.example", "[2001:db8::1]:11235"])
def test_other_computers_are_asked_over_tls_only(folder: Path, other: str) -> None:
    with pytest.raises(UsageError, match="over TLS only") as refused:
        ServerAccess.by(["localhost", other])
    assert refused.value.code == Code.STATION_NOT_ENROLLED
    assert ServerAccess.by([other], plain_network=True).station is None
    enrolled(folder)
    assert ServerAccess.by(["localhost", other]).station == folder
    assert ServerAccess.by([other], plain_network=True).station is None


def test_named_folder_counts_for_own_servers_too(folder: Path, tmp_path: Path) -> None:
    other = enrolled(tmp_path / "other")
    assert ServerAccess.by(["localhost:7"], other) == (("localhost:7",), other)
    with pytest.raises(UsageError) as refused:
        ServerAccess.by(["localhost:7"], folder)
    assert refused.value.code == Code.STATION_NOT_ENROLLED
    with pytest.raises(UsageError, match="exclude each other"):
        ServerAccess.by([], other, plain_network=True)


@pytest.mark.parametrize("text", ["", "host:", "host:0", "host:65536", ":1", "a b", "::1", "http://host", "host:x"])
def test_malformed_server_is_refused(folder: Path, text: str) -> None:
    with pytest.raises(UsageError) as refused:
        ServerAccess.by([text])
    assert refused.value.code == Code.ADDRESS_FORM
