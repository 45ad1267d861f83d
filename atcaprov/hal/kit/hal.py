"""A chip of a kit board as a HAL. Chips of one board, opened in one process, share its port."""

from __future__ import annotations

import threading
from collections.abc import Callable

from atcaprov.errors import Code, ProtocolError, TransportError, UsageError
from atcaprov.hal.base import Hal
from atcaprov.hal.device_url import at_address, both_forms
from atcaprov.hal.errors import address_taken
from atcaprov.hal.kit.board import KitBoard
from atcaprov.hal.kit.line_port import KitTimeouts, LinePort
from atcaprov.kit_protocol import host
from atcaprov.kit_protocol.device_table import DeviceEntry

OpenPort = Callable[[], LinePort]


class KitHal(Hal):
    """One chip of a board."""

    def __init__(self, board: KitBoard, address: int, leave: Callable[[], None]) -> None:
        self.url = board.url
        self.address = address
        """8-bit form."""
        self._board = board
        self._leave = leave
        self._may_be_awake = False
        self._may_be_idle = False
        self._woke_once = False
        self._next: int | None = None
        """Where the chip will answer once it has slept, 8-bit form."""
        self._has_slept = False

    def wake(self) -> None:
        """Wake the chip, the first time after putting it to sleep: another program may have left it authorized.

        One that never woke may have another address, which the board's own table tells then.
        """
        self._may_be_awake = True
        try:
            self._wake_where_it_is()
            if not self._woke_once:
                self._board.sleep(self.address)
                self._board.wake(self.address)
        except TransportError as error:
            if not self._woke_once and self._board.is_in_step():
                _require_address(self._board, self.address, error)
            raise
        self._woke_once = True

    def follow(self, address: int) -> str:
        """Look for the chip at another address of the board, too; return its URL there. Raises as `Hal.follow`."""
        url = at_address(self._board.url, address)
        if address != self.address and address in {chip.address for chip in self._board.table().chips}:
            raise address_taken(url)
        self._next, self._has_slept = address, False
        return url

    def _wake_where_it_is(self) -> None:
        """Wake the chip here, or where it has moved: some boards show a missing chip only in their device table."""
        if self._next is not None and self._has_slept and self._has_moved_to(self._next):
            self._move_to(self._next)
            return
        try:
            self._board.wake(self.address)
        except TransportError:
            if self._next is None or not self._board.is_in_step():
                raise
            self._move_to(self._next)

    def _has_moved_to(self, address: int) -> bool:
        try:
            addresses = {chip.address for chip in self._board.table().chips}
        except (TransportError, ProtocolError):
            return False
        return address in addresses and self.address not in addresses

    def _move_to(self, address: int) -> None:
        self._board.wake(address)
        self.address, self._next = address, None
        self.url = at_address(self._board.url, address)

    def idle(self) -> None:
        """Send the chip to idle."""
        self._may_be_idle = True
        self._board.idle(self.address)
        self._may_be_awake = False

    def sleep(self) -> None:
        """Send the chip to sleep; an idle one is woken first, since it ignores everything else."""
        only_idle = self._may_be_idle and not self._may_be_awake
        self._may_be_awake = self._may_be_idle = False
        self._has_slept = True
        self._board.sleep(self.address, is_idle=only_idle)

    def exchange(self, packet: bytes) -> bytes:
        """Send one packet and return its reply."""
        return self._board.talk(self.address, packet)

    def close(self) -> None:
        """Send the chip to sleep if it may be awake or idle, and leave the board."""
        try:
            if self._may_be_awake or self._may_be_idle:
                self.sleep()
        except (TransportError, ProtocolError):
            pass  # it is gone: no chip is left to put to sleep
        finally:
            self._leave()


