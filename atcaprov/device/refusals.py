"""A command's refusal by the chip as an error."""

from __future__ import annotations

from atcaprov.chip import refusals
from atcaprov.device.replies import command_name
from atcaprov.errors import DeviceError


def refusal(packet: bytes, status: int) -> DeviceError:
    """Return the error for a refused command: `packet` as sent, `status` byte as answered."""
    return refusals.refusal(command_name(packet), status)
