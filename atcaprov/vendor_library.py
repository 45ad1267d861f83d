"""The vendor's C library: found in the installed wheel, loaded, its functions given their argument types.

Nothing here needs the wheel at import. The structures follow the ABI of cryptoauthlib 3.8 on 64-bit platforms.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from ctypes import c_int, c_uint8, c_uint16, c_uint32, c_void_p
from pathlib import Path
from typing import Any, Final

from atcaprov.errors import Code, TransportError
from atcaprov.missing_packages import install_command


class I2cParameters(ctypes.Structure):
    """Member `atcai2c` of the interface configuration's union."""

    _fields_ = (("address", c_uint8), ("bus", c_uint8), ("baud", c_uint32))


class KitParameters(ctypes.Structure):
    """Member `atcakit` of the interface configuration's union."""

    _fields_ = (("dev_interface", c_uint32), ("dev_identity", c_uint8), ("flags", c_uint32))


class _InterfaceUnion(ctypes.Union):
    # The largest member holds eight pointers; it gives the union its size and alignment.
    _fields_ = (("i2c", I2cParameters), ("kit", KitParameters), ("largest", c_void_p * 8))


class InterfaceConfig(ctypes.Structure):
    """ATCAIfaceCfg, 88 bytes."""

    _fields_ = (
        ("iface_type", c_uint32),
        ("devtype", c_uint8),
        ("parameters", _InterfaceUnion),
        ("wake_delay", c_uint16),
        ("rx_retries", c_int),
        ("cfg_data", c_void_p),
    )


OTHER_VERSION: Final = "Install the version of cryptoauthlib that docs/howto/install.md names for this platform."


def open_library(signatures: Mapping[str, Sequence[Any]], *, use_errno: bool = False) -> ctypes.CDLL:
    """Load the library that the wheel bundles, never one that the system happens to have.

    `signatures` names the functions that the caller uses, with their argument types; they return a status, a C int.
    With `use_errno`, `ctypes.get_errno()` tells after a call what errno was at its end.

    Raises:
        TransportError: the wheel is not installed, or its library does not load or lacks a function (code
            LIBRARY_MISSING).
    """
    spec = importlib.util.find_spec("cryptoauthlib")
    if spec is None or spec.origin is None:
        raise TransportError(
            "The vendor's driver cryptoauthlib is not installed.",
            advice=f"Install it with '{install_command('cryptoauthlib')}'; docs/howto/install.md tells how on other"
            " platforms.",
            code=Code.LIBRARY_MISSING,
        )
    path = Path(spec.origin).parent / _file_name()
    try:
        library = ctypes.CDLL(str(path), use_errno=use_errno)
        for name, arguments in signatures.items():
            getattr(library, name).argtypes = arguments
    except (OSError, AttributeError) as error:
        raise TransportError(
            f"The vendor's driver at {path} cannot be used: {error}.",
            advice=OTHER_VERSION,
            code=Code.LIBRARY_MISSING,
        ) from error
    return library


def _file_name() -> str:
    return {"win32": "cryptoauth.dll", "darwin": "libcryptoauth.dylib"}.get(sys.platform, "libcryptoauth.so")
