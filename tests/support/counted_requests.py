"""Record the requests that reach a board: opening, selecting and waking included."""

from __future__ import annotations

from tests.support.faulty_board import FaultyBoard


def keep_requests(board: FaultyBoard) -> list[bytes]:
    """Return a list to which every request that the board gets from now on is added, without its LF."""
    requests: list[bytes] = []
    receive, rest = board.receive_data, b""

    def receive_data(data: bytes) -> bytes:
        nonlocal rest
        *whole, rest = (rest + data).split(b"\n")
        requests.extend(whole)
        return receive(data)

    board.receive_data = receive_data  # type: ignore[method-assign]
    return requests


def opening_of(requests: list[bytes]) -> list[bytes]:
    """Return the requests that open the board and choose the chip: all before the wake for the first command."""
    first_talk = next(at for at, request in enumerate(requests) if request.startswith(b"e:t("))
    return requests[: requests.index(b"e:w()", first_talk - 1)]


def commands_of(requests: list[bytes]) -> list[bytes]:
    """Return the requests that carry a command to the chip."""
    return [request for request in requests if request.startswith(b"e:t(")]
