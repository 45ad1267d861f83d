"""Messages for tests: fields of the right size, the same in every run."""

from __future__ import annotations

from atcaprov.wire.fields import ReportedStage, SlotWrite
from atcaprov.wire.messages import (
    AnyMessage,
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

CONFIG_ZONE = bytes.fromhex("012340D96000600201EE".ljust(26, "0")).ljust(128, b"\x00")
PUBLIC_KEY = bytes(range(64))
SIGNER_PUBLIC_KEY = bytes(range(64, 128))

REQUEST = CertificatesRequest(CONFIG_ZONE, PUBLIC_KEY, SIGNER_PUBLIC_KEY)
REPLY = CertificatesReply(
    device_certificate=b"\x30\x00",
    signer_certificate=b"\x30\x01\x00",
    root_certificate=b"\x30\x02\x00\x00",
    device_definition=b"\xa0",
    signer_definition=b"\xa1\x01\x02",
    device_compressed=bytes([1]) * 72,
    signer_compressed=bytes([2]) * 72,
    writes=(SlotWrite(10, 0, bytes([1]) * 72), SlotWrite(12, 0, bytes([2]) * 72)),
)
SIGNER_REQUEST = SignerRequest(SIGNER_PUBLIC_KEY)
SIGNER_REPLY = SignerReply(
    signer_certificate=b"\x30\x01\x00",
    root_certificate=b"\x30\x02\x00\x00",
    device_definition=b"\xa0",
    signer_definition=b"\xa1\x01\x02",
)
ERROR = ErrorReply("signer-unknown", "No signer of this server has the public key that the request names.", False)
REPORT = ReportRequest(
    chip_serial=bytes.fromhex("0123D9600201EE0000"),
    certificate_sha256=bytes([3]) * 32,
    challenge=bytes([4]) * 32,
    fate="good",
    stages=(ReportedStage(9, "skipped", 0), ReportedStage(10, "done", 310)),
    finished=1795256107,
    signature=bytes([5]) * 64,
    contents_sha256=bytes([6]) * 32,
)
FAILURE_REPORT = ReportRequest(
    chip_serial=REPORT.chip_serial,
    certificate_sha256=REPORT.certificate_sha256,
    challenge=REPORT.challenge,
    fate="scrap",
    stages=(ReportedStage(10, "error", 12),),
    finished=REPORT.finished,
    code="key-mismatch",
)
ENROL_REQUEST = EnrolRequest(certification_request=b"\x30\x03\x00\x00\x00", token=bytes([7]) * 32)
ENROL_REPLY = EnrolReply(certificate=b"\x30\x00", ca_certificate=b"\x30\x01\x00", station="line-3")
REPORT_REPLY = ReportReply(proven=True, checkpoint=b"example.org/log\n1\n")
ALL: tuple[AnyMessage, ...] = (
    REQUEST, REPLY, SIGNER_REQUEST, SIGNER_REPLY, REPORT, FAILURE_REPORT, REPORT_REPLY, ENROL_REQUEST,
    ENROL_REPLY, ERROR
)  # fmt: skip
