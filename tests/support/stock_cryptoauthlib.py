"""The stock cryptoauthlib library as a judge: one handle per software chip, over the library's kit bridge.

It is independent of `atcaprov.device` on purpose: it judges the chip, not our way of driving it.
Frames of the kit bridge: `02, interface << 4 | command, identity, body` out, the same header, a status byte and the
data back (cryptoauthlib lib/hal/hal_kit_bridge.c).
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import POINTER, byref, c_bool, c_int, c_size_t, c_uint8, c_uint16, c_uint32, c_void_p
from pathlib import Path
from typing import Any, Final

from atcaprov import SoftwareChip

_KIT_IFACE: Final = 5
_DEVICE_508A: Final = 2
_DEVICE_608: Final = 3
_IDENTITY: Final = 0xC0
_I2C: Final = 1
_SEND, _RECV, _WAKE, _IDLE, _SLEEP = 1, 2, 3, 4, 5
_COMM_FAIL: Final = -16
EXECUTION_ERROR: Final = -12
PARSE_ERROR: Final = -46
CRC_ERROR: Final = -44
ECC_ERROR: Final = -42
MISMATCH: Final = -47

_Transfer = ctypes.CFUNCTYPE(c_int, c_void_p, POINTER(c_uint8), c_uint16)
_Receive = ctypes.CFUNCTYPE(c_int, c_void_p, POINTER(c_uint8), POINTER(c_uint16))
_Alloc = ctypes.CFUNCTYPE(c_void_p, c_size_t)
_Free = ctypes.CFUNCTYPE(None, c_void_p)


class _Phy(ctypes.Structure):
    _fields_ = (
        ("send", _Transfer),
        ("recv", _Receive),
        ("alloc", c_void_p),
        ("free", c_void_p),
        ("hal_data", c_void_p),
    )


_WHEEL: Final = importlib.util.find_spec("cryptoauthlib")
assert _WHEEL is not None
assert _WHEEL.origin is not None
LIBRARY: Final = ctypes.CDLL(str(Path(_WHEEL.origin).with_name("libcryptoauth.so")))
"""The library that the wheel bundles, not one that the system may have."""
_LIBC: Final = ctypes.CDLL(None)


class _InterfaceConfig(ctypes.Structure):
    """ATCAIfaceCfg, 88 bytes, with the kit member of its union."""

    _fields_ = (
        ("iface_type", c_uint32),
        ("device_type", c_uint8),
        ("kit_interface", c_uint32),
        ("kit_identity", c_uint8),
        ("union_rest", c_uint8 * 59),
        ("wake_delay", c_uint16),
        ("rx_retries", c_int),
        ("cfg_data", c_void_p),
    )


def device_type(chip: SoftwareChip) -> int:
    """Return the library's number of the part that the chip is."""
    return _DEVICE_508A if chip.memory.is_508 else _DEVICE_608


class Wheel:
    """One chip, driven by the library. `call` runs any `calib_*` or `atcab_*_ext` function on its handle."""

    def __init__(self, chip: SoftwareChip) -> None:
        self.chip = chip
        self.packets: list[bytes] = []
        self._reply = b""
        self._answer = b""
        self._raised: BaseException | None = None
        self._handle = c_void_p()
        self._send = _Transfer(self._guard(self._on_send))
        self._receive = _Receive(self._guard(self._on_receive))
        pointers = (ctypes.cast(getattr(_LIBC, name), c_void_p) for name in ("malloc", "free"))
        self._phy = _Phy(self._send, self._receive, *pointers, None)
        self._config = _InterfaceConfig(_KIT_IFACE, device_type(chip), _I2C, _IDENTITY)
        status = _function("hal_kit_attach_phy")(byref(self._config), byref(self._phy))
        assert status == 0, f"hal_kit_attach_phy: {status}"
        status = _function("atcab_init_ext")(byref(self._handle), byref(self._config))
        assert status == 0, f"atcab_init_ext: {status}"

    def close(self) -> None:
        """Release the handle."""
        _function("atcab_release_ext")(byref(self._handle))

    @contextmanager
    def as_the_only_device(self) -> Iterator[None]:
        """Let functions without a handle, such as `tng_*`, use this chip until the block ends."""
        only = c_void_p.in_dll(LIBRARY, "g_atcab_device_ptr")
        before, only.value = only.value, self._handle.value
        try:
            yield
        finally:
            only.value = before

    def status(self, name: str, *arguments: Any) -> int:
        """Call `name(handle, *arguments)` and return its status."""
        status = _function(name)(self._handle, *arguments)
        if self._raised is not None:
            raised, self._raised = self._raised, None
            raise raised
        return int(status)

    def call(self, name: str, *arguments: Any) -> None:
        """Call `name(handle, *arguments)`; it must succeed."""
        status = self.status(name, *arguments)
        assert status == 0, f"{name}: {status} ({self.chip.last_refusal})"

    def call_plain(self, name: str, *arguments: Any) -> None:
        """Call `name(*arguments)`, a function whose context knows the handle; it must succeed."""
        status = _function(name)(*arguments)
        assert status == 0, f"{name}: {status} ({self.chip.last_refusal})"

    def refused(self, name: str, *arguments: Any, status: int = EXECUTION_ERROR) -> None:
        """Call `name(handle, *arguments)`; the chip must refuse with `status`."""
        found = self.status(name, *arguments)
        assert found == status, f"{name}: {found} instead of {status} ({self.chip.last_refusal})"

    def fetch(self, name: str, size: int, *arguments: Any) -> bytes:
        """Call `name(handle, *arguments, out)` where out takes `size` bytes, and return them."""
        out = (c_uint8 * size)()
        self.call(name, *arguments, out)
        return bytes(out)

    # The other side of the bridge

    def _guard(self, callback: Callable[..., int]) -> Callable[..., int]:
        def guarded(*arguments: Any) -> int:
            try:
                return callback(*arguments)
            except BaseException as error:
                self._raised = error
                return _COMM_FAIL

        return guarded

    def _on_send(self, _context: Any, data: Any, length: int) -> int:
        frame = bytes(data[:length])
        command = frame[1] & 0x0F
        self._answer = frame[:3] + self._serve(command, frame[3:])
        return 0

    def _serve(self, command: int, body: bytes) -> bytes:
        if command == _SEND:
            self.packets.append(body[1:])
            self._reply = self.chip.exchange(body[1:])
            return b"\x00"
        if command == _RECV:
            return b"\x00" + self._reply
        {_WAKE: self.chip.wake, _IDLE: self.chip.idle, _SLEEP: self.chip.sleep}[command]()
        return b"\x00"

    def _on_receive(self, _context: Any, data: Any, length: Any) -> int:
        assert len(self._answer) <= length[0], "the library's buffer is smaller than the answer"
        ctypes.memmove(data, self._answer, len(self._answer))
        length[0] = len(self._answer)
        return 0


