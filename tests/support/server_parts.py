"""Parts of a server for tests that need no sockets: requests of chips, a log that keeps its lines."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

from atcaprov.wire.messages import CHALLENGE_SIZE, CertificatesReply, CertificatesRequest
from provisioning_server.issuing.authority import Authority
from provisioning_server.issuing.requests import ClientRequest, Delivery, Item, Reply, Request
from provisioning_server.issuing.signing_queue import SignerEvent
from provisioning_server.signers.signer import Signer
from tests.support.in_memory_signer import SigningKey
from tests.support.numbered_chips import chip_serial as chip_serial
from tests.support.numbered_chips import config_zone as config_zone

CHIP_KEY = SigningKey().public_key
OTHER_KEY = SigningKey().public_key


@functools.cache
def key_of(number: int) -> bytes:
    """Return the key of a chip: each has its own; that of the first is CHIP_KEY."""
    return CHIP_KEY if number == 1 else SigningKey().public_key


def request(
    signer: Signer,
    number: int = 1,
    *,
    key: bytes | None = None,
    existing_only: bool = False,
    any_of_group: bool = False,
) -> CertificatesRequest:
    named = signer.documents.signer_public_key
    return CertificatesRequest(config_zone(number), key or key_of(number), named, existing_only, any_of_group)


def asked(*requests: Request, client: str = "") -> list[ClientRequest]:
    """Return a batch of requests, all of one client."""
    return [ClientRequest(each, client) for each in requests]


class RememberingLog:
    """Stand for the program log and keep its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.prompts: list[str] = []

    def info(self, text: str) -> None:
        self.lines.append(f"info: {text}")

    def warning(self, text: str) -> None:
        self.lines.append(f"warning: {text}")

    def error(self, text: str) -> None:
        self.lines.append(f"error: {text}")

    def ask(self, prompt: str) -> None:
        self.prompts.append(prompt)

    def answered(self) -> None:
        self.prompts.append("answered")


def answer(authority: Authority, items: Sequence[ClientRequest | SignerEvent]) -> list[Reply | None]:
    """Return the replies to a batch, in its order, after as many steps as they need; None while a slow signer signs.

    Certificates come without their challenge, which is another one each time.
    """
    replies: list[Reply | None] = [None] * len(items)

    def put(number: int, reply: Reply) -> None:
        assert replies[number] is None, "a second reply"
        replies[number] = without_challenge(reply) if isinstance(reply, CertificatesReply) else reply

    given = [
        replace(item, deliver=functools.partial(put, number)) if isinstance(item, ClientRequest) else item
        for number, item in enumerate(items)
    ]
    step(authority, given)
    while authority.waits is not None:
        step(authority, [])
    return replies


def without_challenge(reply: CertificatesReply) -> CertificatesReply:
    """Return a reply as it is each time that it is sent; its challenge is always another one."""
    assert len(reply.challenge) == CHALLENGE_SIZE
    return replace(reply, challenge=b"")


def step(authority: Authority, items: Sequence[Item]) -> None:
    """Let an authority take a step, and deliver what is due."""
    authority.step(items, _deliver)


def _deliver(deliveries: list[Delivery]) -> None:
    for deliver, reply in deliveries:
        deliver(reply)
