"""The stock library over its other links: its kit bridge over TCP, and its I2C HAL replaced by one over TCP."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, byref, c_int, c_size_t, c_uint8, c_uint16, c_uint32, c_void_p
from typing import Any, Final

from tests.support.served_chips import Client, Served
from tests.support.stock_cryptoauthlib import LIBRARY, Wheel, _function, device_type

_I2C_IFACE: Final = 0
_SUCCESS: Final = 0
_UNIMPLEMENTED: Final = -11
_COMM_FAIL: Final = -16


class BridgeWheel(Wheel):
    """The library's kit bridge; frames go over a TCP connection, each behind its length."""

    def __init__(self, served: Served, client: Client) -> None:
        self._client = client
        super().__init__(served.chips[0])

    def _on_send(self, _context: Any, data: Any, length: int) -> int:
        frame = bytes(data[:length])
        if frame[1] & 0x0F == 1:
            self.packets.append(frame[4:])
        self._client.send(length.to_bytes(2, "little") + frame)
        return _SUCCESS

    def _on_receive(self, _context: Any, data: Any, length: Any) -> int:
        answer = self._client.take(int.from_bytes(self._client.take(2), "little"))
        assert len(answer) <= length[0], "the library's buffer is smaller than the answer"
        ctypes.memmove(data, answer, len(answer))
        length[0] = len(answer)
        return _SUCCESS


class _I2cConfig(ctypes.Structure):
    """ATCAIfaceCfg, 88 bytes, with the I2C member of its union."""

    _fields_ = (
        ("iface_type", c_uint32),
        ("device_type", c_uint8),
        ("padding", c_uint8 * 3),
        ("address", c_uint8),
        ("bus", c_uint8),
        ("baud", c_uint32),
        ("union_rest", c_uint8 * 56),
        ("wake_delay", c_uint16),
        ("rx_retries", c_int),
        ("cfg_data", c_void_p),
    )


assert (_I2cConfig.address.offset, _I2cConfig.wake_delay.offset, ctypes.sizeof(_I2cConfig)) == (8, 72, 88)

_Init = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p)
_PostInit = ctypes.CFUNCTYPE(c_int, c_void_p)
_Send = ctypes.CFUNCTYPE(c_int, c_void_p, c_uint8, POINTER(c_uint8), c_int)
_Receive = ctypes.CFUNCTYPE(c_int, c_void_p, c_uint8, POINTER(c_uint8), POINTER(c_uint16))
_Control = ctypes.CFUNCTYPE(c_int, c_void_p, c_uint8, c_void_p, c_size_t)
_Release = ctypes.CFUNCTYPE(c_int, c_void_p)


class _Hal(ctypes.Structure):
    """ATCAHAL_t."""

    _fields_ = (
        ("init", _Init),
        ("post_init", _PostInit),
        ("send", _Send),
        ("receive", _Receive),
        ("control", _Control),
        ("release", _Release),
    )


class I2cWheel(Wheel):
    """The library's I2C interface: word addresses, wake pulse, polling and read pointer are the library's own.

    Replaces the library's I2C HAL for the whole process until `close`.
    """

    def __init__(self, served: Served, client: Client) -> None:
        self.chip = served.chips[0]
        self.packets = []
        self.naks = 0
        self._client = client
        self._raised = None
        self._handle = c_void_p()
        device = device_type(self.chip)
        self._config = _I2cConfig(_I2C_IFACE, device, (c_uint8 * 3)(), 0xC0, 0, 100_000, (c_uint8 * 56)(), 0, 20, None)  # type: ignore[assignment]
        self._hal = _Hal(
            _Init(lambda _iface, _config: _SUCCESS),
            _PostInit(lambda _iface: _SUCCESS),
            _Send(self._guard(self._on_i2c_send)),
            _Receive(self._guard(self._on_i2c_receive)),
            _Control(lambda _iface, _option, _parameter, _size: _UNIMPLEMENTED),
            _Release(lambda _data: _SUCCESS),
        )
        self._old_hal, self._old_phy = c_void_p(), c_void_p()
        self._register(byref(self._hal), byref(self._old_hal), None, byref(self._old_phy))
        status = _function("atcab_init_ext")(byref(self._handle), byref(self._config))
        assert status == 0, f"atcab_init_ext: {status}"

    def close(self) -> None:
        """Release the handle and give the library its own HAL back."""
        super().close()
        ignored = c_void_p()
        self._register(self._old_hal, byref(ignored), self._old_phy, byref(ignored))

    def _register(self, hal: Any, old_hal: Any, phy: Any, old_phy: Any) -> None:
        register = LIBRARY.hal_iface_register_hal
        register.argtypes = [c_uint32, c_void_p, c_void_p, c_void_p, c_void_p]
        assert register(_I2C_IFACE, hal, old_hal, phy, old_phy) == _SUCCESS

    def _on_i2c_send(self, _iface: Any, word_address: int, data: Any, length: int) -> int:
        written = bytes((word_address,)) + (bytes(data[:length]) if length > 0 else b"")
        if word_address == 0x03:
            self.packets.append(written[1:])
        return self._transfer(b"W", len(written), written)[0]

    def _on_i2c_receive(self, _iface: Any, _address: int, data: Any, length: Any) -> int:
        status, found = self._transfer(b"R", length[0], b"")
        ctypes.memmove(data, found, len(found))
        return status

    def _transfer(self, kind: bytes, length: int, written: bytes) -> tuple[int, bytes]:
        # The library sets the address to 0 for the wake pulse, so it is taken from its configuration each time.
        address = self._config.address >> 1
        self._client.send(kind + bytes((self._config.bus, address)) + length.to_bytes(2, "little") + written)
        if self._client.take(1) != b"\0":
            self.naks += 1
            return _COMM_FAIL, b""
        return _SUCCESS, self._client.take(length) if kind == b"R" else b""


@contextmanager
def bridge_wheel(served: Served) -> Iterator[Wheel]:
    """Yield the library on its kit bridge, over the bridge port."""
    with served.client("bridge") as client:
        wheel = BridgeWheel(served, client)
        try:
            yield wheel
        finally:
            wheel.close()


@contextmanager
def i2c_wheel(served: Served) -> Iterator[Wheel]:
    """Yield the library on its I2C interface, over the i2c port."""
    with served.client("i2c") as client:
        wheel = I2cWheel(served, client)
        try:
            yield wheel
        finally:
            wheel.close()
