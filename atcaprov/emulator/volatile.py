"""The state that the chip loses with its power, apart from the EEPROM."""

from __future__ import annotations

from dataclasses import dataclass, field

from atcaprov.emulator.sha256 import Sha256


@dataclass(slots=True)
class TempKey:
    """The 64 bytes of TempKey and the flags that say where they came from."""

    value: bytes = field(default=bytes(64), repr=False)
    valid: bool = False
    key_id: int = 0
    from_input: bool = False
    """SourceFlag: False = made by the random number generator."""
    gen_dig: bool = False
    gen_key: bool = False
    no_mac: bool = False
    is_64: bool = False
    fresh: bool = False
    """Loaded by the command that runs now."""

    @property
    def key(self) -> bytes:
        """The first 32 bytes, which most commands use."""
        return self.value[:32]

    def load(self, content: bytes, *, from_input: bool) -> None:
        """Take 32 or 64 fresh bytes and clear every other flag; later bytes stay."""
        self.value = content + self.value[len(content) :]
        self.valid = self.fresh = True
        self.key_id = 0
        self.from_input = from_input
        self.gen_dig = self.gen_key = self.no_mac = False
        self.is_64 = len(content) == 64

    def digest(self, content: bytes) -> None:
        """Replace the first 32 bytes by a digest made of them; flags are the caller's."""
        self.value = content + self.value[32:]
        self.valid = self.fresh = True
        self.is_64 = False

    def use_up(self) -> None:
        """Become invalid until the next load."""
        self.valid = False

    def flags(self) -> int:
        """Return KeyID in bits 3-0, then SourceFlag, GenDigData, GenKeyData, NoMacFlag in bits 4 to 7."""
        return (
            self.key_id | self.from_input << 4 | self.gen_dig << 5 | self.gen_key << 6 | self.no_mac << 7
        )  # the byte of Sign(internal) and Info(State)


@dataclass(slots=True)
class ShaContext:
    """One running SHA-256 or HMAC."""

    inner: Sha256
    outer_key: bytes | None = field(default=None, repr=False)
    """HMAC: the 64-byte key block of the outer hash."""


@dataclass(slots=True)
class Volatile:
    """Lost by sleep and power-off, kept by idle."""

    temp_key: TempKey = field(default_factory=TempKey)
    message_digest: bytes | None = field(default=None, repr=False)
    """Message Digest Buffer: 32 or 64 bytes once loaded."""
    alternate_key: bytes | None = field(default=None, repr=False)
    """Alternate Key Buffer: 32 bytes once loaded."""
    sha: ShaContext | None = None
    authorized: int | None = None
    """The slot whose key CheckMac has proven."""
    seed_updated: bool = False
    paused: bool = False
    """Pause selected another part: this one goes to idle without a reply."""


@dataclass(slots=True)
class Powered:
    """Lost by power-off alone."""

    latch: bool = False
    """The persistent latch."""
    secure_boot_prohibited: bool = False
    failing_tests: int = 0
    """Self tests that fail on this chip, as bits of SelfTest's P1."""
    health_failed: bool = False
    """The random number generator has failed its health test."""
    self_test_failed: int = 0
    """Bits of the tests that failed since the last wake. Not 0: failure mode, most commands answer 07."""
