"""ECDH and KDF protection in ChipOptions: where a secret may go."""

from __future__ import annotations

from typing import Final

from atcaprov.emulator.refusal import denied

_CLEAR: Final = 0
_INTERNAL_ONLY: Final = 2
_NEVER: Final = 3


def require_output_allowed(field: int, *, on_bus: bool, encrypted: bool, bit: str) -> None:
    """Refuse what the two low bits of `field` forbid: 0 nothing, 1 clear output, 2 every output, 3 the command."""
    level = field & 0x03
    if level == _NEVER:
        raise denied("the command is switched off", bit=bit)
    if on_bus and level == _INTERNAL_ONLY:
        raise denied("the result must stay inside", bit=bit)
    if on_bus and level != _CLEAR and not encrypted:
        raise denied("the result leaves the chip encrypted only", bit=bit)
