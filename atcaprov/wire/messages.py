"""The messages of wire protocol 1: fields, keys, sizes. Written out byte by byte in docs/reference/wire-protocol.md.

A message object is always valid: building one checks every field. Keys and types never change their meaning; a new
field gets a new key, and a reader ignores keys that it does not know. `request_number` is 0 if there is none.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, ClassVar, Final, NamedTuple, Self

from atcaprov.errors import ProtocolError, UsageError
from atcaprov.wire.cbor_map import decode_map, encode_map
from atcaprov.wire.fields import (
    CodeName,
    Flag,
    Kind,
    Number,
    Octets,
    ReportedStage,
    ReportedStages,
    SlotWrite,
    SlotWrites,
    Words,
)

CONFIG_ZONE_SIZE: Final = 128
CHIP_SERIAL_SIZE: Final = 9
PUBLIC_KEY_SIZE: Final = 64
COMPRESSED_SIZE: Final = 72
CHALLENGE_SIZE: Final = 32
DIGEST_SIZE: Final = 32
SIGNATURE_SIZE: Final = 64
CHECKPOINT_SIZE_MAX: Final = 1024
LOG_KEY_SIZE_MAX: Final = 256
FATE_SIZE_MAX: Final = 32
CERTIFICATE_SIZE_MAX: Final = 2048
DEFINITION_SIZE_MAX: Final = 4096
SLOT_WRITES_MAX: Final = 16
ERROR_CODE_SIZE_MAX: Final = 64
ERROR_MESSAGE_SIZE_MAX: Final = 512
REQUEST_ID_SIZE: Final = 16
NAME_SIZE_MAX: Final = 64
"""Bytes of the name of a work order, a unit, a label or a station."""
PRODUCT_SIZE_MAX: Final = 32
TOKEN_SIZE: Final = 32
CERTIFICATION_REQUEST_SIZE_MAX: Final = 1024
CERTIFICATES_REQUEST_BODY_MAX: Final = 1024
CERTIFICATES_REPLY_BODY_MAX: Final = 24 * 1024
SIGNER_REQUEST_BODY_MAX: Final = 2048
SIGNER_REPLY_BODY_MAX: Final = 16 * 1024
REPORT_REQUEST_BODY_MAX: Final = 1024
REPORT_REPLY_BODY_MAX: Final = 2048
ENROL_REQUEST_BODY_MAX: Final = 2048
ENROL_REPLY_BODY_MAX: Final = 8 * 1024
ERROR_REPLY_BODY_MAX: Final = 1024
REQUEST_NUMBER_MAX: Final = 0xFFFFFFFF
REVISION_MAX: Final = 0xFFFFFFFF
CERTIFICATES_LEFT_MAX: Final = 0xFFFFFFFF
RETRY_AFTER_MAX: Final = 3_600_000
TIME_MAX: Final = 253_402_300_799
"""The last second of the year 9999."""


class MessageType(enum.IntEnum):
    """The type byte of the header. The server's types have the top bit set."""

    CERTIFICATES_REQUEST = 0x01
    SIGNER_REQUEST = 0x02
    REPORT_REQUEST = 0x03
    ENROL_REQUEST = 0x04
    CERTIFICATES_REPLY = 0x81
    SIGNER_REPLY = 0x82
    REPORT_REPLY = 0x83
    ENROL_REPLY = 0x84
    ERROR_REPLY = 0xFF


class Field(NamedTuple):
    """One field: its integer key in the CBOR map, its name, what it may hold, and whether it may be absent."""

    key: int
    name: str
    kind: Kind
    optional: bool = False


