"""Write, lock and compare the configuration zone: stages 1 to 3, and the same steps of a signer module."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

from atcaprov.chip.crc import crc16
from atcaprov.chip.memory_map import (
    BLOCK_SIZE,
    CHIP_MODE,
    COUNTERS,
    I2C_ADDRESS,
    LOCK_CONFIG,
    LOCK_VALUE,
    SLOT_LOCKED,
    USER_EXTRA,
    USER_EXTRA_ADD,
    WORD_SIZE,
)
from atcaprov.chip.trust_parts import TFLXTLS, TNGTLS, TrustPart, trust_part
from atcaprov.config_zone.diff import diff
from atcaprov.config_zone.layouts import belongs_to
from atcaprov.config_zone.locks import is_config_locked
from atcaprov.config_zone.zone import ConfigZone, Part
from atcaprov.device.device import Device
from atcaprov.errors import Board, Code, ProvisioningError

_EXTRAS: Final = (USER_EXTRA, USER_EXTRA_ADD)
_ADDRESS_IN_EXTRA: Final = 0x01  # bit 0 of ChipMode
_FIRST_WORD: Final = 4
_LOCK_WORD: Final = 21  # bytes 84 to 87: UpdateExtra and Lock only
_NAMED_FIELDS: Final = 2
_WHOLE_BLOCKS: Final = (1, 3)  # the blocks in which Write can change every word


def config_writes(current: bytes, wanted: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the writes (first word, 4 or 32 bytes) that turn `current` into `wanted`, leaving equal words alone."""
    for block in range(4):
        words = [word for word in range(8 * block, 8 * block + 8) if _differs(word, current, wanted)]
        if len(words) > 1 and block in _WHOLE_BLOCKS:
            yield 8 * block, wanted[BLOCK_SIZE * block : BLOCK_SIZE * (block + 1)]
        else:
            yield from ((word, _word(wanted, word)) for word in words)


def _differs(word: int, current: bytes, wanted: bytes) -> bool:
    return word >= _FIRST_WORD and word != _LOCK_WORD and _word(current, word) != _word(wanted, word)


def _word(config: bytes, word: int) -> bytes:
    return config[WORD_SIZE * word : WORD_SIZE * (word + 1)]


def write_config(device: Device, current: bytes, wanted: bytes) -> bytes:
    """Write what differs, read the zone back and return it, 128 bytes; of a locked zone only bytes 84 and 85 change.

    Raises:
        ProvisioningError: the chip does not hold what was written (code WRITE_NOT_VERIFIED).
    """
    if not is_config_locked(current):
        for word, data in config_writes(current, wanted):
            device.write_config(word, data)
    for offset in open_extras(current, wanted):
        device.update_extra(offset - USER_EXTRA, wanted[offset])
    written = device.read_config()
    if is_config_locked(current):
        require_same_config(written, wanted)
        return written
    differing = [offset for offset in _settable() if written[offset] != wanted[offset]]
    if differing:
        raise ProvisioningError(
            f"The configuration zone reads back differently at bytes {_listed(differing)}.",
            advice="Nothing was locked. Try again; if it happens twice, put the board in the red bin.",
            code=Code.WRITE_NOT_VERIFIED,
        )
    return written


def open_extras(current: bytes, wanted: bytes) -> list[int]:
    """Return which of bytes 84 and 85 are still to be set; UpdateExtra sets each once, in every lock state."""
    return [offset for offset in _EXTRAS if not current[offset] and wanted[offset]]


def require_possible_extras(current: bytes, wanted: bytes) -> None:
    """Check, before anything is written, that bytes 84 and 85 are as wanted or can be set.

    Raises:
        ProvisioningError: one was permanently set to something else (code USER_EXTRA_SET).
    """
    for offset in _EXTRAS:
        if current[offset] not in (0, wanted[offset]):
            raise ProvisioningError(
                f"Byte {offset} of the chip's configuration zone is {current[offset]:02X} and this product's is"
                f" {wanted[offset]:02X}: it can be set only once.",
                advice="It was used before or is for another product.",
                code=Code.USER_EXTRA_SET,
                board=Board.SCRAP,
            )


