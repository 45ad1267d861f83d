"""All errors of the project: what happened, what to do, and what becomes of the board.

The second level of the tree names the cause and decides the exit code; `Code` is the stable name a machine
reads. Codes never change meaning; docs/reference/errors.md lists them all.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import ClassVar, Final

from atcaprov.stages import Stage


class Board(enum.StrEnum):
    """What the operator does with the board in the fixture after an error."""

    GOOD = "good"
    RETRY = "retry"
    SET_ASIDE = "set-aside"
    """It is not lost, but another try with the same program and settings will not help."""
    SCRAP = "scrap"
    UNTOUCHED = "untouched"


class Code(enum.StrEnum):
    """Stable machine codes, grouped by the error class that normally carries them."""

    # AtcaProvError
    INTERNAL = "internal"
    INTERRUPTED = "interrupted"
    # UsageError
    USAGE = "usage"
    ADDRESS_FORM = "address-form"
    FILE_UNREADABLE = "file-unreadable"
    FILE_UNWRITABLE = "file-unwritable"
    DISK_FULL = "disk-full"
    REPORTS_FULL = "reports-full"
    FILE_INVALID = "file-invalid"
    UNITS_USED_UP = "units-used-up"
    UNITS_IN_USE = "units-in-use"
    RECORD_MISSING = "record-missing"
    LEDGER_INVALID = "ledger-invalid"
    LEDGER_DAMAGED = "ledger-damaged"
    LEDGER_VERSION = "ledger-version"
    LEDGER_UNREACHABLE = "ledger-unreachable"
    LEDGER_UNSAFE = "ledger-unsafe"
    LEDGER_IN_USE = "ledger-in-use"
    LOG_INVALID = "log-invalid"
    LOG_MISMATCH = "log-mismatch"
    LOG_KEY_OTHER = "log-key-other"
    WITNESS_REFUSED = "witness-refused"
    CONFIG_ZONE_INVALID = "config-zone-invalid"
    CONFIG_ZONE_UNSAFE = "config-zone-unsafe"
    CERTINFO_INVALID = "certinfo-invalid"
    DEFINITION_INVALID = "definition-invalid"
    CRL_SIGN_MISSING = "crl-sign-missing"
    PROFILE_INVALID = "profile-invalid"
    KEY_FILE_INVALID = "key-file-invalid"
    PASSWORD_WRONG = "password-wrong"  # noqa: S105 - a code, not a password
    PASSWORD_SCHEME = "password-scheme"  # noqa: S105 - a code, not a password
    PASSWORD_MEMORY = "password-memory"  # noqa: S105 - a code, not a password
    PASSWORD_WEAK = "password-weak"  # noqa: S105 - a code, not a password
    PASSWORD_EXPOSED = "password-exposed"  # noqa: S105 - a code, not a password
    KEY_EXPOSED = "key-exposed"
    STATION_NOT_ENROLLED = "station-not-enrolled"
    STATION_CA_OTHER = "station-ca-other"
    TOKEN_INVALID = "token-invalid"  # noqa: S105 - a code, not a token
    HSM_UNUSABLE = "hsm-unusable"
    READ_ONLY = "read-only"
    # TransportError
    TRANSPORT = "transport"
    DEVICE_NOT_FOUND = "device-not-found"
    DEVICE_NO_REPLY = "device-no-reply"
    DEVICE_OTHER_ADDRESS = "device-other-address"
    DEVICE_BUSY = "device-busy"
    ADDRESS_TAKEN = "address-taken"
    DEVICE_NO_PERMISSION = "device-no-permission"
    LIBRARY_MISSING = "library-missing"
    SERVER_UNREACHABLE = "server-unreachable"
    SERVER_DROPPED = "server-dropped"
    SERVER_AWAITED = "server-awaited"
    PORT_IN_USE = "port-in-use"
    TLS_FAILED = "tls-failed"
    # ProtocolError
    PROTOCOL = "protocol"
    BAD_PACKET = "bad-packet"
    CHIP_RESTARTED = "chip-restarted"
    BAD_FRAME = "bad-frame"
    FRAME_TOO_LARGE = "frame-too-large"
    UNEXPECTED_MESSAGE = "unexpected-message"
    # DeviceError
    CHIP_REFUSED = "chip-refused"
    QUOTA_USED_UP = "quota-used-up"
    # ProvisioningError
    PROVISIONING = "provisioning"
    QUOTA_TOO_SMALL = "quota-too-small"
    WRONG_PART = "wrong-part"
    REVISION_UNKNOWN = "revision-unknown"
    CONFIG_MISMATCH = "config-mismatch"
    CONFIG_LOCKED_OTHER = "config-locked-other"
    USER_EXTRA_SET = "user-extra-set"
    DATA_LOCKED_OTHER = "data-locked-other"
    FINISHED_ELSEWHERE = "finished-elsewhere"
    DATA_UNKNOWN = "data-unknown"
    DATA_CRC_REFUSED = "data-crc-refused"
    SLOT_LOCKED = "slot-locked"
    WRITE_NOT_VERIFIED = "write-not-verified"
    SLOT_NOT_ALLOWED = "slot-not-allowed"
    SLOT_NOT_BLANK = "slot-not-blank"
    SLOT_NOT_LOCKABLE = "slot-not-lockable"
    CERTIFICATES_PRESENT = "certificates-present"
    GENUINE_UNPROVABLE = "genuine-unprovable"
    NOT_PROVISIONED = "not-provisioned"
    NOT_A_MODULE = "not-a-module"
    SIGNED_UNEXPECTEDLY = "signed-unexpectedly"
    # CertificateError
    CERTIFICATE = "certificate"
    CERTIFICATE_MISMATCH = "certificate-mismatch"
    CHAIN_INVALID = "chain-invalid"
    CHAIN_INCOMPLETE = "chain-incomplete"
    CHAIN_SURPLUS = "chain-surplus"
    ROOT_NOT_PINNED = "root-not-pinned"
    KEY_MISMATCH = "key-mismatch"
    BUNDLE_CHANGED = "bundle-changed"
    CLOCK_WRONG = "clock-wrong"
    SERVER_BEHIND = "server-behind"
    LEDGER_FORKED = "ledger-forked"
    CHECKPOINT_MISSING = "checkpoint-missing"
    LEDGER_ROLLED_BACK = "ledger-rolled-back"
    CERTIFICATE_WITHOUT_KEY = "certificate-without-key"
    KEY_WITHOUT_CERTIFICATE = "key-without-certificate"
    CERTIFICATE_EXPIRED = "certificate-expired"
    DEFINITION_UNKNOWN = "definition-unknown"
    PROOF_OVERDUE = "proof-overdue"
    QUOTA_LOW = "quota-low"
    CRL_DUE = "crl-due"
    TLS_CERTIFICATE_ENDS = "tls-certificate-ends"
    NOT_GENUINE = "not-genuine"
    MODULE_INVALID = "module-invalid"
    MODULE_CHANGED = "module-changed"
    UNIT_MISSING = "unit-missing"
    UNIT_UNEXPECTED = "unit-unexpected"
    UNIT_INVALID = "unit-invalid"
    # ServerRejected: what a server answers
    REQUEST_INVALID = "request-invalid"
    PRODUCT_UNKNOWN = "product-unknown"
    SIGNER_UNKNOWN = "signer-unknown"
    SIGNER_NOT_ALLOWED = "signer-not-allowed"
    SIGNER_NOT_READY = "signer-not-ready"
    SIGNER_UNPLUGGED = "signer-unplugged"
    SIGNER_QUARANTINED = "signer-quarantined"
    CHIP_HAS_OTHER_KEY = "chip-has-other-key"
    CHIP_HAS_OTHER_SIGNER = "chip-has-other-signer"
    KEY_HAS_OTHER_CHIP = "key-has-other-chip"
    UNIT_TAKEN = "unit-taken"
    CHIP_HAS_OTHER_UNIT = "chip-has-other-unit"
    CERTIFICATE_REVOKED = "certificate-revoked"
    NOT_ISSUED = "not-issued"
    CHALLENGE_UNKNOWN = "challenge-unknown"
    REPORT_MISMATCH = "report-mismatch"
    REPORT_DIFFERS = "report-differs"
    PROOF_INVALID = "proof-invalid"
    RECORDS_FAILED = "records-failed"
    LEDGER_BEHIND = "ledger-behind"
    COUNTER_BEHIND = "counter-behind"
    SERVER_CLOCK = "server-clock"
    TLS_REQUIRED = "tls-required"
    STATION_UNKNOWN = "station-unknown"
    STATION_REMOVED = "station-removed"
    STATION_EXPIRED = "station-expired"
    TOKEN_UNKNOWN = "token-unknown"  # noqa: S105 - a code, not a token
    TOKEN_USED = "token-used"  # noqa: S105 - a code, not a token
    TOKEN_EXPIRED = "token-expired"  # noqa: S105 - a code, not a token
    ORDER_REQUIRED = "order-required"
    ORDER_UNKNOWN = "order-unknown"
    ORDER_NOT_BEGUN = "order-not-begun"
    ORDER_EXPIRED = "order-expired"
    ORDER_CLOSED = "order-closed"
    ORDER_FULL = "order-full"
    ORDER_OF_ANOTHER_STATION = "order-of-another-station"
    ORDER_OF_ANOTHER_PRODUCT = "order-of-another-product"
    LABEL_REFUSED = "label-refused"
    SERVER_BUSY = "server-busy"
    SERVER_STOPPING = "server-stopping"


_USUAL_ADVICE: Final[Mapping[str, str]] = {Code.FILE_UNREADABLE: "Check its name, its folder and its permissions."}
"""For errors without advice of their own."""


class AtcaProvError(Exception):
    """Base of all errors; raised itself only for what should never happen.

    `what` says what happened, `advice` what to do, `board` what becomes of the board, `code` is the machine's name.
    `details` are lines for the end of a message, such as each field that differs; most errors have none.
    An error of a provisioning run has the chip's `serial_number` (9 bytes) as soon as it is known, and its `stage` if
    one had begun.
    """

    exit_code: ClassVar[int] = 1
    default_code: ClassVar[Code] = Code.INTERNAL
    default_board: ClassVar[Board] = Board.UNTOUCHED

    def __init__(
        self, what: str, *, advice: str = "", code: Code | str | None = None, board: Board | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.code: str = str(code) if code is not None else str(self.default_code)
        self.advice: str = advice or _USUAL_ADVICE.get(self.code, "")
        self.board: Board = board if board is not None else self.default_board
        self.details: tuple[str, ...] = ()
        self.serial_number: bytes | None = None
        self.stage: Stage | None = None

    def __str__(self) -> str:
        return f"{self.what} {self.advice}".rstrip()


class UsageError(AtcaProvError):
    """The caller or an input file broke a rule before any byte was sent."""

    exit_code = 2
    default_code = Code.USAGE


class TransportError(AtcaProvError):
    """No answer, a short answer, or a lost port or connection: reconnect and try again."""

    exit_code = 3
    default_code = Code.TRANSPORT
    default_board = Board.RETRY


class ProtocolError(AtcaProvError):
    """Bytes that cannot be a packet, frame or message: noise, or a bug at the other end."""

    exit_code = 4
    default_code = Code.PROTOCOL
    default_board = Board.RETRY


class DeviceError(AtcaProvError):
    """The chip refused a command: `status` is its status byte, `command` the command's name.

    `head` is opcode, P1 and P2 of the packet, 4 bytes, if it is known; `forbidding_bit` names the bit of the chip's
    configuration that forbids the command, as far as it was looked up.
    """

    exit_code = 5
    default_code = Code.CHIP_REFUSED
    default_board = Board.RETRY

    def __init__(
        self,
        what: str,
        *,
        command: str,
        status: int,
        advice: str = "",
        code: Code | str | None = None,
        board: Board | None = None,
    ) -> None:
        super().__init__(what, advice=advice, code=code, board=board)
        self.command = command
        self.status = status
        self.head: bytes = b""
        self.forbidding_bit: str = ""


class ProvisioningError(AtcaProvError):
    """The chip is in the wrong state for the step."""

    exit_code = 6
    default_code = Code.PROVISIONING
    default_board = Board.RETRY


class CertificateError(AtcaProvError):
    """A certificate, definition or chain is wrong."""

    exit_code = 7
    default_code = Code.CERTIFICATE
    default_board = Board.RETRY


class ServerRejected(AtcaProvError):  # noqa: N818 - it reports an answer, not an error of ours
    """The Provisioning Server refused; `code` and `what` are the server's own.

    `retry_after` is in how many seconds the same request may succeed, as the server says; 0 if it does not say.
    """

    exit_code = 8
    default_code = Code.REQUEST_INVALID
    default_board = Board.RETRY
    retry_after: float = 0.0
