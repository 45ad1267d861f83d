"""Use of keys that ask for an authorization (ReqAuth): Nonce, CheckMac, and at once the one command, each time.

The sheet of the ATECC508A lets an authorization serve one use (DS20005927A, 2.2.5 and 3.2.9); it is not published
how an ATECC608 has it. So nothing here uses what an earlier command may have left over, and nothing relies on its
having ended: the chip sleeps after each use. No command is tried to find out whether it is still authorized: whether a
refused use counts for LimitedUse is not published either.

Between CheckMac and the command comes only what brings its input: Nonce with the digest for Sign; for GenDig a random
Nonce, as CheckMac leaves none, and before it the Read of the serial number with which the vendor's library begins an
encrypted write. Firmware of products with an ATECC608 does the same (BitBoxSwiss/bitbox02-firmware src/atecc/atecc.c,
KeystoneHQ/keystone3-firmware src/driver/drv_atecc608b.c).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, TypeVar

from atcaprov.chip.commands import Opcode, Status
from atcaprov.device.device import CHECK_MAC_OTHER_SIZE, NUM_IN_SIZE, Device
from atcaprov.errors import DeviceError

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
    """Return the response (32 bytes) that CheckMac expects without OTP bytes; `other_data` has 13 bytes.

    The hashed message is laid out as in cryptoauthlib lib/host/atca_host.c, and DS20005927A, command CheckMac.
    """
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


_CHECK_MAC: Final = "CheckMac"
_WRITE: Final = "Write"
_REPEATED: Final = frozenset({Status.EXECUTION_ERROR, Status.ECC_FAULT})
_Answer = TypeVar("_Answer")
Refused = Callable[[DeviceError], object]


class NotAuthorizedError(DeviceError):
    """The chip does not hold the secret that was to authorize a use; the use was not tried."""


def _tells_of_write_key(error: DeviceError) -> bool:
    """Tell a refused Write from the refusal of GenDig before it, which is what needs the authorization."""
    return error.status == Status.EXECUTION_ERROR and error.command == _WRITE


def _ignore(_: DeviceError) -> None:
    pass


class AuthorizedUse:
    """The commands that use keys whose AuthKey is one slot of a chip; each authorizes itself and ends with sleep.

    `secret` (32 bytes) is what that slot holds; None for keys that ask for none. `serial_number` has 9 bytes. Methods
    raise as those of `Device`, and NotAuthorizedError. A use that is refused (status 0F) or fails inside the chip (05)
    is repeated once, with an authorization of its own: the chip may have lost power behind CheckMac.
    """

    def __init__(self, device: Device, slot: int, serial_number: bytes) -> None:
        self._device = device
        self._slot = slot
        self._serial_number = serial_number

    def accepts(self, secret: bytes) -> bool:
        """Tell whether the slot holds this secret."""
        with self._alone():
            return self._authorize(secret)

    def sign(self, slot: int, digest: bytes, secret: bytes | None, refused: Refused = _ignore) -> bytes:
        """Return R||S (64 bytes) of a digest (32 bytes) under the private key in `slot`.

        `refused` is called each time that the chip answers 0F or 05, before anything else is asked, and may raise
        instead.
        """
        return self._use(secret, lambda: self._device.sign(slot, digest), refused)

    def get_pubkey(self, slot: int, secret: bytes | None) -> bytes:
        """Return X||Y (64 bytes) of the private key in `slot`."""
        return self._use(secret, lambda: self._device.get_pubkey(slot))

    def gen_key(self, slot: int, secret: bytes | None) -> bytes:
        """Generate a private key over what was in `slot`, inside a permit; return X||Y (64 bytes)."""
        return self._use(secret, lambda: self._device.gen_key(slot))

    def write_secret(
        self, slot: int, new: bytes, secret: bytes, *, write_key: bytes, write_key_slot: int, num_in: bytes
    ) -> bool:
        """Replace the 32 bytes of `slot` inside a permit, as `Device.write_secret`; the write key asks for `secret`.

        False: the chip holds another write key, and nothing was written.
        """
        write = partial(self._device.write_secret, slot, new, write_key=write_key, write_key_slot=write_key_slot)
        try:
            self._use(secret, lambda: write(num_in=num_in))
        except DeviceError as error:
            if not _tells_of_write_key(error):
                raise
            return False
        return True

    def _use(self, secret: bytes | None, command: Callable[[], _Answer], refused: Refused = _ignore) -> _Answer:
        try:
            return self._once(secret, command)
        except DeviceError as error:
            if error.status not in _REPEATED or _tells_of_write_key(error):
                raise
            refused(error)
        try:
            return self._once(secret, command)
        except DeviceError as error:
            if error.status in _REPEATED:
                refused(error)
            raise

    def _once(self, secret: bytes | None, command: Callable[[], _Answer]) -> _Answer:
        with self._alone():
            if secret is not None and not self._authorize(secret):
                raise NotAuthorizedError(
                    f"The chip does not accept the secret of slot {self._slot}.",
                    command=_CHECK_MAC,
                    status=Status.MISMATCH,
                    advice="Run the same command again.",
                )
            return command()

    def _authorize(self, secret: bytes) -> bool:
        return authorize(self._device, self._slot, secret, serial_number=self._serial_number)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let nothing of another thread come between, leave the chip awake, and let it sleep at the end."""
        with self._device.begun_once(), self._device.burst():
            try:
                yield
            finally:
                self._device.rest()