@contextmanager
def driven(chip: SoftwareChip) -> Iterator[Wheel]:
    """Yield the chip under the library."""
    wheel = Wheel(chip)
    try:
        yield wheel
    finally:
        wheel.close()


def buffer(content: bytes) -> Any:
    """Return a C array that holds `content`."""
    return (c_uint8 * len(content)).from_buffer_copy(content)


def flag() -> Any:
    """Return a C bool to point at."""
    return c_bool()


_P: Final = c_void_p
_ARGUMENTS: Final[dict[str, list[Any]]] = {
    "hal_kit_attach_phy": [_P, _P],
    "atcab_init_ext": [_P, _P],
    "atcab_release_ext": [_P],
    "calib_info": [_P, _P],
    "calib_info_base": [_P, c_uint8, c_uint16, _P],
    "calib_info_get_latch": [_P, _P],
    "calib_info_set_latch": [_P, c_bool],
    "calib_random": [_P, _P],
    "calib_read_zone": [_P, c_uint8, c_uint16, c_uint8, c_uint8, _P, c_uint8],
    "calib_read_bytes_zone": [_P, c_uint8, c_uint16, c_size_t, _P, c_size_t],
    "calib_read_serial_number": [_P, _P],
    "calib_read_config_zone": [_P, _P],
    "calib_read_pubkey": [_P, c_uint16, _P],
    "calib_cmp_config_zone": [_P, _P, _P],
    "calib_read_enc": [_P, c_uint16, c_uint8, _P, _P, c_uint16, _P],
    "calib_write": [_P, c_uint8, c_uint16, _P, _P],
    "calib_write_zone": [_P, c_uint8, c_uint16, c_uint8, c_uint8, _P, c_uint8],
    "calib_write_bytes_zone": [_P, c_uint8, c_uint16, c_size_t, _P, c_size_t],
    "calib_write_config_zone": [_P, _P],
    "calib_write_pubkey": [_P, c_uint16, _P],
    "calib_write_enc": [_P, c_uint16, c_uint8, _P, _P, c_uint16, _P],
    "calib_write_config_counter": [_P, c_uint16, c_uint32],
    "calib_is_locked": [_P, c_uint8, _P],
    "calib_is_slot_locked": [_P, c_uint16, _P],
    "calib_is_private": [_P, c_uint16, _P],
    "calib_lock_config_zone": [_P],
    "calib_lock_config_zone_crc": [_P, c_uint16],
    "calib_lock_data_zone": [_P],
    "calib_lock_data_zone_crc": [_P, c_uint16],
    "calib_lock_data_slot": [_P, c_uint16],
    "calib_updateextra": [_P, c_uint8, c_uint16],
    "calib_nonce_base": [_P, c_uint8, c_uint16, _P, _P],
    "calib_nonce": [_P, _P],
    "calib_nonce_load": [_P, c_uint8, _P, c_uint16],
    "calib_nonce_rand": [_P, _P, _P],
    "calib_challenge": [_P, _P],
    "calib_genkey": [_P, c_uint16, _P],
    "calib_genkey_base": [_P, c_uint8, c_uint16, _P, _P],
    "calib_get_pubkey": [_P, c_uint16, _P],
    "calib_genkey_mac": [_P, _P, _P],
    "calib_sign": [_P, c_uint16, _P, _P],
    "calib_sign_base": [_P, c_uint8, c_uint16, _P],
    "calib_sign_internal": [_P, c_uint16, c_bool, c_bool, _P],
    "calib_verify": [_P, c_uint8, c_uint16, _P, _P, _P, _P],
    "calib_verify_extern": [_P, _P, _P, _P, _P],
    "calib_verify_extern_mac": [_P, _P, _P, _P, _P, _P, _P],
    "calib_verify_stored": [_P, _P, _P, c_uint16, _P],
    "calib_verify_stored_mac": [_P, _P, _P, c_uint16, _P, _P, _P],
    "calib_verify_validate": [_P, c_uint16, _P, _P, _P],
    "calib_verify_invalidate": [_P, c_uint16, _P, _P, _P],
    "calib_sha": [_P, c_uint16, _P, _P],
    "calib_sha_start": [_P],
    "calib_sha_update": [_P, _P],
    "calib_sha_end": [_P, _P, c_uint16, _P],
    "calib_sha_base": [_P, c_uint8, c_uint16, _P, _P, _P],
    "calib_sha_read_context": [_P, _P, _P],
    "calib_sha_write_context": [_P, _P, c_uint16],
    "calib_sha_hmac": [_P, _P, c_size_t, c_uint16, _P, c_uint8],
    "calib_mac": [_P, c_uint8, c_uint16, _P, _P],
    "calib_checkmac": [_P, c_uint8, c_uint16, _P, _P, _P],
    "calib_gendig": [_P, c_uint8, c_uint16, _P, c_uint8],
    "calib_derivekey": [_P, c_uint8, c_uint16, _P],
    "calib_counter": [_P, c_uint8, c_uint16, _P],
    "calib_counter_increment": [_P, c_uint16, _P],
    "calib_counter_read": [_P, c_uint16, _P],
    "calib_priv_write": [_P, c_uint16, _P, c_uint16, _P, _P],
    "calib_ecdh_base": [_P, c_uint8, c_uint16, _P, _P, _P],
    "calib_ecdh": [_P, c_uint16, _P, _P],
    "calib_ecdh_enc": [_P, c_uint16, _P, _P, _P, c_uint16, _P],
    "calib_ecdh_ioenc": [_P, c_uint16, _P, _P, _P],
    "calib_ecdh_tempkey": [_P, _P, _P],
    "calib_ecdh_tempkey_ioenc": [_P, _P, _P, _P],
    "calib_kdf": [_P, c_uint8, c_uint16, c_uint32, _P, _P, _P],
    "calib_aes": [_P, c_uint8, c_uint16, _P, _P],
    "calib_aes_encrypt": [_P, c_uint16, c_uint8, _P, _P],
    "calib_aes_decrypt": [_P, c_uint16, c_uint8, _P, _P],
    "calib_aes_gfm": [_P, _P, _P, _P],
    "calib_aes_gcm_init": [_P, _P, c_uint16, c_uint8, _P, c_size_t],
    "calib_aes_gcm_aad_update": [_P, _P, _P, c_uint32],
    "calib_aes_gcm_encrypt_update": [_P, _P, _P, c_uint32, _P],
    "calib_aes_gcm_encrypt_finish": [_P, _P, _P, c_size_t],
    "calib_aes_gcm_decrypt_update": [_P, _P, _P, c_uint32, _P],
    "calib_aes_gcm_decrypt_finish": [_P, _P, _P, c_size_t, _P],
    "atcab_aes_cmac_init_ext": [_P, _P, c_uint16, c_uint8],
    "atcab_aes_cmac_update": [_P, _P, c_uint32],
    "atcab_aes_cmac_finish": [_P, _P, c_uint32],
    "atcab_aes_ccm_init_ext": [_P, _P, c_uint16, c_uint8, _P, c_size_t, c_size_t, c_size_t, c_size_t],
    "atcab_aes_ccm_aad_update": [_P, _P, c_size_t],
    "atcab_aes_ccm_encrypt_update": [_P, _P, c_uint32, _P],
    "atcab_aes_ccm_encrypt_finish": [_P, _P, _P],
    "calib_selftest": [_P, c_uint8, c_uint16, _P],
    "calib_secureboot": [_P, c_uint8, c_uint16, _P, _P, _P],
    "calib_secureboot_mac": [_P, c_uint8, _P, _P, _P, _P, _P],
    "calib_hmac": [_P, c_uint8, c_uint16, _P],
    "calib_hw_sha2_256": [_P, _P, c_size_t, _P],
}


def _function(name: str) -> Any:
    function = getattr(LIBRARY, name)
    function.argtypes = _ARGUMENTS[name]
    function.restype = c_int
    return function