class Message:
    """What all messages share: `body()` makes the CBOR map, `from_body()` reads one."""

    __slots__ = ()
    TYPE: ClassVar[MessageType]
    TITLE: ClassVar[str]
    BODY_MAX: ClassVar[int]
    FIELDS: ClassVar[tuple[Field, ...]]

    def __post_init__(self) -> None:
        for field in self.FIELDS:
            value = getattr(self, field.name)
            absent = field.optional and value in (b"", "")
            fault = None if absent else field.kind.fault(value)
            if fault is not None:
                raise UsageError(f"Field {field.name} of a {self.TITLE} {fault}.")

    def body(self, request_number: int | None = None) -> bytes:
        """Return the body in its one deterministic encoding; optional fields with their default are left out.

        `request_number`, if it is given, takes the place of the message's own.
        """
        fields = {}
        for field in self.FIELDS:
            value = getattr(self, field.name)
            if request_number is not None and field.name == "request_number":
                value = request_number
            if value or not field.optional:
                fields[field.key] = field.kind.to_cbor(value)
        return encode_map(fields)

    @classmethod
    def from_body(cls, body: bytes) -> Self:
        """Read a body of at most BODY_MAX bytes. Unknown keys are ignored.

        Raises:
            ProtocolError: not a map, a field is missing, or the value of a field is not allowed.
        """
        received = decode_map(body, what=cls.TITLE)
        values: dict[str, Any] = {}
        for field in cls.FIELDS:
            if field.key in received:
                values[field.name] = cls._checked(field, received[field.key])
            elif not field.optional:
                raise ProtocolError(f"A {cls.TITLE} lacks its field {field.key} ({field.name}).")
        return cls(**values)

    @classmethod
    def _checked(cls, field: Field, received: object) -> object:
        value = field.kind.from_cbor(received)
        fault = field.kind.fault(value)
        if fault is not None:
            raise ProtocolError(f"Field {field.key} ({field.name}) of a {cls.TITLE} {fault}.")
        return value


@dataclass(frozen=True, slots=True)
class CertificatesRequest(Message):
    """A client asks for the certificates of one chip.

    `config_zone` is the whole configuration zone as read from the chip, `public_key` and `signer_public_key` are
    X and Y of P-256 points. With `existing_only` the server answers only with what it has issued before;
    with `any_of_group` another signer of the same group may have signed. `revision` is the chip's answer to Info as a
    number, which tells the part; what bytes 4 to 7 of `config_zone` say may differ (AN3539, section 1.2.4).
    `request_id` is the same in all messages of a board's run. `order` names the work order, `product` the product
    profile, `unit` is the unit's own name, `label` what is written on it; empty if there is none.
    """

    TYPE: ClassVar = MessageType.CERTIFICATES_REQUEST
    TITLE: ClassVar = "certificates request"
    BODY_MAX: ClassVar = CERTIFICATES_REQUEST_BODY_MAX
    FIELDS: ClassVar = (
        Field(1, "config_zone", Octets(CONFIG_ZONE_SIZE, CONFIG_ZONE_SIZE)),
        Field(2, "public_key", Octets(PUBLIC_KEY_SIZE, PUBLIC_KEY_SIZE)),
        Field(3, "signer_public_key", Octets(PUBLIC_KEY_SIZE, PUBLIC_KEY_SIZE)),
        Field(4, "existing_only", Flag(), optional=True),
        Field(5, "any_of_group", Flag(), optional=True),
        Field(6, "request_number", Number(REQUEST_NUMBER_MAX), optional=True),
        Field(7, "revision", Number(REVISION_MAX), optional=True),
        Field(8, "request_id", Octets(REQUEST_ID_SIZE, REQUEST_ID_SIZE), optional=True),
        Field(9, "order", Words(NAME_SIZE_MAX), optional=True),
        Field(10, "unit", Words(NAME_SIZE_MAX), optional=True),
        Field(11, "label", Words(NAME_SIZE_MAX), optional=True),
        Field(12, "product", Words(PRODUCT_SIZE_MAX), optional=True),
    )

    config_zone: bytes
    public_key: bytes
    signer_public_key: bytes
    existing_only: bool = False
    any_of_group: bool = False
    request_number: int = 0
    revision: int = 0
    request_id: bytes = b""
    order: str = ""
    unit: str = ""
    label: str = ""
    product: str = ""


