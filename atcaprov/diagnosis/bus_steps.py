"""From nothing to an open chip: which device, its port or bus, and whether a chip answers at the address."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from atcaprov.device.read_only import open_read_only_hal
from atcaprov.diagnosis.candidates import list_ports
from atcaprov.diagnosis.examination import Examination, StepBlockedError
from atcaprov.diagnosis.finding import DiagnosticFinding, FindingCode, finding, of_error
from atcaprov.hal.device_url import DELIVERED_ADDRESSES, HIGHEST_ADDRESS, both_forms
from atcaprov.hal.i2c.hal import SCHEME, chip_url, parse_bus_and_address
from atcaprov.hal.i2c.probe import AddressState, probe_address
from atcaprov.hal.i2c.scan import found_addresses
from atcaprov.hal.port_users import other_users
from atcaprov.hal.registry import require_device_url


def find_device(examination: Examination) -> None:
    """Set `url`: the one that was given, or that of the only connected chip; else set `ports` and say what is there."""
    if examination.subject.url is not None:
        require_device_url(examination.subject.url)
        examination.url = examination.subject.url
        examination.good.append("The device URL has a known form.")
        return
    examination.ports = ports = tuple(list_ports())
    chips = [chip for port in ports for chip in port.chips]
    examination.findings += [of_error(port.error) for port in ports if port.error is not None]
    if not ports:
        raise StepBlockedError(finding(FindingCode.NO_ADAPTER))
    if not chips:
        raise StepBlockedError(finding(FindingCode.NO_CHIP, ports=", ".join(port.url for port in ports)))
    if len(chips) > 1:
        raise StepBlockedError(finding(FindingCode.SEVERAL_CHIPS, count=len(chips), url=chips[0].url))
    examination.url = chips[0].url
    examination.good.append("One chip is connected.")


def open_chip(examination: Examination) -> None:
    """Set `hal`, the chip; on an I2C bus look at the address first, since its HAL does not tell why nothing wakes."""
    scheme, _, rest = examination.url.partition(":")
    if scheme == SCHEME:
        _look_at_address(examination, *parse_bus_and_address(rest))
    examination.hal = open_read_only_hal(examination.url, trace=examination.subject.trace)
    examination.hal.wake()
    examination.hal.idle()
    examination.good.append(f"The chip at {examination.url} wakes.")


def _look_at_address(examination: Examination, number: int, address: int) -> None:
    path = f"/dev/i2c-{number}"
    users = other_users(Path(path))
    examination.findings += [finding(FindingCode.PORT_SHARED, process=user, path=path) for user in users]
    state, answer = probe_address(number, address)
    where = {"address": both_forms(address << 1), "bus": f"{SCHEME}://{number}"}
    if state is AddressState.NOTHING:
        raise StepBlockedError(_not_there(number, address))
    if state is AddressState.OTHER_PART:
        raise StepBlockedError(finding(FindingCode.OTHER_PART, answer=answer.hex(" ").upper(), **where))
    if state is AddressState.AWAKE_CHIP:
        examination.findings.append(finding(FindingCode.LEFT_AWAKE))
    examination.good.append(f"A chip acknowledges {where['address']} at {where['bus']}.")


def _not_there(number: int, address: int) -> DiagnosticFinding:
    """Return the finding for an address where nothing is: a chip at another one, or none at all."""
    meant = {other for other, _ in _mistakes(address)}
    others = [other for other in (*DELIVERED_ADDRESSES, *sorted(meant)) if other != address]
    found = next(found_addresses(number, dict.fromkeys(others)), None)
    shown = both_forms(address << 1)
    if found is None:
        return finding(FindingCode.NO_ACKNOWLEDGE, address=shown, number=number)
    mistake = next((text for other, text in _mistakes(address) if other == found), "it has another address")
    reason = f"one answers at {both_forms(found << 1)}: {mistake}"
    return finding(FindingCode.CHIP_ELSEWHERE, address=shown, reason=reason, url=chip_url(number, found))


def _mistakes(address: int) -> Iterator[tuple[int, str]]:
    """Yield what a wrong 7-bit address may have been meant to be, and the mistake."""
    digits = f"{address:x}"
    if address % 2 == 0:
        yield address >> 1, "its 8-bit form was given, and I2C URLs take the 7-bit form"
    if 2 * address <= HIGHEST_ADDRESS:
        yield 2 * address, "the 7-bit form was halved once more"
    if digits.isdecimal() and 0 < int(digits) <= HIGHEST_ADDRESS:
        yield int(digits), "decimal digits were given behind 0x"
