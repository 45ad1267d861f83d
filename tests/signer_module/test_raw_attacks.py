"""An attacker has the chip of a finished module without its password: about 140,000 raw packets get no signature.

Each command that the chip takes, in each mode, with each slot and other parameters, in each state that the owner and
the thief can leave the chip in; behind each packet the thief asks for a signature. Under both readings of how many uses
an authorization serves: nothing that the owner has left over helps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

import pytest

from atcaprov import SoftwareChip, UsageError
from atcaprov.chip.commands import Opcode, Status
from atcaprov.chip.memory_map import COUNTERS
from atcaprov.emulator.open_points import OpenPoints
from signer_module.on_chip.module import SignerModule
from signer_module.on_chip.password_change import change_password
from signer_module.on_chip.slot_layout import KEY_SLOT
from signer_module.on_files.root_folder import RootFolder
from tests.support.chips import packet
from tests.support.scripted_hal import ScriptedHal
from tests.support.signer_modules import PASSWORD, hal_of, order, replug, root_folder, signer_module

pytestmark = pytest.mark.slow

NEW = b"battery staple"
DIGEST: Final = hashlib.sha256(b"what the thief wants to be signed").digest()
TO_DIGEST_BUFFER: Final = packet(Opcode.NONCE, 0x43, 0, DIGEST)
SIGN: Final = packet(Opcode.SIGN, 0xA0, KEY_SLOT)
LENGTHS: Final = (0, 3, 4, 16, 20, 32, 36, 52, 64, 68, 77, 96, 128)
PARAMETERS: Final = (0, 1, 2, 3, 4, 8, 9, 15, 0x0010, 0x0100, 0x8000, 0x8001, 0xFFFF)
"""Slots of each kind, a slot named by its low bits alone, a second block, TempKey."""
FEWEST: Final = 120_000

PRELUDES: Final[dict[str, tuple[bytes, ...]]] = {
    "nothing": (),
    "random TempKey": (packet(Opcode.NONCE, 0, 0, bytes(20)),),
    "chosen TempKey": (packet(Opcode.NONCE, 3, 0, DIGEST),),
    "TempKey of the authorization key": (
        packet(Opcode.NONCE, 0, 0, bytes(20)),
        packet(Opcode.GEN_DIG, 2, 1, bytes((Opcode.GEN_DIG, 2, 1, 0))),
    ),
    "TempKey of the chip's secret": (packet(Opcode.NONCE, 0, 0, bytes(20)), packet(Opcode.GEN_DIG, 2, 2)),
}
"""What the thief sends right before a packet."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> RootFolder:
    return root_folder(tmp_path_factory.mktemp("root") / "root")


@dataclass
class Thief:
    """Sends packets without a rest, so that nothing volatile is lost; `tried` holds what a signature would be."""

    chip: SoftwareChip
    sent: int = 0
    signatures: list[bytes] = field(default_factory=list)

    def send(self, raw: bytes) -> bytes:
        """Return the reply, of a chip that has all the time of its watchdog."""
        self.chip.idle()
        self.chip.wake()
        self.sent += 1
        reply = self.chip.exchange(raw)
        if raw[1] == Opcode.SIGN and len(reply) != 4:
            self.signatures.append(raw)
        return reply

    def attack(self, raw: bytes, prelude: tuple[bytes, ...] = ()) -> None:
        """Send a packet, and if it can have done anything at all, ask for a signature."""
        for each in prelude:
            self.send(each)
        if self.send(raw)[1:2] != bytes((Status.PARSE_ERROR,)):
            self.send(TO_DIGEST_BUFFER)
            self.send(SIGN)


def understood(chip: SoftwareChip) -> Iterator[tuple[Opcode, int, int]]:
    """Yield every opcode, mode and length of data that the chip does not refuse as illegal."""
    thief = Thief(chip)
    for opcode in Opcode:
        for mode in range(256):
            found = [
                length
                for length in LENGTHS
                if thief.send(packet(opcode, mode, 0, bytes(length)))[1:2] != bytes((Status.PARSE_ERROR,))
            ]
            yield from ((opcode, mode, length) for length in (found[:1] + found[-1:] if len(found) > 2 else found))


def owners_acts(module: SignerModule) -> dict[str, Callable[[], object]]:
    def refuse() -> None:
        with pytest.raises(UsageError):
            module.unlock(b"a wrong password")
        module.unlock(PASSWORD)

    def change() -> None:
        change_password(module, PASSWORD, NEW)
        change_password(module, NEW, PASSWORD)
        module.unlock(PASSWORD)

    return {
        "lost its power": lambda: replug(hal_of(module)),
        "signed": lambda: module.sign(bytes(32)),
        "proved its key": module.prove,
        "refused a password, and took one": refuse,
        "changed its password": change,
    }


def overheard(hal: ScriptedHal, act: Callable[[], object]) -> list[bytes]:
    before = len(hal.packets)
    act()
    return hal.packets[before:]


def kept(chip: SoftwareChip) -> list[bytes]:
    """Return what may not change: the keys, and the configuration but for its counters."""
    config, _, _ = chip.memory.image()
    return [
        *(chip.memory.read_slot(slot, 0, 36) for slot in range(4)),
        config[: COUNTERS.start] + config[COUNTERS.stop : 84] + config[86:],
    ]


@pytest.mark.parametrize("uses", ["one", "many"])
def test_no_packet_gets_a_signature(root: RootFolder, uses: Literal["one", "many"]) -> None:
    with signer_module(root, order(quota=2_000_000)) as module:
        chip = hal_of(module).chip.chip  # type: ignore[attr-defined]
        chip.core.open_points = OpenPoints(authorization_uses=uses)
        module.unlock(PASSWORD)
        before, thief = kept(chip), Thief(chip)
        commands = list(understood(chip))
        heard = [raw for act in owners_acts(module).values() for raw in overheard(hal_of(module), act)]
        for number, act in enumerate(owners_acts(module).values()):
            for raw in heard:
                act()
                thief.attack(raw)
            for prelude in [*PRELUDES.values()][: None if number == 0 else 1]:
                act()
                for opcode, mode, length in commands:
                    for parameter in PARAMETERS:
                        thief.attack(packet(opcode, mode, parameter, bytes(length)), prelude)
        assert thief.signatures == []
        assert kept(chip) == before
        assert thief.sent >= FEWEST
