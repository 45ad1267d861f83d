"""One chip: methods named as the commands, typed errors, its own lock, and a door that is shut unless opened."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
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
from atcaprov.device.awake import AwakeChip
from atcaprov.device.guard import Act, Guard
from atcaprov.device.interrupts import beyond_signals
from atcaprov.device.kit_bridge import KitBridge
from atcaprov.device.library import (
    DEVICE_TYPE_608,
    KIT_DEV_IDENTITY,
    KIT_DEV_INTERFACE_I2C,
    KIT_INTERFACE,
    load_library,
)
from atcaprov.device.refusals import refusal
from atcaprov.errors import DeviceError, TransportError, UsageError
from atcaprov.hal.base import Hal
from atcaprov.hal.registry import open_hal
from atcaprov.vendor_library import InterfaceConfig

_SUCCESS: Final = 0
_RESENDS: Final = 2
_NOT_EXECUTED: Final = frozenset({Status.CRC_ERROR, Status.WATCHDOG, Status.ECC_FAULT})
"""Statuses after which the chip is as it was before the command, so that sending it again is safe."""

_NONCE_TO_MESSAGE_DIGEST_BUFFER: Final = 0x40
_SIGN_EXTERNAL_FROM_DIGEST_BUFFER: Final = 0xA0
NUM_IN_SIZE: Final = 20
SECRET_SIZE: Final = 32
CHECK_MAC_OTHER_SIZE: Final = 13
DIGEST_SIZE: Final = 32
SIGNATURE_SIZE: Final = 64


class Device:
    """One chip behind a HAL, driven through an own handle of the vendor's library.

    Reading needs nothing; a command that changes the chip passes only inside `permit`. Methods may be called from any
    thread; one command runs at a time. Every method raises `TransportError` when the chip does not answer,
    `ProtocolError` when its answer is damaged, and `DeviceError` with status byte and command when it refuses.
    """

    def __init__(self, hal: Hal, *, now: Callable[[], float] = time.monotonic) -> None:
        """Start the vendor's library for a chip; `now` gives the seconds by which its watchdog is judged."""
        self.url = hal.url
        self._hal = hal
        self._guard = Guard()
        self._chip = AwakeChip(hal, now)
        self._bridge = KitBridge(self._chip, hal.url, self._guard)
        self._lock = threading.RLock()
        self._library = load_library()
        self._handle = ctypes.c_void_p()
        self._config = InterfaceConfig(iface_type=KIT_INTERFACE, devtype=DEVICE_TYPE_608, rx_retries=1)
        self._config.parameters.kit.dev_interface = KIT_DEV_INTERFACE_I2C
        self._config.parameters.kit.dev_identity = KIT_DEV_IDENTITY
        self._attach()

    def _attach(self) -> None:
        self._library.hal_kit_attach_phy(ctypes.byref(self._config), ctypes.byref(self._bridge.phy))
        status = self._library.atcab_init_ext(ctypes.byref(self._handle), ctypes.byref(self._config))
        self._bridge.raise_failure()
        if status != _SUCCESS:
            raise TransportError(f"The vendor's driver could not be started for {self.url} (status {status}).")

    @classmethod
    def open(cls, url: str) -> Self:
        """Open the chip that a device URL names (see `atcaprov.hal.registry`)."""
        hal = open_hal(url)
        try:
            return cls(hal)
        except BaseException:
            hal.close()
            raise

    def close(self) -> None:
        """Send the chip to sleep, if it still answers, and release it; closing twice does no harm."""
        with self._lock:
            if not self._handle:
                return
            try:
                self._call("calib_sleep")
            except (TransportError, DeviceError):
                pass  # it is gone: nothing is left to put to sleep
            finally:
                self._library.atcab_release_ext(ctypes.byref(self._handle))
                self._handle = ctypes.c_void_p()
                self._hal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def permit(self, *acts: Act) -> AbstractContextManager[None]:
        """Open the door for these acts until the block ends."""
        return self._guard.permit(*acts)

    def undisturbed(self) -> AbstractContextManager[Any]:
        """Keep other threads away until the block ends: commands that need TempKey or follow each other."""
        return self._lock

    @contextmanager
    def burst(self) -> Iterator[None]:
        """Leave the chip awake between the commands of a block, which saves two of three requests to a kit.

        A pause longer than the chip's watchdog costs it what it keeps in its volatile memory, and nothing else. While
        the chip is awake it keeps an I2C bus from other programs: call `rest` before a pause that is known.
        """
        with self._lock:
            self._chip.begin_burst()
        try:
            yield
        finally:
            with self._lock:
                beyond_signals(self._chip.end_burst)

    def rest(self) -> None:
        """Send the chip to sleep until the next command, in the middle of a burst too; its volatile memory is lost."""
        with self._lock:
            beyond_signals(self._chip.rest)

    # Reading

    def info(self) -> bytes:
        """Return the revision, 4 bytes: 00 00 60 02 on an ATECC608A."""
        return self._filled(4, lambda out: self._call("calib_info", out))

    def read_config(self) -> bytes:
        """Return the configuration zone, 128 bytes, by four reads."""
        return b"".join(self._read(Zone.CONFIG, 0, block, 0, BLOCK_SIZE) for block in range(CONFIG_SIZE // BLOCK_SIZE))

    def read_config_word(self, word: int) -> bytes:
        """Return 4 bytes of the configuration zone; `word` counts from 0 to 31."""
        return self._read(Zone.CONFIG, 0, word // 8, word % 8, WORD_SIZE)

    def serial_number(self) -> bytes:
        """Return the serial number, 9 bytes, by one read."""
        return serial_number(self._read(Zone.CONFIG, 0, 0, 0, BLOCK_SIZE))

    def read_slot(self, slot: int, offset: int, count: int) -> bytes:
        """Return `count` bytes of a data slot from `offset`, by as few reads as cover them."""
        end = offset + count
        if not 0 <= slot < len(SLOT_SIZES) or offset < 0 or count < 1 or end > SLOT_SIZES[slot]:
            raise UsageError(f"Slot {slot} has no bytes {offset} to {end - 1}.")
        first = offset - offset % BLOCK_SIZE
        content, position = b"", first
        while position < end:
            whole = position + BLOCK_SIZE <= SLOT_SIZES[slot] and end - position > 2 * WORD_SIZE
            size = BLOCK_SIZE if whole else WORD_SIZE
            block, word = position // BLOCK_SIZE, position % BLOCK_SIZE // WORD_SIZE
            content += self._read(Zone.DATA, slot, block, word, size)
            position += size
        return content[offset - first : end - first]

    def get_pubkey(self, slot: int) -> bytes:
        """Return the public key of the private key in `slot`, 64 bytes X||Y."""
        return self._filled(PUBLIC_KEY_SIZE, lambda out: self._call("calib_get_pubkey", slot, out))

    def random(self) -> bytes:
        """Return 32 random bytes; before the configuration lock they are a fixed pattern."""
        return self._filled(32, lambda out: self._call("calib_random", out))

    def sha256(self, message: bytes) -> bytes:
        """Return the SHA-256 digest, 32 bytes, computed by the chip."""
        return self._filled(DIGEST_SIZE, lambda out: self._call("calib_sha", len(message), _buffer(message), out))

    # Keys in use

    def sign(self, slot: int, digest: bytes) -> bytes:
        """Return the signature R||S, 64 bytes, of a 32-byte digest under the private key in `slot`."""
        _require_size("digest", digest, DIGEST_SIZE)
        target = _NONCE_TO_MESSAGE_DIGEST_BUFFER
        with self._lock:
            self._call("calib_nonce_load", target, _buffer(digest), DIGEST_SIZE)
            return self._filled(
                SIGNATURE_SIZE,
                lambda out: self._call("calib_sign_base", _SIGN_EXTERNAL_FROM_DIGEST_BUFFER, slot, out),
            )

    def verify_extern(self, digest: bytes, signature: bytes, public_key: bytes) -> bool:
        """Let the chip verify R||S (64 bytes) of a 32-byte digest under X||Y (64 bytes)."""
        _require_size("digest", digest, DIGEST_SIZE)
        _require_size("signature", signature, SIGNATURE_SIZE)
        _require_size("public key", public_key, PUBLIC_KEY_SIZE)
        verified = ctypes.c_bool(False)
        arguments = (_buffer(digest), _buffer(signature), _buffer(public_key), ctypes.byref(verified))
        self._call("calib_verify_extern", *arguments)
        return verified.value

    def nonce_random(self, num_in: bytes) -> bytes:
        """Make a random nonce in TempKey from `num_in` (20 bytes); return the chip's random output, 32 bytes."""
        _require_size("NumIn", num_in, NUM_IN_SIZE)
        return self._filled(32, lambda out: self._call("calib_nonce_rand", _buffer(num_in), out))

    def check_mac(self, slot: int, mode: int, response: bytes, other_data: bytes) -> bool:
        """Let the chip compare a MAC (32 bytes) over TempKey with its own under the secret in `slot`.

        A match authorizes the uses of keys whose AuthKey is `slot`, until the chip sleeps. `other_data` has 13 bytes.
        """
        _require_size("response", response, DIGEST_SIZE)
        _require_size("OtherData", other_data, CHECK_MAC_OTHER_SIZE)
        arguments = (_buffer(bytes(32)), _buffer(response), _buffer(other_data))
        try:
            self._call("calib_checkmac", mode, slot, *arguments)
        except DeviceError as error:
            if error.status != Status.MISMATCH:
                raise
            return False
        return True

    def counter(self, number: int) -> int:
        """Return Counter 0 or 1."""
        return self._counter("calib_counter_read", number)

    # Changing the chip: only inside `permit`

    def write_config(self, word: int, data: bytes) -> None:
        """Write 4 bytes, or a whole block of 32, of the configuration zone, from word 0 to 31."""
        if len(data) not in (WORD_SIZE, BLOCK_SIZE) or (len(data) == BLOCK_SIZE and word % 8):
            raise UsageError(f"A configuration write takes 4 bytes or a whole block, not {len(data)} at word {word}.")
        self._write(Zone.CONFIG, 0, word // 8, word % 8, data)

    def write_slot_block(self, slot: int, block: int, data: bytes) -> None:
        """Write 32 bytes to a block of a data slot; what lies past the slot's end falls off."""
        _require_size("block", data, BLOCK_SIZE)
        self._write(Zone.DATA, slot, block, 0, data)

    def write_otp_block(self, block: int, data: bytes) -> None:
        """Write 32 bytes to block 0 or 1 of the OTP zone."""
        _require_size("block", data, BLOCK_SIZE)
        self._write(Zone.OTP, 0, block, 0, data)

    def update_extra(self, mode: int, value: int) -> None:
        """Set byte 84 (mode 0) or 85 (mode 1) of the configuration zone, once."""
        self._call("calib_updateextra", mode, value)

    def write_secret(self, slot: int, secret: bytes, *, write_key: bytes, write_key_slot: int, num_in: bytes) -> None:
        """Replace the 32 bytes of a secret slot, encrypted under the slot's WriteKey (32 bytes); needs no clear write.

        `num_in` are 20 random bytes. The chip refuses (status 0F) when `write_key` is not what `write_key_slot` holds.
        """
        _require_size("secret", secret, SECRET_SIZE)
        _require_size("write key", write_key, SECRET_SIZE)
        _require_size("NumIn", num_in, NUM_IN_SIZE)
        self._call("calib_write_enc", slot, 0, _buffer(secret), _buffer(write_key), write_key_slot, _buffer(num_in))

    def increment_counter(self, number: int) -> int:
        """Advance Counter 0 or 1 by one, for ever, and return its new value."""
        return self._counter("calib_counter_increment", number)

    def gen_key(self, slot: int) -> bytes:
        """Generate a private key inside the chip, over what was there; return the public key, 64 bytes X||Y."""
        return self._filled(PUBLIC_KEY_SIZE, lambda out: self._call("calib_genkey", slot, out))

    def lock_config(self, summary_crc: int) -> None:
        """Lock the configuration zone for ever; the chip refuses if its content has another CRC."""
        self._call("calib_lock_config_zone_crc", summary_crc)

    def lock_data(self, summary_crc: int) -> None:
        """Lock the data and OTP zones for ever; the chip refuses if their content has another CRC."""
        self._call("calib_lock_data_zone_crc", summary_crc)

    def lock_slot(self, slot: int) -> None:
        """Lock one slot for ever."""
        self._call("calib_lock_data_slot", slot)

    # The way through the library

    def _counter(self, function: str, number: int) -> int:
        value = ctypes.c_uint32()
        self._call(function, number, ctypes.byref(value))
        return value.value

    def _read(self, zone: Zone, slot: int, block: int, word: int, size: int) -> bytes:
        return self._filled(size, lambda out: self._call("calib_read_zone", zone, slot, block, word, out, size))

    def _write(self, zone: Zone, slot: int, block: int, word: int, data: bytes) -> None:
        self._call("calib_write_zone", zone, slot, block, word, _buffer(data), len(data))

    def _filled(self, size: int, call: Callable[[Any], None]) -> bytes:
        out = (ctypes.c_uint8 * size)()
        call(out)
        return bytes(out)

    def _call(self, function: str, *arguments: Any) -> None:
        """Run one function of the library; a command that the chip did not execute is sent again."""
        with self._lock:
            if not self._handle:
                raise TransportError(f"{self.url} is closed.")
            for _ in range(_RESENDS + 1):
                status = self._attempt(function, arguments)
                if self._bridge.last_status not in _NOT_EXECUTED:
                    break
        if status == _SUCCESS:
            return
        if self._bridge.last_status is None:
            raise self._bridge.unexplained(status)
        raise refusal(self._bridge.packet, self._bridge.last_status)

    def _attempt(self, function: str, arguments: tuple[Any, ...]) -> int:
        self._bridge.begin()
        status = beyond_signals(lambda: getattr(self._library, function)(self._handle, *arguments))
        self._bridge.raise_failure()
        return int(status)


def _buffer(data: bytes) -> Any:
    return (ctypes.c_uint8 * len(data)).from_buffer_copy(data)


def _require_size(what: str, data: bytes, size: int) -> None:
    if len(data) != size:
        raise UsageError(f"A {what} has {size} bytes, not {len(data)}.")


__all__ = ["Act", "Device"]