@dataclass(frozen=True, slots=True)
class CertificatesReply(Message):
    """The server's certificates (DER), their definitions, their 72-byte compressed forms, and where each part goes.

    Definitions are opaque here: the bytes of the certificate definition as atcaprov.certs writes it.
    `challenge` is what the chip's proof of possession answers; empty if the server takes no report.
    """

    TYPE: ClassVar = MessageType.CERTIFICATES_REPLY
    TITLE: ClassVar = "certificates reply"
    BODY_MAX: ClassVar = CERTIFICATES_REPLY_BODY_MAX
    FIELDS: ClassVar = (
        Field(1, "writes", SlotWrites(SLOT_WRITES_MAX)),
        Field(2, "device_compressed", Octets(COMPRESSED_SIZE, COMPRESSED_SIZE)),
        Field(3, "signer_compressed", Octets(COMPRESSED_SIZE, COMPRESSED_SIZE)),
        Field(4, "device_certificate", Octets(1, CERTIFICATE_SIZE_MAX)),
        Field(5, "signer_certificate", Octets(1, CERTIFICATE_SIZE_MAX)),
        Field(6, "root_certificate", Octets(1, CERTIFICATE_SIZE_MAX)),
        Field(7, "device_definition", Octets(1, DEFINITION_SIZE_MAX)),
        Field(8, "signer_definition", Octets(1, DEFINITION_SIZE_MAX)),
        Field(9, "request_number", Number(REQUEST_NUMBER_MAX), optional=True),
        Field(10, "challenge", Octets(CHALLENGE_SIZE, CHALLENGE_SIZE), optional=True),
    )

    device_certificate: bytes
    signer_certificate: bytes
    root_certificate: bytes
    device_definition: bytes
    signer_definition: bytes
    device_compressed: bytes
    signer_compressed: bytes
    writes: tuple[SlotWrite, ...]
    request_number: int = 0
    challenge: bytes = b""


@dataclass(frozen=True, slots=True)
class SignerRequest(Message):
    """A client asks, before it touches a chip, whether a signer is ready and what it issues.

    `signer_public_key` is X and Y of a P-256 point; with `any_of_group`, any signer of its group is accepted.
    `config_zone` is the zone that the client is going to lock; empty if unknown. `chip_serial` is the serial number of
    the chip that is going to ask; empty if unknown. `checkpoint` is the newest signed checkpoint of the server's log
    that the station keeps; empty if it has none. A server of before reports refuses a request that carries one. The
    last five are those of the certificates request that is going to follow.
    """

    TYPE: ClassVar = MessageType.SIGNER_REQUEST
    TITLE: ClassVar = "signer request"
    BODY_MAX: ClassVar = SIGNER_REQUEST_BODY_MAX
    FIELDS: ClassVar = (
        Field(1, "signer_public_key", Octets(PUBLIC_KEY_SIZE, PUBLIC_KEY_SIZE)),
        Field(2, "any_of_group", Flag(), optional=True),
        Field(3, "request_number", Number(REQUEST_NUMBER_MAX), optional=True),
        Field(4, "config_zone", Octets(CONFIG_ZONE_SIZE, CONFIG_ZONE_SIZE), optional=True),
        Field(5, "chip_serial", Octets(CHIP_SERIAL_SIZE, CHIP_SERIAL_SIZE), optional=True),
        Field(6, "checkpoint", Octets(1, CHECKPOINT_SIZE_MAX), optional=True),
        Field(7, "request_id", Octets(REQUEST_ID_SIZE, REQUEST_ID_SIZE), optional=True),
        Field(8, "order", Words(NAME_SIZE_MAX), optional=True),
        Field(9, "unit", Words(NAME_SIZE_MAX), optional=True),
        Field(10, "label", Words(NAME_SIZE_MAX), optional=True),
        Field(11, "product", Words(PRODUCT_SIZE_MAX), optional=True),
    )

    signer_public_key: bytes
    any_of_group: bool = False
    request_number: int = 0
    config_zone: bytes = b""
    chip_serial: bytes = b""
    checkpoint: bytes = b""
    request_id: bytes = b""
    order: str = ""
    unit: str = ""
    label: str = ""
    product: str = ""


