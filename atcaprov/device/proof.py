"""Prove to a chip that the host knows a secret of it (Nonce, CheckMac), which authorizes the keys that ask for it.

Sleep and loss of power end the authorization, idle keeps it. Whether a use ends it, and whether a failed CheckMac does,
is not published for the ATECC608: `authorized_use` holds under each answer. Message layouts: SHA-256 as in
cryptoauthlib lib/host/atca_host.c, and DS20005927A, command CheckMac.
"""

from __future__ import annotations

import hashlib
import os
from typing import Final

from atcaprov.chip.commands import Opcode
from atcaprov.device.device import CHECK_MAC_OTHER_SIZE, NUM_IN_SIZE, Device

_CHALLENGE_IS_TEMP_KEY: Final = 0x01
"""CheckMac mode: the second block is TempKey, made by a random nonce; so a response is good once only."""


def authorize(device: Device, slot: int, secret: bytes, *, serial_number: bytes) -> bool:
    """Prove that the host knows the 32-byte `secret` in `slot`; True if it does.

    `serial_number` are the chip's 9 bytes. After False the chip may still hold an earlier authorization.
    """
    num_in = os.urandom(NUM_IN_SIZE)
    other_data = _other_data(slot)
    with device.undisturbed():
        temp_key = random_nonce(device.nonce_random(num_in), num_in)
        response = check_mac_response(secret, temp_key, other_data, serial_number)
        return device.check_mac(slot, _CHALLENGE_IS_TEMP_KEY, response, other_data)


def random_nonce(random_out: bytes, num_in: bytes) -> bytes:
    """Return what TempKey holds after a random nonce (mode 0): 32 bytes from RandOut (32) and NumIn (20)."""
    return hashlib.sha256(random_out + num_in + bytes((Opcode.NONCE, 0, 0))).digest()


def check_mac_response(secret: bytes, challenge: bytes, other_data: bytes, serial_number: bytes) -> bytes:
    """Return the response (32 bytes) that CheckMac expects without OTP bytes; `other_data` has 13 bytes."""
    return hashlib.sha256(
        b"".join(
            (
                secret,
                challenge,
                other_data[:4],
                bytes(8),
                other_data[4:7],
                serial_number[8:],
                other_data[7:11],
                serial_number[:2],
                other_data[11:],
            )
        )
    ).digest()


def mac(secret: bytes, slot: int, challenge: bytes, *, serial_number: bytes) -> bytes:
    """Return what the command MAC (mode 0) of a chip answers: 32 bytes, of a challenge and a secret of 32 each."""
    return check_mac_response(secret, challenge, _other_data(slot, 0), serial_number)


def _other_data(slot: int, mode: int = _CHALLENGE_IS_TEMP_KEY) -> bytes:
    """Return the fields of the MAC command that a chip would have answered, as is the custom."""
    return (bytes((Opcode.MAC, mode)) + slot.to_bytes(2, "little")).ljust(CHECK_MAC_OTHER_SIZE, b"\0")
