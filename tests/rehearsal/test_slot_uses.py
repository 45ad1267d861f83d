"""What a rehearsal says of a slot is true of a chip in use: with all needs met it works, without any one it fails."""

from __future__ import annotations

from collections.abc import Container
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atcaprov import Part, SoftwareChip
from atcaprov.chip.commands import LOCK_DATA, LOCK_NO_CRC, Opcode
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.emulator.images import load_image
from atcaprov.emulator.open_points import OpenPoints
from atcaprov.emulator.random_source import SeededRandom
from atcaprov.rehearsal.needs import Need, NeedKind
from atcaprov.rehearsal.slot_probes import PROBES
from atcaprov.rehearsal.slot_uses import Needs, needs_of
from atcaprov.rehearsal.trial_chip import TrialChip
from tests.support.config_zones import changed, with_slot
from tests.support.independent_host import AllNeeds, IndependentHost
from tests.support.independent_slot_uses import INDEPENDENT_USES, IndependentUses

_NO_COUNT = "FFFFFFFF00000000"
_NAMED_ONLY = {"used to sign inside", "given a result of ECDH"}
"""Uses for which the independent host has to be told the other slot."""


def trial_chip(zone: bytes, part: Part = Part.ATECC608A, open_points: OpenPoints | None = None) -> TrialChip:
    source = SeededRandom(b"trial")
    memory = load_image(part.lower()).make(source)
    memory.config[16:86] = zone[16:86]
    memory.config[88:] = zone[88:]
    memory.config[87] = 0
    trial = TrialChip(SoftwareChip(memory, random_source=source, open_points=open_points))
    for number in range(16):
        trial.fill(number)
    assert trial.does(Opcode.LOCK, LOCK_NO_CRC | LOCK_DATA)
    return trial


def check(
    zone: bytes, part: Part, use: str, number: int, needs: Needs | None, open_points: OpenPoints | None = None
) -> None:
    """Do the use on fresh chips: with all needs, and with all but one."""

    def done(met: Container[Need], *, uses_left: bool = True) -> bool:
        host = IndependentHost(zone, part, met, uses_left=uses_left, open_points=open_points)
        return INDEPENDENT_USES[use](IndependentUses(host, number))

    what = f"slot {number} {use}: {needs and [str(need) for need in needs]}"
    if needs is None:
        assert use in _NAMED_ONLY or not done(AllNeeds()), what
        return
    assert done(set(needs)), what
    for need in needs:
        uses_left = need.kind is not NeedKind.USE_LEFT
        assert not done(set(needs) - {need}, uses_left=uses_left), f"{what} - {need}"


def zone_with(*slots: tuple[int, int, int], **bytes_at: str) -> bytes:
    """Return the default with slots (number, SlotConfig, KeyConfig) and bytes (`at_18="81"`) changed."""
    zone = changed(*((int(name[3:]), value) for name, value in bytes_at.items()))
    for number, slot_config, key_config in slots:
        zone = with_slot(number, slot_config, key_config, zone=zone)
    return zone