@dataclass(frozen=True, slots=True)
class SignerReply(Message):
    """A signer that is ready: its certificate and its root's (DER), and the definitions of what it issues.

    `server_time` is the server's clock in seconds since 1970-01-01 UTC; 0 if unknown. `certificates_left` is how many
    more it can issue now, by the quotas of all signers that may serve; 0 if there is no such limit, or it is unknown.
    With `new_key_refused` the server has certified a key of the chip that was named, and certifies no other one.
    `checkpoint` is the newest signed checkpoint of the server's log, `log_key` the verifier key that signs it, as text;
    empty if it gives none.
    """

    TYPE: ClassVar = MessageType.SIGNER_REPLY
    TITLE: ClassVar = "signer reply"
    BODY_MAX: ClassVar = SIGNER_REPLY_BODY_MAX
    FIELDS: ClassVar = (
        Field(1, "signer_certificate", Octets(1, CERTIFICATE_SIZE_MAX)),
        Field(2, "root_certificate", Octets(1, CERTIFICATE_SIZE_MAX)),
        Field(3, "device_definition", Octets(1, DEFINITION_SIZE_MAX)),
        Field(4, "signer_definition", Octets(1, DEFINITION_SIZE_MAX)),
        Field(5, "request_number", Number(REQUEST_NUMBER_MAX), optional=True),
        Field(6, "server_time", Number(TIME_MAX), optional=True),
        Field(7, "certificates_left", Number(CERTIFICATES_LEFT_MAX), optional=True),
        Field(8, "new_key_refused", Flag(), optional=True),
        Field(9, "checkpoint", Octets(1, CHECKPOINT_SIZE_MAX), optional=True),
        Field(10, "log_key", Octets(1, LOG_KEY_SIZE_MAX), optional=True),
    )

    signer_certificate: bytes
    root_certificate: bytes
    device_definition: bytes
    signer_definition: bytes
    request_number: int = 0
    server_time: int = 0
    certificates_left: int = 0
    new_key_refused: bool = False
    checkpoint: bytes = b""
    log_key: bytes = b""


@dataclass(frozen=True, slots=True)
class ReportRequest(Message):
    """A client reports what became of the chip whose certificate came with a challenge.

    `certificate_sha256` is over the device certificate (DER), `contents_sha256` over what was read back from the chip,
    `signature` is R||S of the chip's key over both and the challenge; the last two are empty if they were not made.
    `fate` is a word such as `good` or `scrap`, `code` the code of the error, empty if there was none. `finished` is
    when the run ended by the client's clock, in seconds since 1970-01-01 UTC.
    """

    TYPE: ClassVar = MessageType.REPORT_REQUEST
    TITLE: ClassVar = "report request"
    BODY_MAX: ClassVar = REPORT_REQUEST_BODY_MAX
    FIELDS: ClassVar = (
        Field(1, "chip_serial", Octets(CHIP_SERIAL_SIZE, CHIP_SERIAL_SIZE)),
        Field(2, "certificate_sha256", Octets(DIGEST_SIZE, DIGEST_SIZE)),
        Field(3, "challenge", Octets(CHALLENGE_SIZE, CHALLENGE_SIZE)),
        Field(4, "signature", Octets(SIGNATURE_SIZE, SIGNATURE_SIZE), optional=True),
        Field(5, "contents_sha256", Octets(DIGEST_SIZE, DIGEST_SIZE), optional=True),
        Field(6, "fate", CodeName(FATE_SIZE_MAX)),
        Field(7, "code", CodeName(ERROR_CODE_SIZE_MAX), optional=True),
        Field(8, "stages", ReportedStages()),
        Field(9, "finished", Number(TIME_MAX)),
        Field(10, "request_number", Number(REQUEST_NUMBER_MAX), optional=True),
        Field(11, "request_id", Octets(REQUEST_ID_SIZE, REQUEST_ID_SIZE), optional=True),
    )

    chip_serial: bytes
    certificate_sha256: bytes
    challenge: bytes
    fate: str
    stages: tuple[ReportedStage, ...]
    finished: int
    signature: bytes = b""
    contents_sha256: bytes = b""
    code: str = ""
    request_number: int = 0
    request_id: bytes = b""


