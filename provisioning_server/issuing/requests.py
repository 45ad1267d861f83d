"""Requests with the addresses that sent them, on their way through the server, and their replies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from atcaprov.errors import AtcaProvError
from atcaprov.log import LogEvent, log_event
from atcaprov.wire.messages import (
    CertificatesReply,
    CertificatesRequest,
    EnrolReply,
    EnrolRequest,
    ErrorReply,
    ReportReply,
    ReportRequest,
    SignerReply,
    SignerRequest,
)
from provisioning_server.issuing.signing_queue import SignerEvent
from provisioning_server.ledger.administer import Decide, Written
from provisioning_server.ledger.administration import CrlIssued
from provisioning_server.ledger.changes import NO_CERTIFICATE, Intent
from provisioning_server.log_names import asker_text

Request = CertificatesRequest | SignerRequest | ReportRequest | EnrolRequest
SignersRequest = CertificatesRequest | SignerRequest
"""A request that names the signer that is to answer it."""
Reply = CertificatesReply | SignerReply | ReportReply | EnrolReply | ErrorReply
Deliver = Callable[[Reply], None]
Delivery = tuple[Callable[[Any], None], Any]
"""What takes a reply, or the outcome of an administration, and that."""


def _ignore(_: Reply) -> None:
    pass


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """A request, the address that sent it, such as `127.0.0.1:40312`, and what takes the reply.

    `station` is the name that its certificate was admitted under; empty on a connection without one.
    """

    request: Request
    client: str = ""
    deliver: Deliver = field(default=_ignore, compare=False)
    station: str = ""

    @property
    def request_id(self) -> bytes:
        """Return the id (16 bytes) of the board's run; no bytes if the client gave none."""
        return b"" if isinstance(self.request, EnrolRequest) else self.request.request_id

    def event(self, name: str, text: str, **fields: str | bytes) -> LogEvent:
        """Return a line of the log about this request: its parts name the request, who asked, and `fields`."""
        return log_event(
            name, text, request_id=self.request_id.hex(), station=self.station, client=self.client, **fields
        )

    @property
    def asker(self) -> str:
        """Return who asked, for log lines: `line-3 at 127.0.0.1:40312`, or the address alone."""
        return asker_text(self.client, self.station)


@dataclass(frozen=True, slots=True)
class AdministrationOutcome:
    """What became of an administration: the entry of each of its events, or why there is none."""

    written: Written = ()
    error: AtcaProvError | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Administration:
    """What a person decides about stations, work orders and certificates, to be written in the next step.

    `decide` is called in that step, by the only thread that writes; `deliver` gets the outcome.
    """

    decide: Decide
    deliver: Callable[[AdministrationOutcome], None]


@dataclass(frozen=True, slots=True)
class CrlOutcome:
    """What became of an order for a list of revoked certificates: the list, or why there is none."""

    issued: CrlIssued | None = None
    error: AtcaProvError | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CrlOrder:
    """The signer with this serial number (9 bytes) is to sign its next list; `deliver` gets the outcome.

    `by` names who wants it, for the log.
    """

    signer_serial: bytes
    deliver: Callable[[CrlOutcome], None]
    by: str = ""


Item = ClientRequest | SignerEvent | Administration | CrlOrder


@dataclass(slots=True, eq=False)
class Application:
    """A request for a certificate, until it has its reply.

    `last_index` is the log index of the chip's newest certificate when it was decided last; `intent` is the open one;
    `refusals` counts how often another server was faster.
    """

    asked: ClientRequest
    request: CertificatesRequest
    chip_serial: bytes
    last_index: int = NO_CERTIFICATE
    intent: Intent | None = None
    refusals: int = 0
