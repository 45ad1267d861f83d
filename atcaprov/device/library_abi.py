"""The vendor's functions that drive a chip, and the kit bridge by which their packets come to Python.

Only functions that take a device handle are used, never the library's global device, so that many chips live in
one process. The structures follow the ABI of cryptoauthlib 3.8 on 64-bit platforms.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from ctypes import POINTER, c_bool, c_char_p, c_int, c_size_t, c_uint8, c_uint16, c_uint32, c_void_p
from typing import Final

from atcaprov.vendor_library import InterfaceConfig, open_library

KIT_INTERFACE: Final = 5
"""iface_type of the binary kit bridge, the only interface whose bytes Python callbacks can carry."""
DEVICE_TYPE_608: Final = 3
KIT_DEV_INTERFACE_I2C: Final = 1
KIT_DEV_IDENTITY: Final = 0xC0

_Bytes = POINTER(c_uint8)


PhySend = ctypes.CFUNCTYPE(c_int, c_void_p, _Bytes, c_uint16)
PhyReceive = ctypes.CFUNCTYPE(c_int, c_void_p, _Bytes, POINTER(c_uint16))


class KitPhy(ctypes.Structure):
    """atca_hal_kit_phy_t: the four functions and the context of a physical layer below the kit bridge."""

    _fields_ = (
        ("send", PhySend),
        ("receive", PhyReceive),
        ("allocate", c_void_p),
        ("free", c_void_p),
        ("hal_data", c_void_p),
    )


_SIGNATURES: Final = {
    "hal_kit_attach_phy": (POINTER(InterfaceConfig), POINTER(KitPhy)),
    "atcab_init_ext": (POINTER(c_void_p), POINTER(InterfaceConfig)),
    "atcab_release_ext": (POINTER(c_void_p),),
    "atcab_version": (c_char_p,),
    "calib_sleep": (c_void_p,),
    "calib_info": (c_void_p, _Bytes),
    "calib_info_base": (c_void_p, c_uint8, c_uint16, _Bytes),
    "calib_read_zone": (c_void_p, c_uint8, c_uint16, c_uint8, c_uint8, _Bytes, c_uint8),
    "calib_write_zone": (c_void_p, c_uint8, c_uint16, c_uint8, c_uint8, _Bytes, c_uint8),
    "calib_updateextra": (c_void_p, c_uint8, c_uint16),
    "calib_lock_config_zone_crc": (c_void_p, c_uint16),
    "calib_lock_data_zone_crc": (c_void_p, c_uint16),
    "calib_lock_data_slot": (c_void_p, c_uint16),
    "calib_genkey": (c_void_p, c_uint16, _Bytes),
    "calib_get_pubkey": (c_void_p, c_uint16, _Bytes),
    "calib_random": (c_void_p, _Bytes),
    "calib_nonce_load": (c_void_p, c_uint8, _Bytes, c_uint16),
    "calib_nonce_rand": (c_void_p, _Bytes, _Bytes),
    "calib_checkmac": (c_void_p, c_uint8, c_uint16, _Bytes, _Bytes, _Bytes),
    "calib_counter_read": (c_void_p, c_uint16, POINTER(c_uint32)),
    "calib_counter_increment": (c_void_p, c_uint16, POINTER(c_uint32)),
    "calib_write_enc": (c_void_p, c_uint16, c_uint8, _Bytes, _Bytes, c_uint16, _Bytes),
    "calib_priv_write": (c_void_p, c_uint16, _Bytes, c_uint16, _Bytes, _Bytes),
    "calib_sign_base": (c_void_p, c_uint8, c_uint16, _Bytes),
    "calib_verify_extern": (c_void_p, _Bytes, _Bytes, _Bytes, POINTER(c_bool)),
    "calib_sha": (c_void_p, c_uint16, _Bytes, _Bytes),
}


@functools.cache
def load_library() -> ctypes.CDLL:
    """Return the vendor's library for the functions that drive a chip.

    Raises:
        TransportError: the wheel is not installed, or its library does not load (code LIBRARY_MISSING).
    """
    return open_library(_SIGNATURES)


@functools.cache
def c_runtime() -> tuple[int, int]:
    """Return the addresses of malloc and free, which the kit bridge uses for its packets."""
    runtime = ctypes.CDLL("msvcrt") if sys.platform == "win32" else ctypes.CDLL(None)
    runtime.malloc.argtypes = (c_size_t,)
    addresses = tuple(ctypes.cast(function, c_void_p).value or 0 for function in (runtime.malloc, runtime.free))
    return addresses[0], addresses[1]
