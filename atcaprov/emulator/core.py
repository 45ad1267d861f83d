"""All that a command can see or change: memory, volatile state, random source, and the open points."""

from __future__ import annotations

from atcaprov.chip.commands import Status
from atcaprov.chip.memory_map import CHIP_OPTIONS, SLOT_COUNT
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.open_points import SHEET_508A, OpenPoints
from atcaprov.emulator.random_source import RandomSource
from atcaprov.emulator.refusal import Refusal, denied
from atcaprov.emulator.slot import MemorySlot
from atcaprov.emulator.volatile import Powered, TempKey, Volatile

_CLEAR_HEALTH_FAILURE = 0x08
_UNLOCKED_PATTERN = bytes.fromhex("ffff0000")


class Core:
    """The state of a chip, without its bus interface."""

    __slots__ = ("memory", "open_points", "powered", "random_source", "volatile")

    def __init__(self, memory: Memory, random_source: RandomSource, open_points: OpenPoints) -> None:
        self.memory = memory
        self.random_source = random_source
        self.open_points = open_points
        self.volatile = Volatile()
        self.powered = Powered()

    @property
    def temp_key(self) -> TempKey:
        """TempKey with its flags."""
        return self.volatile.temp_key

    @property
    def rules(self) -> OpenPoints:
        """The open points as they hold for this part: the data sheet of the ATECC508A settles some of them."""
        return SHEET_508A if self.memory.is_508 else self.open_points

    def slot(self, key_id: int) -> MemorySlot:
        """Return the slot that the low four bits of a KeyID choose, as its bytes stand now."""
        return MemorySlot(self.memory, key_id & (SLOT_COUNT - 1))

    def random_bytes(self, count: int) -> bytes:
        """Return random bytes, or the fixed pattern FF FF 00 00 while the configuration zone is open."""
        self._require_health()
        if self.memory.config_locked:
            return self.random_source.take(count)
        return (_UNLOCKED_PATTERN * (count // 4 + 1))[:count]

    def new_key_pair(self) -> tuple[bytes, bytes]:
        """Return a new private key (32 bytes) and its public key (64 bytes)."""
        self._require_health()
        return self.random_source.key_pair()

    def _require_health(self) -> None:
        """Refuse (08) while the generator's health test has failed; with ChipOptions bit 3 one report clears it."""
        if not self.powered.health_failed:
            return
        if self.memory.config[CHIP_OPTIONS][0] & _CLEAR_HEALTH_FAILURE:
            self.powered.health_failed = False
        raise Refusal(Status.HEALTH_TEST_ERROR, "the random number generator failed its health test")

    def require_config_locked(self) -> None:
        """Refuse while the configuration zone is open: its bits mean nothing yet."""
        if not self.memory.config_locked:
            raise denied("the configuration zone must be locked first", bit="LockConfig")