class _SharedBoard:
    """One board that this process has open, and how many chips use it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.board: KitBoard | None = None
        self.users = 0


_members: dict[str, _SharedBoard] = {}
_members_lock = threading.Lock()


def open_kit(key: str, open_port: OpenPort, address: int | None, limits: KitTimeouts | None = None) -> KitHal:
    """Open a chip of the board at a port; `key` is the port's unique name, the same for every URL.

    Raises:
        UsageError: the board has several chips and `address` is None.
        TransportError: the port cannot be opened, the board is silent, or it has no chip (code DEVICE_NOT_FOUND).
        ProtocolError: `address` is None, and what the board says leaves open which chips it has (code BAD_FRAME).
    """
    board, leave = _join(key, open_port, limits)
    try:
        return KitHal(board, _only_chip(board) if address is None else address, leave)
    except BaseException:
        leave()
        raise


def chips_of(key: str, open_port: OpenPort, limits: KitTimeouts | None = None) -> tuple[DeviceEntry, ...]:
    """Return the device table of the board at a port."""
    board, leave = _join(key, open_port, limits)
    try:
        return board.scan()
    finally:
        leave()


def _join(key: str, open_port: OpenPort, limits: KitTimeouts | None) -> tuple[KitBoard, Callable[[], None]]:
    """Return the board at a port, opened by its first user, and a function that the user calls to leave it.

    A board that was unplugged stays with its users; a new user gets the board that is there now.
    """
    while True:
        with _members_lock:
            member = _members.setdefault(key, _SharedBoard())
            member.users += 1
        leave = _leave_once(key, member)
        try:
            with member.lock:
                if member.board is None:
                    member.board = _open_board(open_port, limits)
                    return member.board, leave
                if member.board.is_there():
                    return member.board, leave
            _forget(key, member)
        except BaseException:
            leave()
            raise
        leave()


def _forget(key: str, member: _SharedBoard) -> None:
    with _members_lock:
        if _members.get(key) is member:
            del _members[key]


def _open_board(open_port: OpenPort, limits: KitTimeouts | None) -> KitBoard:
    board = KitBoard(open_port(), limits)
    try:
        board.greet()
    except BaseException:
        board.close()
        raise
    return board


def _leave_once(key: str, member: _SharedBoard) -> Callable[[], None]:
    """Return a function that removes one user from the board; the last one closes it."""
    users = iter((member,))

    def leave() -> None:
        with _members_lock:
            for left in users:
                left.users -= 1
                if left.users == 0:
                    if _members.get(key) is left:
                        del _members[key]
                    if left.board is not None:
                        left.board.close()

    return leave


def _require_address(board: KitBoard, address: int, error: TransportError) -> None:
    """Raise a better error than `error` if the board has chips, and none at `address`."""
    try:
        table = board.table()
    except (TransportError, ProtocolError):
        return
    addresses = {chip.address for chip in table.chips}
    if not addresses or address in addresses or not table.is_whole:
        return
    known = ", ".join(both_forms(other) for other in sorted(addresses))
    meant = {address << 1} & addresses  # the 7-bit form was given
    options = " or ".join(map(_option, sorted(meant or addresses)))
    form = f" 0x{address:02X} is the 7-bit form of the address, and kits take the 8-bit form." if meant else ""
    raise TransportError(
        f"The board at {board.url} has no chip at {both_forms(address)}; its chips are at {known}.{form}",
        advice=f"If its socket is not empty, end the device URL with {options}.",
        code=Code.DEVICE_OTHER_ADDRESS,
    ) from error


def _only_chip(board: KitBoard) -> int:
    table = board.table()
    chips = table.chips
    if not table.is_whole:
        raise ProtocolError(
            f"The board at {board.url} did not list all its chips.",
            advice="Try again, or name the chip by its address at the end of the device URL, such as"
            f" {_option(host.DEFAULT_ADDRESS)}.",
            code=Code.BAD_FRAME,
        )
    if not chips:
        raise TransportError(
            f"The board at {board.url} reports no chip.",
            advice="Check that the chip sits in its place and has power.",
            code=Code.DEVICE_NOT_FOUND,
        )
    if len(chips) > 1:
        known = ", ".join(both_forms(chip.address) for chip in chips)
        raise UsageError(
            f"The board at {board.url} has {len(chips)} chips: {known}.",
            advice=f"Name one: {at_address(board.url, chips[0].address)}",
        )
    return chips[0].address


def _option(address: int) -> str:
    return f"?address=0x{address:02X}"
