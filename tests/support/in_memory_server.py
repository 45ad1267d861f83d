"""A Provisioning Server without sockets. A test can replace each of its answers."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov import AtcaProvError, CertInfo, Code, DataZoneWriter, Stage, StageStatus, TransportError, UserFunctions
from atcaprov.certs.descriptions.description import CertificateDescription, default_description
from atcaprov.certs.descriptions.template import device_definition, signer_definition
from atcaprov.certs.issue import IssuedCertificate, issue
from atcaprov.certs.keys import raw_public_key, raw_signature
from atcaprov.certs.rebuild import slot_contents
from atcaprov.chip.memory_map import serial_number
from atcaprov.wire.connection import Connection, Role
from atcaprov.wire.fields import SlotWrite
from atcaprov.wire.messages import (
    AnyMessage,
    AnyRequest,
    CertificatesReply,
    CertificatesRequest,
    ErrorReply,
    ReportReply,
    ReportRequest,
    SignerReply,
    SignerRequest,
)

SIGNER_ID = bytes.fromhex("0034")


class MemoryCa:
    """A root and one signer, with the default certificate descriptions.

    `private_key` is the slot of the device key, `description` that of the device's certificate.
    """

    def __init__(self, *, private_key: int = 0, description: CertificateDescription | None = None) -> None:
        self.root_key = ec.generate_private_key(ec.SECP256R1())
        self.signer_key = ec.generate_private_key(ec.SECP256R1())
        signer, device, root = (default_description(role) for role in ("signer", "device", "root"))
        device = description or device
        if private_key:
            assert device.slots is not None
            device = replace(device, slots=replace(device.slots, private_key=private_key))
        self.root_name = root.subject_name()
        now = datetime.now(UTC)
        self.signer_definition = signer_definition(signer, root_name=self.root_name, at=now)
        self.device_definition = device_definition(device, signer=signer, at=now)
        self.issued: dict[tuple[bytes, bytes], CertificatesReply] = {}
        self.tells_time = True
        self.gives_challenges = False
        self.challenges: list[bytes] = []
        self.reported: list[ReportRequest] = []

    @cached_property
    def root_public_key(self) -> bytes:
        return raw_public_key(self.root_key.public_key())

    @cached_property
    def signer_public_key(self) -> bytes:
        return raw_public_key(self.signer_key.public_key())

    @cached_property
    def root_certificate(self) -> bytes:
        key_usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = (
            x509.CertificateBuilder(self.root_name, self.root_name, self.root_key.public_key(), 1)
            .not_valid_before(datetime(2026, 1, 1))
            .not_valid_after(datetime(9999, 12, 31, 23, 59, 59))
            .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
            .add_extension(key_usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.root_key.public_key()), critical=False)
        )
        return builder.sign(self.root_key, hashes.SHA256()).public_bytes(Encoding.DER)

    @cached_property
    def signer(self) -> IssuedCertificate:
        definition = self.signer_definition
        return issue(
            definition,
            subject_public_key=self.signer_public_key,
            ca_public_key=self.root_public_key,
            signer_id=SIGNER_ID,
            issue_date=definition.issue_date(datetime.now(UTC)),
            sign=lambda digest: _sign(self.root_key, digest),
        )

    @cached_property
    def cert_info(self) -> CertInfo:
        return CertInfo(
            signer_name="Example ATECC608A Signer",
            signer_id=SIGNER_ID,
            signer_public_key=self.signer_public_key,
            root_public_key=self.root_public_key,
            signer_template_id=self.signer_definition.template_id,
            signer_chain_id=self.signer_definition.chain_id,
            device_template_id=self.device_definition.template_id,
            device_chain_id=self.device_definition.chain_id,
        )

    def certify(self, serial: bytes, public_key: bytes, unit: str = "") -> CertificatesReply:
        definition = self.device_definition
        device = issue(
            definition,
            subject_public_key=public_key,
            ca_public_key=self.signer_public_key,
            signer_id=SIGNER_ID,
            issue_date=definition.issue_date(datetime.now(UTC)),
            chip_serial=serial,
            unit=unit,
            sign=lambda digest: _sign(self.signer_key, digest),
        )
        writes = (
            *slot_contents(definition, compressed=device.compressed, public_key=public_key),
            *slot_contents(
                self.signer_definition, compressed=self.signer.compressed, public_key=self.signer_public_key
            ),
        )
        return CertificatesReply(
            device_certificate=device.der,
            signer_certificate=self.signer.der,
            root_certificate=self.root_certificate,
            device_definition=definition.to_bytes(),
            signer_definition=self.signer_definition.to_bytes(),
            device_compressed=device.compressed,
            signer_compressed=self.signer.compressed,
            writes=tuple(SlotWrite(write.slot, write.offset, write.data) for write in writes),
        )

    def answer(self, request: AnyMessage) -> AnyMessage:
        """Answer as an honest server does."""
        if isinstance(request, SignerRequest):
            if request.signer_public_key != self.signer_public_key:
                return ErrorReply(Code.SIGNER_UNKNOWN.value, "No such signer.", False)
            return SignerReply(
                self.signer.der,
                self.root_certificate,
                self.device_definition.to_bytes(),
                self.signer_definition.to_bytes(),
                server_time=int(datetime.now(UTC).timestamp()) if self.tells_time else 0,
            )
        if isinstance(request, ReportRequest):
            self.reported.append(request)
            return ReportReply(proven=bool(request.signature))
        assert isinstance(request, CertificatesRequest)
        chip = serial_number(request.config_zone), request.public_key
        if chip not in self.issued:
            if request.existing_only:
                return ErrorReply(Code.NOT_ISSUED.value, "Nothing was issued for this chip and key.", False)
            self.issued[chip] = self.certify(*chip, request.unit)
        if not self.gives_challenges:
            return self.issued[chip]
        self.challenges.append(secrets.token_bytes(32))
        return replace(self.issued[chip], challenge=self.challenges[-1])


def _sign(key: ec.EllipticCurvePrivateKey, digest: bytes) -> bytes:
    return raw_signature(key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()))))


class InMemory(UserFunctions):
    """User functions that call a `MemoryCa` without a network and record all that they are told.

    `tamper` may change a reply; `raw` may replace the bytes on the wire, where b"" means that the server is gone.
    """

    def __init__(self, authority: MemoryCa, receive_at_once: int = 1000) -> None:
        self.authority = authority
        self.tamper: Callable[[Any], AnyMessage] = lambda reply: reply
        self.raw: Callable[[bytes], bytes] = lambda data: data
        self.requests: list[AnyMessage] = []
        self.notices: list[tuple[Stage, StageStatus]] = []
        self.warnings: list[AtcaProvError] = []
        self.server_errors: list[tuple[str, str]] = []
        self.write: Callable[[DataZoneWriter], None] = lambda writer: None
        self.exchanges_done = 0
        self.unit = ""
        self.units_asked: list[bytes] = []
        self._receive_at_once = receive_at_once
        self._server = Connection(Role.SERVER)
        self._pending = b""

    def certreq_start(self) -> None:
        self._server = Connection(Role.SERVER)
        self._pending = b""

    def certreq_send(self, data: bytes) -> None:
        self._server.receive_data(data)
        request = self._server.next_event()
        assert isinstance(request, AnyRequest)
        self.requests.append(request)
        self._pending = self.raw(self._server.send(self.tamper(self.authority.answer(request))))

    def certreq_recv(self, expected: int) -> bytes:
        size = min(expected, self._receive_at_once)
        data, self._pending = self._pending[:size], self._pending[size:]
        return data

    def certreq_done(self) -> None:
        self.exchanges_done += 1

    def request_error(self, code: str, message: str) -> None:
        self.server_errors.append((code, message))

    def unit_name(self, serial_number: bytes) -> str:
        self.units_asked.append(serial_number)
        return self.unit

    def write_data_zone(self, writer: DataZoneWriter) -> None:
        self.write(writer)

    def warning(self, warning: AtcaProvError) -> None:
        self.warnings.append(warning)

    def notify(self, stage: Stage, status: StageStatus) -> None:
        self.notices.append((stage, status))


def unreachable(_: bytes) -> bytes:
    raise TransportError("No connection.", code=Code.SERVER_UNREACHABLE)


def change(**fields: Any) -> Callable[[Any], AnyMessage]:
    """Return a `tamper` that replaces fields of certificate replies."""

    def tamper(reply: AnyMessage) -> AnyMessage:
        return replace(reply, **fields) if isinstance(reply, CertificatesReply) else reply

    return tamper
