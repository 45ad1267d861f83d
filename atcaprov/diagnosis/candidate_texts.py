"""What is connected, as text for people and as objects for JSON lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from atcaprov.chip.parts import spaced
from atcaprov.diagnosis.candidates import ListedChip, ListedPort
from atcaprov.diagnosis.finding import DiagnosticFinding, of_error
from atcaprov.errors import AtcaProvError
from atcaprov.hal.device_url import both_forms


def described(port: ListedPort) -> Iterator[str]:
    """Yield the lines for people."""
    where = [f"USB {port.usb_path}"] if port.usb_path else []
    ids = [part for part in (port.usb_id, port.usb_serial) if part]
    yield "  ".join([port.url, port.name, *ids, *where]).rstrip()
    if port.error is not None:
        yield f"    {finding_text(of_error(port.error))}"
    elif not port.searched:
        yield f"    not searched; 'provisioning-client devices --i2c {port.url.removeprefix('i2c://')}' looks for chips"
    elif not port.chips:
        yield "    no chip"
    for chip in port.chips:
        yield f"    {both_forms(chip.address)}  {_chip_text(chip)}"
        if chip.error is None:
            yield f"        revision {spaced(chip.revision)}, in the configuration zone {spaced(chip.config_revision)}"
        yield f"        --device '{chip.url}'"


def as_json(port: ListedPort) -> dict[str, Any]:
    """Return the object of a JSON line; see docs/reference/provisioning-client.md."""
    return {
        "url": port.url,
        "kind": port.kind,
        "name": port.name,
        "usb_path": port.usb_path,
        "usb_id": port.usb_id,
        "usb_serial": port.usb_serial,
        "searched": port.searched,
        **_error_keys(port.error),
        "chips": [_chip_json(chip) for chip in port.chips],
    }


def finding_text(found: DiagnosticFinding) -> str:
    """Return a finding as one line: its code, what it is, what to do."""
    return f"[{found.code}] {found.what} {found.advice}".rstrip()


def _chip_text(chip: ListedChip) -> str:
    if chip.error is not None:
        return finding_text(of_error(chip.error))
    config, data = ("locked" if locked else "open" for locked in (chip.config_locked, chip.data_locked))
    return f"{chip.part}  {chip.serial_number}  configuration {config}, data {data}"


def _chip_json(chip: ListedChip) -> dict[str, Any]:
    return {
        "url": chip.url,
        "address": f"0x{chip.address:02X}",
        "address_7_bit": f"0x{chip.address >> 1:02X}",
        "part": chip.part,
        "revision": chip.revision.hex(),
        "config_revision": chip.config_revision.hex(),
        "sn": chip.serial_number,
        "config_locked": chip.config_locked,
        "data_locked": chip.data_locked,
        **_error_keys(chip.error),
    }


def _error_keys(error: AtcaProvError | None) -> dict[str, str]:
    return {} if error is None else {"code": error.code, "message": error.what, "advice": error.advice}
