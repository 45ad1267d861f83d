"""Findings: what may be wrong between a bus and a certificate, what to do, and what becomes of the board.

A finding that is the error of another program has that error's code and sentences (docs/reference/errors.md). The
others are here. docs/reference/findings.md lists all of them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, NamedTuple

from atcaprov.errors import AtcaProvError, Board, Code


class FindingCode(enum.StrEnum):
    """Stable codes of the findings that are no errors of another program, from the bus to the certificate."""

    NO_ADAPTER = "no-adapter"
    NO_CHIP = "no-chip"
    SEVERAL_CHIPS = "several-chips"
    PORT_SHARED = "port-shared"
    NO_ACKNOWLEDGE = "no-acknowledge"
    CHIP_ELSEWHERE = "chip-elsewhere"
    OTHER_PART = "other-part"
    LEFT_AWAKE = "left-awake"
    DAMAGED_TRANSFERS = "damaged-transfers"
    LOST_REPLIES = "lost-replies"
    SUPPLY_SAGS = "supply-sags"
    SELF_TEST_FAILED = "self-test-failed"
    TRUST_PART = "trust-part"
    CONFIG_OPEN = "config-open"
    DATA_OPEN = "data-open"
    CONFIG_FOREIGN = "config-foreign"
    NOT_A_SERVER = "not-a-server"


class Weight(enum.StrEnum):
    """How much a finding weighs."""

    PROBLEM = "problem"
    NOTE = "note"
    """Worth knowing; nothing has to be done."""


@dataclass(frozen=True)
class DiagnosticFinding:
    """What was found, what to do, and what becomes of the board."""

    code: str
    what: str
    advice: str
    board: Board
    weight: Weight = Weight.PROBLEM


class FindingText(NamedTuple):
    """The sentences of a finding, with names in braces for what was seen."""

    what: str
    advice: str
    board: Board = Board.RETRY
    weight: Weight = Weight.PROBLEM


TEXTS: Final[dict[FindingCode, FindingText]] = {
    FindingCode.NO_ADAPTER: FindingText(
        "No kit and no I2C bus is connected to this computer.",
        "Connect a kit at its kit port. For a chip on an I2C bus of the computer, switch I2C on in its settings and"
        " run 'modprobe i2c-dev'.",
        Board.UNTOUCHED,
    ),
    FindingCode.NO_CHIP: FindingText(
        "No chip was found at {ports}.",
        "Put a board in. A chip on an I2C bus is looked for only where --device names it, such as --device"
        " i2c://1/0x60.",
        Board.UNTOUCHED,
    ),
    FindingCode.SEVERAL_CHIPS: FindingText(
        "{count} chips are connected.",
        "Name one of them: --device '{url}'.",
        Board.UNTOUCHED,
        Weight.NOTE,
    ),
    FindingCode.PORT_SHARED: FindingText(
        "The device file {path} is also open in {process}.",
        "End it if it should not use the chip: it may disturb every command.",
        Board.UNTOUCHED,
        Weight.NOTE,
    ),
    FindingCode.NO_ACKNOWLEDGE: FindingText(
        "No chip acknowledges {address} at i2c://{number}, nor the addresses of delivered parts.",
        "Check that the board sits in its fixture and has power, and that SDA and SCL are not exchanged. If the chip"
        " was moved, 'provisioning-client devices --i2c {number} --all-addresses' finds it.",
    ),
    FindingCode.CHIP_ELSEWHERE: FindingText(
        "No chip answers at {address}; {reason}.",
        "Use --device '{url}'.",
        Board.UNTOUCHED,
    ),
    FindingCode.OTHER_PART: FindingText(
        "A part acknowledges {address} at {bus}, but does not wake as a chip of this family: it answered {answer}.",
        "Take the other part off the bus, or correct the address.",
        Board.UNTOUCHED,
    ),
    FindingCode.LEFT_AWAKE: FindingText(
        "The chip was awake: another program has left it so.",
        "It sleeps now, and nothing has to be done here. Let that program send sleep or idle when it ends.",
        Board.GOOD,
        Weight.NOTE,
    ),
    FindingCode.DAMAGED_TRANSFERS: FindingText(
        "{damaged} of {count} transfers were damaged: {replies} on the way to this computer, {commands} on the way to"
        " the chip.",
        "Check the contact of the board, cable and ground; set an I2C bus to 100 kHz or less. Then examine it again.",
    ),
    FindingCode.LOST_REPLIES: FindingText(
        "{lost} of {count} commands got no reply.",
        "Check the contact of the board and its supply, and that no other program uses it. Then examine it again.",
    ),
    FindingCode.SUPPLY_SAGS: FindingText(
        "The chip restarted {where}: its supply sags.",
        "Check the supply, the ground and the contact of the board, and the capacitor beside the chip. Then examine it"
        " again.",
    ),
    FindingCode.SELF_TEST_FAILED: FindingText(
        "The chip's self test failed: {tests}.",
        "The chip is damaged. Use another one.",
        Board.SCRAP,
    ),
    FindingCode.TRUST_PART: FindingText(
        "The chip is an {name}, delivered with its configuration locked by the maker.",
        "Nothing has to be done. A product with another configuration needs a blank part.",
        Board.GOOD,
        Weight.NOTE,
    ),
    FindingCode.CONFIG_OPEN: FindingText(
        "The configuration zone is not locked: the chip is new, or a run was cut before stage 2.",
        "Provision it with provisioning-client. Before that it makes no random numbers and keeps no key.",
        Board.RETRY,
        Weight.NOTE,
    ),
    FindingCode.DATA_OPEN: FindingText(
        "The data zone is not locked: the rules of the slots are not in force yet.",
        "Finish the board with provisioning-client: it continues where it stopped.",
        Board.RETRY,
        Weight.NOTE,
    ),
    FindingCode.CONFIG_FOREIGN: FindingText(
        "The configuration is not one of atcaprov's own: {reason}.",
        "If it should be your product's, name its file with --config. 'atcaprov chip info --device {url}' explains it.",
        Board.UNTOUCHED,
        Weight.NOTE,
    ),
    FindingCode.NOT_A_SERVER: FindingText(
        "What listens at {host}:{port} does not answer as a Provisioning Server: {reason}",
        "Check --host and --port; a Provisioning Server listens at port 11235 unless it was told otherwise.",
        Board.UNTOUCHED,
    ),
}

PASSED_ON: Final = frozenset(
    {
        Code.USAGE,
        Code.ADDRESS_FORM,
        Code.LIBRARY_MISSING,
        Code.DEVICE_NOT_FOUND,
        Code.DEVICE_NO_PERMISSION,
        Code.DEVICE_BUSY,
        Code.DEVICE_NO_REPLY,
        Code.DEVICE_OTHER_ADDRESS,
        Code.WRONG_PART,
        Code.REVISION_UNKNOWN,
        Code.CONFIG_LOCKED_OTHER,
        Code.USER_EXTRA_SET,
        Code.KEY_WITHOUT_CERTIFICATE,
        Code.CERTIFICATE_WITHOUT_KEY,
        Code.KEY_MISMATCH,
        Code.ROOT_NOT_PINNED,
        Code.CERTIFICATE_EXPIRED,
        Code.CLOCK_WRONG,
        Code.SERVER_UNREACHABLE,
        Code.SERVER_DROPPED,
        Code.SIGNER_UNKNOWN,
        Code.SIGNER_NOT_READY,
    }
)
"""Errors of other programs that are common findings. Any other error is passed on in the same way."""


def finding(code: FindingCode, **seen: object) -> DiagnosticFinding:
    """Return a finding with the values that were seen in its sentences."""
    text = TEXTS[code]
    return DiagnosticFinding(code, text.what.format(**seen), text.advice.format(**seen), text.board, text.weight)


def of_error(error: AtcaProvError, *, weight: Weight = Weight.PROBLEM, more: str = "") -> DiagnosticFinding:
    """Return an error as a finding; `more` is a sentence behind what happened."""
    return DiagnosticFinding(error.code, f"{error.what} {more}".rstrip(), error.advice, error.board, weight)