SIGNER, PUBLIC = 0x0081, 0x0010
KEPT: dict[str, tuple[bytes, Part, int, str, tuple[str, ...] | None]] = {
    "ReqAuth": (
        zone_with((3, SIGNER, 0x05B3)),
        Part.ATECC608A,
        3,
        "used to sign a loaded digest",
        ("CheckMac with slot 5 right before",),
    ),
    "ReqAuth of the authorizing key": (
        zone_with((3, SIGNER, 0x05B3), (5, 0x8F8F, 0x069C)),
        Part.ATECC608A,
        3,
        "asked for its public key",
        ("CheckMac with slot 6 right before", "CheckMac with slot 5 right before"),
    ),
    "authorized by a public key": (
        zone_with((3, SIGNER, 0x0AB3), (10, 0, PUBLIC)),
        Part.ATECC608A,
        3,
        "used to sign a loaded digest",
        ("Verify with the public key in slot 10 right before",),
    ),
    "ReqAuth by a private key": (
        zone_with((3, SIGNER, 0x02B3)),
        Part.ATECC608A,
        3,
        "used to sign a loaded digest",
        None,
    ),
    "ReqAuth by itself": (zone_with((5, 0x8F8F, 0x059C)), Part.ATECC608A, 5, "used for MAC", None),
    "PersistentDisable": (
        zone_with((3, SIGNER, 0x1033), at_69="85"),
        Part.ATECC608A,
        3,
        "used to sign a loaded digest",
        ("CheckMac with slot 5 right before", "the persistent latch set"),
    ),
    "PersistentDisable that nothing lifts": (
        zone_with((3, SIGNER, 0x1033)),
        Part.ATECC608A,
        3,
        "used to sign a loaded digest",
        None,
    ),
    "ReqRandom": (zone_with((5, 0x8F8F, 0x005C)), Part.ATECC608A, 5, "used for MAC", ("a random nonce",)),
    "ReqRandom of HMAC": (zone_with((5, 0x8F8F, 0x005C)), Part.ATECC608A, 5, "used for HMAC", None),
    "NoMac": (
        zone_with((5, 0x8F9F, 0x001C)),
        Part.ATECC608A,
        5,
        "used as a key by GenDig",
        ("OtherData for the verify-only key in slot 5",),
    ),
    "EncryptRead": (
        zone_with((3, 0x85C5, 0x001C)),
        Part.ATECC608A,
        3,
        "read encrypted",
        ("a random nonce", "GenDig with slot 5"),
    ),
    "EncryptRead under a key with ReqAuth": (
        zone_with((3, 0x85C5, 0x001C), (5, 0x8F8F, 0x069C)),
        Part.ATECC608A,
        3,
        "read encrypted",
        ("CheckMac with slot 6 right before", "a random nonce", "GenDig with slot 5"),
    ),
    "Encrypt": (zone_with((3, 0x4585, 0x001C)), Part.ATECC608A, 3, "written encrypted", ("GenDig with slot 5",)),
    "PrivWrite": (
        zone_with((3, 0x4585, 0x0033)),
        Part.ATECC608A,
        3,
        "given a key by PrivWrite",
        ("GenDig with slot 5",),
    ),
    "DeriveKey with MAC": (
        zone_with((3, 0xB585, 0x001C)),
        Part.ATECC608A,
        3,
        "replaced by DeriveKey",
        ("a MAC under slot 5",),
    ),
    "PubInfo": (
        zone_with((11, 0x000A, 0x0012), (10, 0, PUBLIC)),
        Part.ATECC608A,
        11,
        "used to verify signatures",
        ("the public key in slot 11 validated by its parent",),
    ),
    "PubInfo without parent": (
        zone_with((11, 0x000D, 0x0012)),
        Part.ATECC608A,
        11,
        "used to verify signatures",
        None,
    ),
    "written while not validated": (
        zone_with((11, 0x100A, 0x0012), (10, 0, PUBLIC)),
        Part.ATECC608A,
        11,
        "written in clear",
        ("the public key in slot 11 not validated",),
    ),
    "LimitedUse and CountMatch": (
        zone_with((3, 0x00A1, 0x0033), at_18="81"),
        Part.ATECC608A,
        3,
        "used to sign a loaded digest",
        ("a use left of those that are counted",),
    ),
    "LastKeyUse": (
        zone_with((15, 0x8FAF, 0x001C), at_68="FF" * 16),
        Part.ATECC508A,
        15,
        "used for MAC",
        ("a use left of those that are counted",),
    ),
    "IO protection key": (
        zone_with((3, 0x0084, 0x0033), at_90="0261"),
        Part.ATECC608A,
        3,
        "used for ECDH",
        ("an answer encrypted with the IO protection key in slot 6",),
    ),
    "answers that stay inside": (
        zone_with((3, 0x0084, 0x0033), at_90="0002"),
        Part.ATECC608A,
        3,
        "used for ECDH",
        ("its result kept in TempKey",),
    ),
    "KDF that stays inside": (
        zone_with(at_90="0008"),
        Part.ATECC608A,
        5,
        "used for KDF",
        ("its result kept in TempKey",),
    ),
    "ECDH into a slot": (
        zone_with((2, 0x008C, 0x0033), (3, 0x8F8F, 0x001C)),
        Part.ATECC508A,
        2,
        "used for ECDH",
        ("its result kept in slot 3",),
    ),
    "a slot that ECDH writes": (DEFAULT_608A, Part.ATECC608A, 5, "given a result of ECDH", ("ECDH with slot 4",)),
    "Sign (internal)": (
        DEFAULT_608A,
        Part.ATECC608A,
        1,
        "used to sign inside",
        ("GenKey's digest of the public key of slot 0",),
    ),
}


@pytest.mark.parametrize("case", KEPT)
def test_each_need_is_reported_and_real(case: str) -> None:
    zone, part, number, use, expected = KEPT[case]
    needs = needs_of(trial_chip(zone, part), use, number)
    assert (needs if needs is None else tuple(str(need) for need in needs)) == expected
    check(zone, part, use, number, needs)


def test_every_kind_of_need_has_its_case() -> None:
    texts = "; ".join("; ".join(expected or ()) for *_, expected in KEPT.values())
    missing = [kind for kind in NeedKind if kind.value.split("{")[0] not in texts]
    assert not missing


KEY_CONFIGS = st.one_of(
    st.integers(0, 0xFFFF),
    st.sampled_from([0x0033, 0x0013, 0x003C, 0x001C, 0x0010, 0x0012, 0x0018]).flatmap(
        lambda kind: st.tuples(st.booleans(), st.booleans(), st.integers(0, 15), st.integers(0, 3)).map(
            lambda more: kind | more[0] << 6 | more[1] << 7 | more[2] << 8 | (more[3] == 3) << 12
        )
    ),
)


@st.composite
def zones(draw: st.DrawFn) -> bytes:
    """Zones whose slots ask for all that a slot can ask for; nothing is locked or counted yet."""
    words = (st.integers(0, 0xFFFF), KEY_CONFIGS)
    slot_configs, key_configs = ([draw(word).to_bytes(2, "little") for _ in range(16)] for word in words)
    head = draw(st.binary(min_size=3, max_size=3))
    latch = draw(st.integers(0x80, 0x8F))
    options = draw(st.integers(0, 0xFFFF)).to_bytes(2, "little")
    formats = draw(st.sampled_from([bytes(4), bytes(4), b"\0\1\0\1"]))
    zone = b"".join((bytes(16), b"\xc0", head, *slot_configs, bytes.fromhex(2 * _NO_COUNT)))
    zone += bytes((0xFF, latch)).ljust(16, b"\xff") + bytes((0, 0, 0x55, 0x55, 0xFF, 0xFF)) + options + formats
    return zone + b"".join(key_configs)


@pytest.mark.slow
@settings(max_examples=15)
@given(zones(), st.sampled_from([Part.ATECC608A, Part.ATECC608A, Part.ATECC508A]), st.sampled_from(["one", "many"]))
def test_needs_in_any_zone_are_real(zone: bytes, part: Part, uses: Literal["one", "many"]) -> None:
    open_points = OpenPoints(authorization_uses=uses)
    trial = trial_chip(zone, part, open_points)
    for use in PROBES:
        for number in range(16):
            check(zone, part, use, number, needs_of(trial, use, number), open_points)
