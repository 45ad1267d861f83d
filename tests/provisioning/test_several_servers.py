"""Two real servers, on one ledger and on two: whatever is cut, no board ever gets two certificates."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from atcaprov import (
    AtcaProvError,
    Board,
    CertInfo,
    Code,
    Device,
    Profile,
    Provisioned,
    Provisioner,
    TcpClient,
    TransportError,
)
from atcaprov.chip.memory_map import serial_number
from atcaprov.hal.registry import open_hal
from provisioning_server.ledger.ledger_place import PostgresqlUrl
from provisioning_server.ledger.open_ledger import FILE_NAME
from tests.soak.checker import Contents
from tests.support.cut_links import Cut, Link, Scissors, links_to
from tests.support.postgresql import running_postgresql
from tests.support.server import running_server
from tests.support.signer_folders import make_signer_folder

pytestmark = pytest.mark.slow


class Client(TcpClient):
    """A client of links; it keeps its warnings, and a link that is away refuses its connections."""

    def __init__(self, links: list[Link]) -> None:
        self.links = {f"{host}:{port}": link for link, (host, port) in ((link, link.place) for link in links)}
        super().__init__(servers=list(self.links))
        self.warnings: list[AtcaProvError] = []

    def connect(self) -> None:
        if self.links[self.server].away:
            raise TransportError(f"No connection to {self.server}.", code=Code.SERVER_UNREACHABLE)
        super().connect()

    def warning(self, warning: AtcaProvError) -> None:
        self.warnings.append(warning)


@dataclass
class Line:
    """Two servers behind links, and what their ledgers have."""

    links: list[Link]
    cert_info: CertInfo
    ledgers: list[Path | str]

    def begin(self, scissors: Scissors | None = None) -> None:
        """Let both servers answer again; from now on these scissors cut."""
        for link in self.links:
            link.away, link.scissors = False, scissors or Scissors()

    def run(self, device: Device, away: int | None = None, profile: Profile | None = None) -> Provisioned:
        """Provision a chip with a new client; `away` is the server that is away, if one is."""
        if away is not None:
            self.links[away].away = True
        with closing(Client(self.links)) as client:
            return Provisioner(profile or Profile(), self.cert_info, client).provision(device, device.serial_number())

    def certificates(self, serial: bytes) -> int:
        """Return how many certificates of a chip the ledgers have, all together."""
        found = [Contents.of(ledger).certificates for ledger in self.ledgers]
        return sum(bytes(chip) == serial for each in found for _, chip, *_ in each)

    def open_chip(self) -> Device:
        return Device(open_hal("emulator:"))


@pytest.fixture(scope="module")
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def _line(stack: ExitStack, folder: Path, url: str | None) -> Line:
    signer = make_signer_folder(folder)
    data = [folder / "data-0", folder / "data-1"]
    servers = []
    for each in data:
        each.mkdir()
        if url is not None and each is data[1]:
            shutil.copy(data[0] / "log-key.pem", each)
        options = {} if url is None else {"ledger": PostgresqlUrl(url)}
        servers.append(stack.enter_context(running_server(signer.path, each, **options)))
    ledgers = [each / FILE_NAME for each in data] if url is None else [f"{url}&options=-csearch_path%3Datcaprov_ledger"]
    links = stack.enter_context(links_to(*servers))
    return Line(links, signer.cert_info(), [*ledgers])


@pytest.fixture(scope="module")
def two_ledgers(stack: ExitStack, tmp_path_factory: pytest.TempPathFactory) -> Line:
    return _line(stack, tmp_path_factory.mktemp("two"), None)


@pytest.fixture(scope="module")
def one_ledger(stack: ExitStack, tmp_path_factory: pytest.TempPathFactory) -> Line:
    postgresql = stack.enter_context(running_postgresql())
    return _line(stack, tmp_path_factory.mktemp("one"), postgresql.make_database("several"))


def _fate(run: Callable[[], object]) -> AtcaProvError | None:
    try:
        run()
    except AtcaProvError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("where", "for_good"),
    [(Cut.BEFORE, False), (Cut.WITHIN, True), (Cut.AFTER, True)],
)
@pytest.mark.parametrize("ledgers", ["one_ledger", "two_ledgers"])
def test_cut_at_any_message_never_gives_two_certificates(
    ledgers: str, where: Cut, for_good: bool, request: pytest.FixtureRequest
) -> None:
    """After the cut the board is good, or can be tried again; then the other server alone is asked, and both."""
    line: Line = request.getfixturevalue(ledgers)
    for at in count():
        with line.open_chip() as device:
            serial = serial_number(device.read_config())
            scissors = Scissors(at, where, for_good)
            line.begin(scissors)
            first = _fate(lambda device=device: line.run(device))  # type: ignore[misc]
            was_cut = scissors.passed > at
            assert first is None or first.board in (Board.RETRY, Board.UNTOUCHED), first
            assert line.certificates(serial) <= 1
            if first is None:
                assert line.certificates(serial) == 1
                if not was_cut:
                    break
                continue
            line.begin()
            alone = _fate(lambda device=device: line.run(device, away=0))  # type: ignore[misc]
            assert line.certificates(serial) <= 1
            if alone is not None:
                assert (alone.code, alone.board) == (Code.SERVER_AWAITED, Board.RETRY)
                assert ledgers == "two_ledgers"
            line.begin()
            line.run(device)
            assert line.certificates(serial) == 1
    assert at >= 4


def test_blank_board_goes_to_the_other_server(two_ledgers: Line) -> None:
    two_ledgers.begin()
    with two_ledgers.open_chip() as device, closing(Client(two_ledgers.links)) as client:
        two_ledgers.links[0].away = True
        provisioner = Provisioner(Profile(), two_ledgers.cert_info, client)
        provisioner.provision(device)
        (warning,) = client.warnings
        assert client.servers[1] in warning.advice
        assert client.server == client.servers[1]