@dataclass(frozen=True, slots=True)
class ReportReply(Message):
    """The server has recorded a report durably. `proven`: it has seen a proof of the certificate, now or before.

    `checkpoint` is a signed checkpoint of the server's log that covers the report; empty if it gives none.
    """

    TYPE: ClassVar = MessageType.REPORT_REPLY
    TITLE: ClassVar = "report reply"
    BODY_MAX: ClassVar = REPORT_REPLY_BODY_MAX
    FIELDS: ClassVar = (
        Field(1, "proven", Flag()),
        Field(2, "checkpoint", Octets(1, CHECKPOINT_SIZE_MAX), optional=True),
        Field(3, "request_number", Number(REQUEST_NUMBER_MAX), optional=True),
    )

    proven: bool
    checkpoint: bytes = b""
    request_number: int = 0


@dataclass(frozen=True, slots=True)
class EnrolRequest(Message):
    """A station asks for its own certificate, over TLS.

    `certification_request` is PKCS#10 (DER) over the key that the station made; empty to ask for the certificate of the
    station CA alone, before the secret is sent. `token` is the secret of its invitation; empty if the connection shows
    a certificate of the station, which is to be renewed.
    """

    TYPE: ClassVar = MessageType.ENROL_REQUEST
    TITLE: ClassVar = "enrol request"
    BODY_MAX: ClassVar = ENROL_REQUEST_BODY_MAX
    FIELDS: ClassVar = (
        Field(1, "token", Octets(TOKEN_SIZE, TOKEN_SIZE), optional=True),
        Field(2, "certification_request", Octets(1, CERTIFICATION_REQUEST_SIZE_MAX), optional=True),
        Field(3, "request_number", Number(REQUEST_NUMBER_MAX), optional=True),
    )

    certification_request: bytes = b""
    token: bytes = dataclass_field(default=b"", repr=False)
    request_number: int = 0


@dataclass(frozen=True, slots=True)
class EnrolReply(Message):
    """The certificate of the station CA (DER); of a station that asked, its certificate (DER) and its name."""

    TYPE: ClassVar = MessageType.ENROL_REPLY
    TITLE: ClassVar = "enrol reply"
    BODY_MAX: ClassVar = ENROL_REPLY_BODY_MAX
    FIELDS: ClassVar = (
        Field(1, "certificate", Octets(1, CERTIFICATE_SIZE_MAX), optional=True),
        Field(2, "ca_certificate", Octets(1, CERTIFICATE_SIZE_MAX)),
        Field(3, "request_number", Number(REQUEST_NUMBER_MAX), optional=True),
        Field(4, "station", Words(NAME_SIZE_MAX), optional=True),
    )

    ca_certificate: bytes
    certificate: bytes = b""
    station: str = ""
    request_number: int = 0


@dataclass(frozen=True, slots=True)
class ErrorReply(Message):
    """The server refuses: a stable code, a sentence for people, and whether the same request may succeed later.

    `retry_after` is in how many milliseconds it may, by the server's own limits; 0 if it says nothing.
    """

    TYPE: ClassVar = MessageType.ERROR_REPLY
    TITLE: ClassVar = "error reply"
    BODY_MAX: ClassVar = ERROR_REPLY_BODY_MAX
    FIELDS: ClassVar = (
        Field(1, "code", CodeName(ERROR_CODE_SIZE_MAX)),
        Field(2, "message", Words(ERROR_MESSAGE_SIZE_MAX)),
        Field(3, "retryable", Flag()),
        Field(4, "request_number", Number(REQUEST_NUMBER_MAX), optional=True),
        Field(5, "retry_after", Number(RETRY_AFTER_MAX), optional=True),
    )

    code: str
    message: str
    retryable: bool
    request_number: int = 0
    retry_after: int = 0


AnyRequest = CertificatesRequest | SignerRequest | ReportRequest | EnrolRequest
AnyMessage = AnyRequest | CertificatesReply | SignerReply | ReportReply | EnrolReply | ErrorReply

MESSAGES: Final[dict[int, type[AnyMessage]]] = {
    message.TYPE: message
    for message in (
        CertificatesRequest,
        SignerRequest,
        ReportRequest,
        EnrolRequest,
        CertificatesReply,
        SignerReply,
        ReportReply,
        EnrolReply,
        ErrorReply,
    )
}
"""Message class by type byte."""
BODY_MAX: Final = max(message.BODY_MAX for message in MESSAGES.values())
