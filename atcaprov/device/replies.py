"""Checks of a chip's reply before the vendor's C code sees it, which would read past a malformed one."""

from __future__ import annotations

from typing import Final

from atcaprov.chip import status_errors
from atcaprov.chip.commands import GEN_KEY_CREATE, P1_32_BYTES, WAKE_TOKEN, Opcode, Status
from atcaprov.chip.crc import crc16
from atcaprov.chip.modes import GEN_KEY_DIGEST, NONCE_FIXED, NONCE_MODE, SHA_END, SHA_MODE
from atcaprov.errors import Code, DeviceError, ProtocolError

STATUS_REPLY_SIZE: Final = 4
_WORD_REPLY_SIZE: Final = 7
_BLOCK_REPLY_SIZE: Final = 35
_DIGEST_REPLY_SIZE: Final = 35
_PUBLIC_KEY_REPLY_SIZE: Final = 67
_GEN_KEY_PUBLIC: Final = (0x00, GEN_KEY_DIGEST)
"""Modes of GenKey that return the public key of a stored private key, the second with a digest in TempKey."""
MAX_REPLY_SIZE: Final = 155
"""The longest packet of the part: a SHA context of 99 bytes, or 151 bytes, with room for both (cryptoauthlib)."""

_DATA_REPLY_SIZES: Final[dict[int, int]] = {
    # Replies whose size the opcode alone decides: data bytes plus count and CRC.
    Opcode.INFO: 7,
    Opcode.COUNTER: 7,
    Opcode.RANDOM: 35,
    Opcode.MAC: 35,
    Opcode.SIGN: 67,
    Opcode.AES: 19,
}
_STATUS_ONLY: Final = frozenset(
    {
        Opcode.WRITE,
        Opcode.LOCK,
        Opcode.UPDATE_EXTRA,
        Opcode.GEN_DIG,
        Opcode.DERIVE_KEY,
        Opcode.PRIV_WRITE,
        Opcode.CHECK_MAC,
        Opcode.SELF_TEST,
    }
)


def command_name(packet: bytes) -> str:
    """Return the name of the command in a packet, such as `GenKey`, or its opcode in hex."""
    try:
        return "".join(part.capitalize() for part in Opcode(packet[1]).name.split("_"))
    except ValueError:
        return f"command {packet[1]:02X}"


def check_reply(packet: bytes, reply: bytes) -> None:
    """Check count, CRC and size of `reply` to the command in `packet`.

    Raises:
        ProtocolError: the reply is short, of the wrong size for the command, or its CRC is wrong; it says that a
            command which gives data is done (code BAD_PACKET); or it is the answer to a wake (code CHIP_RESTARTED).
    """
    if not STATUS_REPLY_SIZE <= len(reply) <= MAX_REPLY_SIZE or reply[0] != len(reply):
        raise _bad(packet, f"a reply of {len(reply)} bytes whose count says {reply[0] if reply else 'nothing'}")
    if crc16(reply[:-2]) != int.from_bytes(reply[-2:], "little"):
        raise _bad(packet, "a reply with a wrong CRC")
    if reply == WAKE_TOKEN:
        raise _restarted(packet)
    # The vendor's library would take the bytes behind a status 00 for data.
    refuses = len(reply) == STATUS_REPLY_SIZE and reply[1] != Status.SUCCESS
    expected = _data_reply_size(packet)
    if not refuses and expected is not None and len(reply) != expected:
        raise _bad(packet, f"a reply of {len(reply)} bytes instead of {expected}")


def _data_reply_size(packet: bytes) -> int | None:
    """Return the size of a reply with data, STATUS_REPLY_SIZE where there is none, None where several are right."""
    opcode, mode = packet[1], packet[2]
    if opcode in _STATUS_ONLY:
        return STATUS_REPLY_SIZE
    if opcode == Opcode.READ:
        return _BLOCK_REPLY_SIZE if mode & P1_32_BYTES else _WORD_REPLY_SIZE
    if opcode == Opcode.GEN_KEY:
        gives_key = mode & GEN_KEY_CREATE or mode in _GEN_KEY_PUBLIC
        return _PUBLIC_KEY_REPLY_SIZE if gives_key else STATUS_REPLY_SIZE
    if opcode == Opcode.SHA and mode & SHA_MODE == SHA_END:
        return _DIGEST_REPLY_SIZE
    if opcode == Opcode.NONCE:
        return STATUS_REPLY_SIZE if mode & NONCE_MODE == NONCE_FIXED else _BLOCK_REPLY_SIZE
    return _DATA_REPLY_SIZES.get(opcode)


def _bad(packet: bytes, what: str) -> ProtocolError:
    return ProtocolError(
        f"The chip answered {command_name(packet)} with {what}.",
        advice="Check the contact of the board in its fixture and try again.",
        code=Code.BAD_PACKET,
    )


def _restarted(packet: bytes) -> ProtocolError:
    """Return the error for status 11, which a chip gives once after a wake: it woke in the middle of a command."""
    return ProtocolError(
        f"The chip answered {command_name(packet)} with the reply to a wake (status 11): its supply sagged and it"
        " restarted, so whether the command was executed is unknown.",
        advice="Check the contact, the supply and the ground of the board, then try again: a run continues where it"
        " stopped.",
        code=Code.CHIP_RESTARTED,
    )


def refusal(packet: bytes, status: int) -> DeviceError:
    """Return the error for a refused command: `packet` as sent, `status` byte as answered."""
    error = status_errors.refusal(command_name(packet), status)
    error.head = packet[1:5]
    return error
