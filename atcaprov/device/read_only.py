"""Open a chip for reading only: nothing that changes it can be sent."""

from __future__ import annotations

from pathlib import Path

from atcaprov.device.command_guard import GuardedHal
from atcaprov.device.device import Device
from atcaprov.hal.base import Hal
from atcaprov.hal.registry import open_hal
from atcaprov.hal.tracing.hal import TracedHal
from atcaprov.hal.tracing.trace_file import create_trace


def open_read_only(url: str, *, trace: Path | None = None) -> Device:
    """Open the chip that a device URL names so that no command can change it, whatever the caller permits.

    `trace` is a new file for what passes between host and chip. A changing command raises UsageError (READ_ONLY).
    """
    hal = open_hal(url)
    try:
        return Device(GuardedHal(_traced(hal, url, trace)))
    except BaseException:
        hal.close()
        raise


def _traced(hal: Hal, url: str, trace: Path | None) -> Hal:
    return hal if trace is None else TracedHal(hal, create_trace(trace, url))
