"""One chip: methods named after the commands, typed errors, a lock of its own, and no change without a permit."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from atcaprov.chip.commands import Status, Zone
from atcaprov.chip.memory_map import (
    BLOCK_SIZE,
    CONFIG_SIZE,
    PUBLIC_KEY_SIZE,
    SLOT_SIZES,
    WORD_SIZE,
    serial_number,
)
from atcaprov.device import parameters
from atcaprov.device.command_guard import Act
from atcaprov.device.driver import Driver
from atcaprov.device.parameters import buffer, require_size
from atcaprov.device.refusal_rules import CommandHead, forbidding_rule
from atcaprov.errors import AtcaProvError, DeviceError, UsageError
from atcaprov.hal.base import Hal
from atcaprov.hal.registry import open_hal
from atcaprov.hal.tracing.hal import TracedHal
from atcaprov.hal.tracing.trace_file import create_trace

_NONCE_TO_MESSAGE_DIGEST_BUFFER: Final = 0x40
_SIGN_EXTERNAL_FROM_DIGEST_BUFFER: Final = 0xA0
_KEY_VALID: Final = 0x01
NUM_IN_SIZE: Final = 20
SECRET_SIZE: Final = 32
CHECK_MAC_OTHER_SIZE: Final = 13
DIGEST_SIZE: Final = 32
SIGNATURE_SIZE: Final = 64


class Device:
    """One chip behind a HAL, driven through its own handle of the vendor's library.

    Reading needs no permit; a command that changes the chip is sent inside `permit` only. Any thread may call; one
    command runs at a time. Every method raises `TransportError` when the chip does not answer,
    `ProtocolError` when its answer is damaged, `DeviceError` with status byte and command when it refuses, and
    `UsageError` before anything is sent when an argument is out of range.
    """

    def __init__(self, hal: Hal, *, now: Callable[[], float] = time.monotonic) -> None:
        """Start the vendor's library for a chip; `now` gives the seconds by which its watchdog is judged."""
        self._driver = Driver(hal, now)

    @classmethod
    def open(cls, url: str, *, trace: Path | None = None) -> Self:
        """Open the chip that a device URL names (see `atcaprov.hal.registry`).

        `trace` is a new file for what passes between host and chip; bytes that may belong to a secret are masked.
        """
        hal = open_hal(url)
        try:
            if trace is not None:
                hal = TracedHal(hal, create_trace(trace, url))  # closes its file and the HAL inside
            return cls(hal)
        except BaseException:
            hal.close()
            raise

    @property
    def url(self) -> str:
        """Device URL of the chip; another one after it has moved to another I2C address."""
        return self._driver.url

    def follow(self, address: int) -> str:
        """Find the chip at `address` too, the 8-bit I2C address to which it moves when it sleeps; return its URL there.

        Raises:
            TransportError: another program has a chip there (code DEVICE_BUSY).
        """
        return self._driver.follow(address)

    def close(self) -> None:
        """Send the chip to sleep, if it still answers, and release it; closing twice does no harm."""
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, DeviceError):
            self.explain(error)
        self.close()

    def explain(self, error: DeviceError) -> None:
        """Add to a refusal (status 0F) which bit of the chip's configuration forbids the command, if one does.

        Reads the configuration zone; a chip that does not show it leaves the error as it is. An error that leaves the
        chip's `with` block is explained there.
        """
        if error.status != Status.EXECUTION_ERROR or not error.head or error.forbidding_bit:
            return
        with suppress(AtcaProvError):
            rule = forbidding_rule(CommandHead.of(b"\0" + error.head), self.read_config())
            if rule is not None:
                error.forbidding_bit = rule.bit
                error.what = f"{error.what} {rule.sentence}"

    def permit(self, *acts: Act) -> AbstractContextManager[None]:
        """Permit these acts to the calling thread until the block ends."""
        return self._driver.guard.permit(*acts)

    def undisturbed(self) -> AbstractContextManager[Any]:
        """Keep other threads away until the block ends: commands that need TempKey or follow each other."""
        return self._driver.lock

    def burst(self) -> AbstractContextManager[None]:
        """Leave the chip awake between the commands of a block, which saves two of three requests to a kit.

        A pause longer than the chip's watchdog costs it what it keeps in its volatile memory, and nothing else. While
        the chip is awake it keeps an I2C bus from other programs: call `rest` before a pause that is known.
        """
        return self._driver.burst()

    def begun_once(self) -> AbstractContextManager[None]:
        """Keep other threads away and send no command again that has failed inside the chip, until the block ends.

        Such a command may have used up an authorization, and a use of a key of limited use.
        """
        return self._driver.begun_once()

    def rest(self) -> None:
        """Send the chip to sleep until the next command, in the middle of a burst too; its volatile memory is lost."""
        self._driver.rest()

    # Reading

    def info(self) -> bytes:
        """Return the revision, 4 bytes: 00 00 60 02 on an ATECC608A. It alone tells the part."""
        return self._driver.filled(4, lambda out: self._driver.call("calib_info", out))

    def has_valid_key(self, slot: int) -> bool:
        """Tell whether the chip holds a valid P-256 key in `slot`, by Info in its mode KeyValid.

        Data sheets and the vendor's library name different bytes for the 1, so any of the four counts.
        """
        parameters.require_slot(slot)
        return any(self._driver.filled(4, lambda out: self._driver.call("calib_info_base", _KEY_VALID, slot, out)))

    def read_config(self) -> bytes:
        """Return the configuration zone, 128 bytes, by four reads."""
        return b"".join(self._read(Zone.CONFIG, 0, block, 0, BLOCK_SIZE) for block in range(CONFIG_SIZE // BLOCK_SIZE))

    def read_config_word(self, word: int) -> bytes:
        """Return 4 bytes of the configuration zone; `word` counts from 0 to 31."""
        parameters.require_config_word(word)
        return self._read(Zone.CONFIG, 0, word // 8, word % 8, WORD_SIZE)

    def serial_number(self) -> bytes:
        """Return the serial number, 9 bytes, by one read."""
        return serial_number(self._read(Zone.CONFIG, 0, 0, 0, BLOCK_SIZE))

    def read_slot(self, slot: int, offset: int, count: int) -> bytes:
        """Return `count` bytes of a data slot from `offset`, by as few reads as cover them."""
        parameters.require_slot_bytes(slot, offset, count)
        end = offset + count
        first = offset - offset % BLOCK_SIZE
        content, position = b"", first
        while position < end:
            whole = position + BLOCK_SIZE <= SLOT_SIZES[slot] and end - position > 2 * WORD_SIZE
            size = BLOCK_SIZE if whole else WORD_SIZE
            block, word = position // BLOCK_SIZE, position % BLOCK_SIZE // WORD_SIZE
            content += self._read(Zone.DATA, slot, block, word, size)
            position += size
        return content[offset - first : end - first]

    def read_otp(self, block: int, count: int) -> bytes:
        """Return the first `count` bytes of a block (0 or 1, 32 bytes each) of the OTP zone, and of those behind it."""
        blocks = range(block, block - (-count // BLOCK_SIZE))
        return b"".join(self._read(Zone.OTP, 0, number, 0, BLOCK_SIZE) for number in blocks)[:count]

    def get_pubkey(self, slot: int) -> bytes:
        """Return the public key of the private key in `slot`, 64 bytes X||Y."""
        parameters.require_slot(slot)
        return self._driver.filled(PUBLIC_KEY_SIZE, lambda out: self._driver.call("calib_get_pubkey", slot, out))

    def random(self) -> bytes:
        """Return 32 random bytes; before the configuration lock they are a fixed pattern."""
        return self._driver.filled(32, lambda out: self._driver.call("calib_random", out))

    def sha256(self, message: bytes) -> bytes:
        """Return the SHA-256 digest, 32 bytes, of up to 65,535 bytes, computed by the chip."""
        parameters.require_message(message)
        return self._driver.filled(
            DIGEST_SIZE, lambda out: self._driver.call("calib_sha", len(message), buffer(message), out)
        )

    # Keys in use

    def sign(self, slot: int, digest: bytes) -> bytes:
        """Return the signature R||S, 64 bytes, of a 32-byte digest under the private key in `slot`."""
        parameters.require_slot(slot)
        require_size("digest", digest, DIGEST_SIZE)
        target = _NONCE_TO_MESSAGE_DIGEST_BUFFER
        with self._driver.lock:
            self._driver.call("calib_nonce_load", target, buffer(digest), DIGEST_SIZE)
            return self._driver.filled(
                SIGNATURE_SIZE,
                lambda out: self._driver.call("calib_sign_base", _SIGN_EXTERNAL_FROM_DIGEST_BUFFER, slot, out),
            )

    def verify_extern(self, digest: bytes, signature: bytes, public_key: bytes) -> bool:
        """Let the chip verify R||S (64 bytes) of a 32-byte digest under X||Y (64 bytes)."""
        require_size("digest", digest, DIGEST_SIZE)
        require_size("signature", signature, SIGNATURE_SIZE)
        require_size("public key", public_key, PUBLIC_KEY_SIZE)
        verified = ctypes.c_bool(False)
        arguments = (buffer(digest), buffer(signature), buffer(public_key), ctypes.byref(verified))
        self._driver.call("calib_verify_extern", *arguments)
        return verified.value

    def nonce_random(self, num_in: bytes) -> bytes:
        """Make a random nonce in TempKey from `num_in` (20 bytes); return the chip's random output, 32 bytes."""
        require_size("NumIn", num_in, NUM_IN_SIZE)
        return self._driver.filled(32, lambda out: self._driver.call("calib_nonce_rand", buffer(num_in), out))

    def check_mac(self, slot: int, mode: int, response: bytes, other_data: bytes) -> bool:
        """Let the chip compare a MAC (32 bytes) over TempKey with its own under the secret in `slot`.

        A match authorizes the next use of a key whose AuthKey is `slot` (see `authorized_use`). `other_data`: 13 bytes.
        """
        parameters.require_slot(slot)
        parameters.require_number("The mode of CheckMac without OTP bytes", mode, 7)
        require_size("response", response, DIGEST_SIZE)
        require_size("OtherData", other_data, CHECK_MAC_OTHER_SIZE)
        arguments = (buffer(bytes(32)), buffer(response), buffer(other_data))
        try:
            self._driver.call("calib_checkmac", mode, slot, *arguments)
        except DeviceError as error:
            if error.status != Status.MISMATCH:
                raise
            return False
        return True

    def mac(self, slot: int, challenge: bytes) -> bytes:
        """Return the MAC (32 bytes) of a challenge (32 bytes) under the secret in `slot`, command MAC in mode 0."""
        parameters.require_slot(slot)
        require_size("challenge", challenge, DIGEST_SIZE)
        return self._driver.filled(
            DIGEST_SIZE, lambda out: self._driver.call("calib_mac", 0, slot, buffer(challenge), out)
        )

    def counter(self, number: int) -> int:
        """Return Counter 0 or 1."""
        parameters.require_counter(number)
        return self._counter("calib_counter_read", number)

    # Changing the chip: only inside `permit`

    def write_config(self, word: int, data: bytes) -> None:
        """Write 4 bytes, or a whole block of 32, of the configuration zone, from word 0 to 31."""
        parameters.require_config_word(word)
        if len(data) not in (WORD_SIZE, BLOCK_SIZE) or (len(data) == BLOCK_SIZE and word % 8):
            raise UsageError(f"A configuration write takes 4 bytes or a whole block, not {len(data)} at word {word}.")
        self._write(Zone.CONFIG, 0, word // 8, word % 8, data)

    def write_slot_block(self, slot: int, block: int, data: bytes) -> None:
        """Write 32 bytes to a block of a data slot; what lies past the slot's end falls off."""
        parameters.require_slot_block(slot, block)
        require_size("block", data, BLOCK_SIZE)
        self._write(Zone.DATA, slot, block, 0, data)

    def write_slot_word(self, slot: int, word: int, data: bytes) -> None:
        """Write 4 bytes to a word of a data slot, counted from the slot's beginning; its data zone must be locked."""
        parameters.require_slot_block(slot, word // 8)
        require_size("word", data, WORD_SIZE)
        self._write(Zone.DATA, slot, word // 8, word % 8, data)

    def write_otp_block(self, block: int, data: bytes) -> None:
        """Write 32 bytes to block 0 or 1 of the OTP zone."""
        parameters.require_otp_block(block)
        require_size("block", data, BLOCK_SIZE)
        self._write(Zone.OTP, 0, block, 0, data)

    def update_extra(self, mode: int, value: int) -> None:
        """Set byte 84 (mode 0) or 85 (mode 1) of the configuration zone, once."""
        parameters.require_number("The mode of UpdateExtra", mode, 1)
        parameters.require_number("The value of UpdateExtra", value, 0xFF)
        self._driver.call("calib_updateextra", mode, value)

    def write_secret(self, slot: int, secret: bytes, *, write_key: bytes, write_key_slot: int, num_in: bytes) -> None:
        """Replace the 32 bytes of a secret slot, encrypted under the slot's WriteKey (32 bytes); needs no clear write.

        `num_in` are 20 random bytes. The chip refuses (status 0F) when `write_key` is not what `write_key_slot` holds.
        """
        parameters.require_slot(slot)
        parameters.require_slot(write_key_slot)
        require_size("secret", secret, SECRET_SIZE)
        require_size("write key", write_key, SECRET_SIZE)
        require_size("NumIn", num_in, NUM_IN_SIZE)
        self._driver.call("calib_write_enc", slot, 0, buffer(secret), buffer(write_key), write_key_slot, buffer(num_in))

    def write_private_key(
        self, slot: int, private_key: bytes, *, write_key: bytes | None = None, write_key_slot: int = 0
    ) -> None:
        """Write a private key of P-256 (32 bytes) over what was in `slot`.

        It is encrypted under the slot's WriteKey (32 bytes) if that is given, else in clear, which the chip takes
        before the data lock only. The chip refuses (status 0F) when `write_key` is not what `write_key_slot` holds.
        """
        parameters.require_slot(slot)
        parameters.require_slot(write_key_slot)
        require_size("private key", private_key, SECRET_SIZE)
        padded, num_in = buffer(bytes(4) + private_key), buffer(os.urandom(NUM_IN_SIZE))
        if write_key is None:
            self._driver.call("calib_priv_write", slot, padded, 0, None, num_in)
            return
        require_size("write key", write_key, SECRET_SIZE)
        self._driver.call("calib_priv_write", slot, padded, write_key_slot, buffer(write_key), num_in)

    def increment_counter(self, number: int) -> int:
        """Advance Counter 0 or 1 by one, permanently, and return its new value."""
        parameters.require_counter(number)
        return self._counter("calib_counter_increment", number)

    def gen_key(self, slot: int) -> bytes:
        """Generate a private key inside the chip, over what was there; return the public key, 64 bytes X||Y."""
        parameters.require_slot(slot)
        return self._driver.filled(PUBLIC_KEY_SIZE, lambda out: self._driver.call("calib_genkey", slot, out))

    def lock_config(self, summary_crc: int) -> None:
        """Lock the configuration zone permanently; the chip refuses if its content has another CRC."""
        parameters.require_crc(summary_crc)
        self._driver.call("calib_lock_config_zone_crc", summary_crc)

    def lock_data(self, summary_crc: int) -> None:
        """Lock the data and OTP zones permanently; the chip refuses if their content has another CRC."""
        parameters.require_crc(summary_crc)
        self._driver.call("calib_lock_data_zone_crc", summary_crc)

    def lock_slot(self, slot: int) -> None:
        """Lock one slot permanently."""
        parameters.require_slot(slot)
        self._driver.call("calib_lock_data_slot", slot)

    # What several commands share

    def _counter(self, function: str, number: int) -> int:
        value = ctypes.c_uint32()
        self._driver.call(function, number, ctypes.byref(value))
        return value.value

    def _read(self, zone: Zone, slot: int, block: int, word: int, size: int) -> bytes:
        return self._driver.filled(
            size, lambda out: self._driver.call("calib_read_zone", zone, slot, block, word, out, size)
        )

    def _write(self, zone: Zone, slot: int, block: int, word: int, data: bytes) -> None:
        self._driver.call("calib_write_zone", zone, slot, block, word, buffer(data), len(data))


__all__ = ["Act", "Device"]
