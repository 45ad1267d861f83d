"""The readings of the chip under which no program can bring a flow to its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from atcaprov import Code
from tests.open_points.flows import FLOWS


@dataclass(frozen=True)
class Stop:
    """An open point, the value of it that stops these flows, and the code of the error that reports it."""

    point: str
    value: Any
    flows: tuple[str, ...]
    code: Code


STOPS: Final = (
    # No host can compute a CRC that covers a key made in the chip.
    Stop("data_crc_private", True, tuple(FLOWS), Code.DATA_CRC_REFUSED),
    # A root certificate and a request are signed by the key that they are for, and are needed before the data lock.
    Stop("data_open_use", False, ("signer_under_a_root_module", "signer_for_an_external_ca"), Code.CHIP_REFUSED),
)


def held_for(flow: str) -> dict[str, Any]:
    """Return the value of each point that lets a flow come to its end."""
    return {stop.point: not stop.value for stop in STOPS if flow in stop.flows}
