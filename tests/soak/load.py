"""Keep servers busy, and tell what they acknowledge: `python -m provisioning_server ... | python -m tests.soak.load`.

Stations ask for certificates of new chips, of chips that have one, and of a chip that another station asks for; they
send the report that a chip's certificate works. It needs little, since it also runs in a virtual machine.
"""

from __future__ import annotations

import hashlib
import os
import re
import selectors
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, TextIO

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from atcaprov.certs.keys import raw_public_key, raw_signature
from atcaprov.errors import Code
from atcaprov.wire.connection import Closed, Connection, Role
from atcaprov.wire.fields import ReportedStage
from atcaprov.wire.messages import (
    AnyMessage,
    CertificatesReply,
    CertificatesRequest,
    ErrorReply,
    ReportReply,
    ReportRequest,
)
from tests.soak.acknowledged import Acknowledgement, chip_key
from tests.support.numbered_chips import chip_serial, config_zone

Address = tuple[str, int]
PATIENCE: Final = 60.0
_AGAIN_SHARE: Final = 0.1
_RACE_SHARE: Final = 0.1
_REPORT_SHARE: Final = 0.7
_PROOF_TEXT: Final = b"atcaprov proof of possession 1\n"
"""What the chip signs begins with it (docs/reference/wire-protocol.md)."""
_LISTENING: Final = re.compile(r"Server listening on (.+):(\d+)\.")
_READY: Final = "ready."


@dataclass
class Station:
    """One connection; asks for one chip at a time."""

    address: Address
    socket: socket.socket
    connection: Connection = field(default_factory=lambda: Connection(Role.CLIENT))
    number: int = 0
    certificate: str = ""
    """The SHA-256 of the certificate that a report is open for."""
    after_failure: bool = False
    """Whether its request went out when its server had said that its ledger failed."""


@dataclass
class Load:
    """Stations on the addresses of servers, in turn. `told` gets each acknowledgement before the next request goes out.

    `signer` is the signer's public key (X||Y); chips have the numbers from `first` on.
    """

    addresses: Sequence[Address]
    signer: bytes
    told: Callable[[Acknowledgement], None]
    random: Random
    first: int = 1
    stations: int = 8
    refused: Counter[str] = field(default_factory=Counter)
    """How often each code of an error was replied."""
    certificates: dict[int, str] = field(default_factory=dict)
    """What chips have got, also before; they are asked for again."""
    asked: int = 0
    issued_after_failure: int = 0
    """Certificates for which a server was asked after it had said that its ledger failed."""

    def __post_init__(self) -> None:
        self._next = self.first
        self._selector = selectors.DefaultSelector()
        self._asking: list[Station] = []
        self._failed: set[Address] = set()

    def run(self, requests: int | None = None) -> None:
        """Ask until the servers have closed all connections, or so many requests are answered.

        Raises:
            AssertionError: a chip got two certificates, or a server is silent.
        """
        with self._selector:
            for place in range(self.stations if self.addresses else 0):
                self._open(self.addresses[place % len(self.addresses)], requests)
            while self._asking:
                ready = self._selector.select(PATIENCE)
                assert ready, "the server is silent"
                for key, _ in ready:
                    self._receive(key.data, requests)

    @property
    def next_number(self) -> int:
        """Return the first number that no chip has had."""
        return self._next

    def _open(self, address: Address, requests: int | None) -> None:
        try:
            station = Station(address, socket.create_connection(address, timeout=PATIENCE))
        except OSError:
            return
        self._selector.register(station.socket, selectors.EVENT_READ, station)
        self._asking.append(station)
        self._ask(station, requests)

    def _ask(self, station: Station, requests: int | None) -> None:
        if requests is not None and self.asked >= requests:
            self._close(station)
            return
        self.asked += 1
        station.number = self._choose()
        station.after_failure = station.address in self._failed
        key = raw_public_key(chip_key(station.number).public_key())
        self._send(station, CertificatesRequest(config_zone(station.number), key, self.signer))

    def _send(self, station: Station, message: AnyMessage) -> None:
        try:
            station.socket.sendall(station.connection.send(message))
        except OSError:
            self._close(station)

    def _choose(self) -> int:
        """Return the chip to ask for: one that has its certificate, one that another station asks for, or a new one."""
        chance = self.random.random()
        if chance < _AGAIN_SHARE and self.certificates:
            return self.random.choice(list(self.certificates))
        if chance > 1 - _RACE_SHARE and (others := [each.number for each in self._asking if each.number]):
            return self.random.choice(others)
        self._next += 1
        return self._next - 1

    def _receive(self, station: Station, requests: int | None) -> None:
        try:
            data = station.socket.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._close(station)
            return
        station.connection.receive_data(data)
        reply = station.connection.next_event()
        if reply is None or isinstance(reply, Closed):
            return
        if isinstance(reply, CertificatesReply):
            self._take_certificate(station, reply)
            if reply.challenge and self.random.random() < _REPORT_SHARE:
                self._send(station, _report(station, reply))
                return
        elif isinstance(reply, ReportReply):
            checkpoint = reply.checkpoint.decode("utf-8")
            self.told(Acknowledgement(station.number, station.certificate, reply.proven, checkpoint))
        else:
            assert isinstance(reply, ErrorReply)
            self.refused[reply.code] += 1
            if reply.code == Code.RECORDS_FAILED:
                self._failed.add(station.address)
        self._ask(station, requests)

    def _take_certificate(self, station: Station, reply: CertificatesReply) -> None:
        self.issued_after_failure += station.after_failure
        station.certificate = hashlib.sha256(reply.device_certificate).hexdigest()
        self.told(Acknowledgement(station.number, station.certificate))
        known = self.certificates.setdefault(station.number, station.certificate)
        assert known == station.certificate, f"chip {station.number} got two certificates"

    def _close(self, station: Station) -> None:
        self._selector.unregister(station.socket)
        self._asking.remove(station)
        station.socket.close()


def _report(station: Station, reply: CertificatesReply) -> ReportRequest:
    """Return the report of a good board, with the proof that its chip has the key."""
    certificate = bytes.fromhex(station.certificate)
    contents = hashlib.sha256(reply.device_compressed + reply.signer_compressed).digest()
    signed = chip_key(station.number).sign(
        _PROOF_TEXT + reply.challenge + certificate + contents, ec.ECDSA(hashes.SHA256())
    )
    return ReportRequest(
        chip_serial=chip_serial(station.number),
        certificate_sha256=certificate,
        challenge=reply.challenge,
        fate="good",
        stages=(ReportedStage(10, "done", 250),),
        finished=int(time.time()),
        signature=raw_signature(signed),
        contents_sha256=contents,
    )


def wait_until_ready(lines: Iterable[str], echo: TextIO) -> Address:
    """Read the console of a server until it can issue; return where it listens.

    Raises:
        AssertionError: it ended before.
    """
    address: Address | None = None
    ready = False
    for line in lines:
        print(line, end="", file=echo, flush=True)
        if found := _LISTENING.search(line):
            address = found[1], int(found[2])
        ready = ready or _READY in line
        if address is not None and ready:
            return address
    raise AssertionError("the server has ended")


def main(signer_key: Path, port: Path, seed: int, first: int) -> None:
    """Load the server whose console comes on stdin; the acknowledgements go to `port`, a line each."""
    address = wait_until_ready(sys.stdin, sys.stderr)
    threading.Thread(target=lambda: sys.stderr.writelines(sys.stdin), daemon=True).start()
    told = os.open(port, os.O_WRONLY)
    signer = signer_key.read_bytes()
    Load([address], signer, lambda each: _write(told, each.line()), Random(seed), first).run()


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
