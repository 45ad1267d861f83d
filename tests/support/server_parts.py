"""Parts of a server for tests that need no sockets: requests of chips, a log that keeps its lines, records."""

from __future__ import annotations

import functools
from pathlib import Path

from atcaprov.wire.messages import CertificatesRequest
from provisioning_server.issuing.requests import ClientRequest, Request
from provisioning_server.records.file_records import FileRecords
from tests.support.in_memory_signer import MemorySigner, SigningKey
from tests.support.numbered_chips import chip_serial as chip_serial
from tests.support.numbered_chips import config_zone as config_zone

CHIP_KEY = SigningKey().public_key
OTHER_KEY = SigningKey().public_key


@functools.cache
def key_of(number: int) -> bytes:
    """Return the key of a chip: each has its own; that of the first is CHIP_KEY."""
    return CHIP_KEY if number == 1 else SigningKey().public_key


def request(
    signer: MemorySigner,
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


def open_records(data: Path, name: str = "signing-1.tsv") -> FileRecords:
    (data / "logs").mkdir(parents=True, exist_ok=True)
    return FileRecords(data, data / "logs" / name)
