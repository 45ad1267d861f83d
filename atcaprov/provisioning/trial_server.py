"""A server in memory for trials, and the user functions that talk to it: the real server is never asked."""

from __future__ import annotations

from datetime import UTC, datetime

from atcaprov.chip.memory_map import serial_number
from atcaprov.errors import AtcaProvError, Code
from atcaprov.provisioning.trial_signer import TrialSigner
from atcaprov.provisioning.user_functions import UserFunctions
from atcaprov.stages import Stage, StageStatus
from atcaprov.wire.connection import Connection, Role
from atcaprov.wire.fields import SlotWrite
from atcaprov.wire.messages import (
    AnyMessage,
    CertificatesReply,
    CertificatesRequest,
    ErrorReply,
    SignerReply,
    SignerRequest,
)


class TrialServer:
    """Answers the client's messages with a `TrialSigner`."""

    def __init__(self, signer: TrialSigner) -> None:
        self.signer = signer
        self._issued: dict[tuple[bytes, bytes], CertificatesReply] = {}

    def issue(self, chip_serial: bytes, public_key: bytes, unit: str = "") -> CertificatesReply:
        """Return the certificates of a chip (9 bytes) and key (64 bytes): the same ones each time."""
        chip = chip_serial, public_key
        if chip not in self._issued:
            self._issued[chip] = self._reply(*chip, unit)
        return self._issued[chip]

    def _reply(self, chip_serial: bytes, public_key: bytes, unit: str) -> CertificatesReply:
        signer = self.signer
        device = signer.certify(chip_serial, public_key, unit)
        return CertificatesReply(
            device_certificate=device.der,
            signer_certificate=signer.certificate.der,
            root_certificate=signer.root_certificate,
            device_definition=signer.device_definition.to_bytes(),
            signer_definition=signer.signer_definition.to_bytes(),
            device_compressed=device.compressed,
            signer_compressed=signer.certificate.compressed,
            writes=tuple(
                SlotWrite(content.slot, content.offset, content.data)
                for content in signer.slot_contents(device, public_key)
            ),
        )

    def answer(self, request: AnyMessage) -> AnyMessage:
        """Answer as a server does that has only this signer."""
        if isinstance(request, CertificatesRequest):
            chip = serial_number(request.config_zone), request.public_key
            if request.existing_only and chip not in self._issued:
                return ErrorReply(Code.NOT_ISSUED.value, "Nothing was issued for this chip and key.", False)
            return self.issue(*chip, request.unit)
        return SignerReply(
            self.signer.certificate.der,
            self.signer.root_certificate,
            self.signer.device_definition.to_bytes(),
            self.signer.signer_definition.to_bytes(),
            server_time=int(datetime.now(UTC).timestamp()),
        )


class TrialFunctions(UserFunctions):
    """User functions that talk to a `TrialServer` without a network and keep what they are told."""

    def __init__(self, server: TrialServer, unit: str = "") -> None:
        """`unit` is the unit's name; empty: one that the certificate can have, if it has any."""
        self._server = server
        self._unit = unit or server.signer.example_unit
        self._connection = Connection(Role.SERVER)
        self._reply = b""
        self.stage: Stage | None = None
        """The stage that began last."""
        self.ended: dict[Stage, StageStatus] = {}
        """How each stage ended."""

    def certreq_start(self) -> None:
        """Begin an exchange."""
        self._connection, self._reply = Connection(Role.SERVER), b""

    def certreq_send(self, data: bytes) -> None:
        """Take a request, and have its reply ready."""
        self._connection.receive_data(data)
        request = self._connection.next_event()
        assert isinstance(request, CertificatesRequest | SignerRequest), "the client sends whole requests"
        try:
            reply = self._server.answer(request)
        except AtcaProvError as error:
            reply = ErrorReply(error.code, str(error), False)
        self._reply = self._connection.send(reply)

    def certreq_recv(self, expected: int) -> bytes:
        """Return the next bytes of the reply."""
        data, self._reply = self._reply[:expected], self._reply[expected:]
        return data

    def unit_name(self, serial_number: bytes) -> str:
        """Return the unit's name."""
        return self._unit

    def notify(self, stage: Stage, status: StageStatus) -> None:
        """Keep the progress."""
        if status is StageStatus.START:
            self.stage = stage
        else:
            self.ended[stage] = status