def i2c_address(config: bytes) -> int:
    """Return the I2C address, 8-bit form, that a 608 with this configuration zone takes when it has slept."""
    extra = config[USER_EXTRA_ADD] if config[CHIP_MODE] & _ADDRESS_IN_EXTRA else 0
    return extra or config[I2C_ADDRESS]


def lock_config(device: Device, written: bytes) -> None:
    """Lock the zone with the CRC over its 128 bytes as they were read back and compared."""
    device.lock_config(crc16(written))


def differing_bytes(locked: bytes, wanted: bytes) -> list[int]:
    """Return where a locked zone is not the wanted one and never will be: see `require_same_config`."""
    lives = {*range(*COUNTERS.indices(len(wanted))), *range(*SLOT_LOCKED.indices(len(wanted)))}
    may_differ = lives.union(open_extras(locked, wanted))
    return [offset for offset in _settable() if offset not in may_differ and locked[offset] != wanted[offset]]


def require_same_config(locked: bytes, wanted: bytes, *, locked_now: bool = False) -> None:
    """Check that a locked zone is the wanted one, but for counters, slots that were locked since, and what can be set.

    A chip that came so may be another product's unit or a signer module, so it is set aside and named for what it is;
    one that was `locked_now`, in this run, is scrap.

    Raises:
        ProvisioningError: the chip was permanently configured for something else (code CONFIG_LOCKED_OTHER), or came so
            from its maker (code WRONG_PART).
    """
    differing = differing_bytes(locked, wanted)
    if (part := trust_part(locked)) is not None:
        raise wrong_trust_part(part)
    if not differing:
        return
    owner = None if locked_now else belongs_to(locked)
    what = owner or f"locked with another configuration: {named_fields(differing, locked, wanted)}"
    came_so = "Set the board aside: its configuration is permanent."
    raise ProvisioningError(
        f"This chip is {what}.",
        advice="Call the technician: what was locked is not what was written." if locked_now else came_so,
        code=Code.CONFIG_LOCKED_OTHER,
        board=Board.SCRAP if locked_now else Board.SET_ASIDE,
    )


def named_fields(differing: list[int], locked: bytes, wanted: bytes) -> str:
    """Return the first fields that differ in words, and how many more there are."""
    found = [
        each
        for each in diff(ConfigZone(wanted), ConfigZone(locked), Part.ATECC608)
        if set(differing) & set(range(each.byte, each.byte + len(each.before) // 2))
    ]
    fields = "; ".join(f"{each.field} is {each.after}, not {each.before}" for each in found[:_NAMED_FIELDS])
    more = len(found) - _NAMED_FIELDS
    return f"{fields}{f', and {more} more fields differ' if more > 0 else ''}"


_HOW_TO_USE: Final = MappingProxyType(
    {
        TNGTLS.name: " Its certificates are the maker's and permanent: 'atcaprov chip cert --device URL' exports them.",
        TFLXTLS.name: " A line for TFLXTLS starts its client with --part tflxtls.",
    }
)


def wrong_trust_part(part: TrustPart) -> ProvisioningError:
    """Return the error for a Trust part in a line for other chips."""
    return ProvisioningError(
        f"This chip is a Trust part (ATECC608 {part.name}): it is delivered with a configuration of its own, which is"
        " locked.",
        advice=f"Wrong chip type for this product: call the technician.{_HOW_TO_USE.get(part.name, '')}",
        code=Code.WRONG_PART,
        board=Board.UNTOUCHED,
    )


def _settable() -> Iterator[int]:
    """Yield the offsets that a configuration file decides."""
    yield from range(WORD_SIZE * _FIRST_WORD, LOCK_VALUE)
    yield from range(LOCK_CONFIG + 1, 128)


def _listed(offsets: list[int]) -> str:
    return ", ".join(str(offset) for offset in offsets)
