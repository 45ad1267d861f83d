"""Requests with the addresses that sent them, on their way through the server, and their replies."""

from __future__ import annotations

from dataclasses import dataclass

from atcaprov.wire.messages import (
    AnyRequest,
    CertificatesReply,
    CertificatesRequest,
    ErrorReply,
    ReportReply,
    SignerReply,
    SignerRequest,
)
from provisioning_server.issuing.signing_queue import Signed

Request = AnyRequest
SignersRequest = CertificatesRequest | SignerRequest
"""A request that names the signer that is to answer it."""
Reply = CertificatesReply | SignerReply | ReportReply | ErrorReply


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """A request and the address that sent it, such as `127.0.0.1:40312`."""

    request: Request
    client: str = ""


Item = ClientRequest | Signed


class PendingReply:
    """A request that waits for a slow signer; `reply` is set when its reply has come."""

    __slots__ = ("asked", "reply", "request")

    def __init__(self, asked: ClientRequest, request: CertificatesRequest) -> None:
        self.asked = asked
        self.request = request
        self.reply: Reply | None = None
