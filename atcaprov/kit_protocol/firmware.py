"""Firmwares as data: in what the published interpreters of the kit protocol differ."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final


class WordMatch(enum.Enum):
    """How a firmware recognises a command word."""

    FIRST_LETTER = "first letter"
    WORD_OR_LETTER = "full word or its first letter"
    PREFIX = "any beginning"


class KitStatus(enum.IntEnum):
    """Kit status codes; those above are the low byte of the vendor library's numbers."""

    OK = 0x00
    UNKNOWN_COMMAND = 0xC0
    OVERFLOW = 0xC1
    BAD_PARAMETER = 0xC3
    NO_DEVICE = 0xC5
    LIBRARY_BAD_PARAMETER = 0xE2
    LIBRARY_NO_RESPONSE = 0xE7
    LIBRARY_SMALL_BUFFER = 0xED
    LIBRARY_COMMUNICATION = 0xF0


@dataclass(frozen=True)
class KitFirmware:
    """One firmware."""

    name: str
    version: str
    """Board name in the answer to `board:version()`; empty: the firmware repeats the request."""
    firmware_answer: str
    """Answer to `board:firmware(00)`, status included; empty: the firmware repeats the request."""
    match: WordMatch
    atomic: bool
    """Wake is a canned answer and idle does nothing; talk wakes and idles by itself."""
    wakes_in_talk: bool
    """Talk is a whole command, wake and idle included, although these also work by themselves."""
    needs_closing_parenthesis: bool
    select_checks_address: bool
    type_name: str
    """What every chip is called; empty: by its revision."""
    empty_entry: str
    past_table: str
    table_size: int
    library_numbers: bool
    """Errors, and refusals of the chip, are eight hex digits of a negative number of the vendor's library."""
    unknown_command: int
    bad_parameter: int
    overflow: int
    no_response: int


AT90USB: Final = KitFirmware(
    name="at90usb",
    version="ECCSIGN",
    firmware_answer="AT88CKECCSIGNER 00(010005)",
    match=WordMatch.FIRST_LETTER,
    atomic=True,
    wakes_in_talk=False,
    needs_closing_parenthesis=False,
    select_checks_address=True,
    type_name="ECC108",
    empty_entry="no_device C5()",
    past_table="C5()",
    table_size=4,
    library_numbers=False,
    unknown_command=KitStatus.UNKNOWN_COMMAND,
    bad_parameter=KitStatus.BAD_PARAMETER,
    overflow=KitStatus.OVERFLOW,
    no_response=KitStatus.LIBRARY_NO_RESPONSE,
)
"""AT88CK490, AT88CK590, AT88CKECCROOT and AT88CKECCSIGNER."""

PARSER3: Final = KitFirmware(
    name="parser3",
    version="CryptoAuthTrustPlatform",
    firmware_answer="CryptoAuthTrustPlatform 00(030200)",
    match=WordMatch.WORD_OR_LETTER,
    atomic=False,
    wakes_in_talk=False,
    needs_closing_parenthesis=True,
    select_checks_address=False,
    type_name="",
    empty_entry="no_device ",
    past_table="no_device ",
    table_size=8,
    library_numbers=False,
    unknown_command=KitStatus.UNKNOWN_COMMAND,
    bad_parameter=KitStatus.LIBRARY_BAD_PARAMETER,
    overflow=KitStatus.LIBRARY_SMALL_BUFFER,
    no_response=KitStatus.LIBRARY_NO_RESPONSE,
)
"""MicrochipTech/KitProtocol_Parser 3.2.0 on SAMD21 boards, such as DM320118."""

KIT_HOST: Final = KitFirmware(
    name="kit_host",
    version="",
    firmware_answer="",
    match=WordMatch.PREFIX,
    atomic=False,
    wakes_in_talk=True,
    needs_closing_parenthesis=False,
    select_checks_address=False,
    type_name="",
    empty_entry="FFFFFFE0()",
    past_table="FFFFFFE0()",
    table_size=8,
    library_numbers=True,
    unknown_command=KitStatus.LIBRARY_BAD_PARAMETER,
    bad_parameter=KitStatus.LIBRARY_BAD_PARAMETER,
    overflow=KitStatus.LIBRARY_SMALL_BUFFER,
    no_response=KitStatus.LIBRARY_COMMUNICATION,
)
"""cryptoauthlib app/kit_host."""

FIRMWARES: Final = {firmware.name: firmware for firmware in (AT90USB, PARSER3, KIT_HOST)}
