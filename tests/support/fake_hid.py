"""hidapi without a kernel: boards by path, with the calls, values and errors of its Python module."""

from __future__ import annotations

from collections import deque
from typing import Any

from atcaprov.kit_protocol.framing import REPORT_SIZE, to_reports
from tests.support.faulty_board import BoardFault, FaultyBoard


class FakeHid:
    """Stand for the module `hidraw` or `hid`."""

    def __init__(self, boards: dict[str, FaultyBoard] | None = None, ids: tuple[int, int] = (0x03EB, 0x2312)) -> None:
        self.boards = boards or {}
        self.ids = ids
        self.opened: list[str] = []

    def enumerate(self, vendor_id: int = 0, product_id: int = 0) -> list[dict[str, Any]]:
        return [
            {
                "path": path.encode(),
                "vendor_id": self.ids[0],
                "product_id": self.ids[1],
                "serial_number": "",
                "product_string": "Crypto Device Demo",
            }
            for path in self.boards
        ]

    def device(self) -> FakeDevice:
        return FakeDevice(self)


class FakeDevice:
    """One open handle; a read never waits but returns as if its time limit had passed."""

    def __init__(self, hid: FakeHid) -> None:
        self._hid = hid
        self._board: FaultyBoard | None = None
        self._reports: deque[bytes] = deque()
        self._blocking = True

    def open_path(self, path: bytes) -> None:
        board = self._hid.boards.get(path.decode())
        if board is None or board.unplugged:
            raise OSError("open failed")
        self._board = board
        self._hid.opened.append(path.decode())

    def set_nonblocking(self, value: int) -> int:
        self._blocking = not value
        return 0

    def write(self, data: bytes) -> int:
        board = self._open_board()
        if board.unplugged:
            return -1
        assert len(data) == 1 + REPORT_SIZE, "hidapi takes the report id and a whole report"
        assert data[0] == 0
        answer = board.receive_data(data[1:].partition(b"\n")[0] + (b"\n" if b"\n" in data else b""))
        for message in answer.splitlines(keepends=True):
            self._reports.extend(to_reports(message))
        return len(data)

    def read(self, max_length: int, timeout_ms: int = 0) -> list[int]:
        board = self._open_board()
        assert max_length == REPORT_SIZE
        assert timeout_ms > 0 or not self._blocking, "this read would never end"
        if board.unplugged:
            raise OSError("read error")
        if board.fault is BoardFault.ENDLESS:
            return list(b"00(".ljust(REPORT_SIZE, b"7"))
        return list(self._reports.popleft()) if self._reports else []

    def close(self) -> None:
        self._board = None

    def _open_board(self) -> FaultyBoard:
        if self._board is None:
            raise ValueError("not open")
        return self._board
