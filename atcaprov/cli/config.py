"""`atcaprov config`: show, check, compare and convert configuration zones in files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from atcaprov.chip.memory_map import SLOT_COUNT
from atcaprov.cli.config_map import draw
from atcaprov.config_zone.defaults import DEFAULT_608A, DEFAULT_CERTIFICATE_SLOTS, DEFAULT_DEVICE_KEY_SLOT
from atcaprov.config_zone.findings import Allow, Finding, Level, Product
from atcaprov.config_zone.zone import ConfigZone, Part
from atcaprov.config_zone.zone_file import ZoneFile, read_zone_file
from atcaprov.errors import Code, UsageError
from atcaprov.program.console_text import say

_DIFFERENT: Final = 1


class SlotList(click.ParamType[frozenset[int]]):
    """Slot numbers with commas, such as 10,11,12; an empty text means none."""

    name = "slots"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> frozenset[int]:
        """Return the numbers."""
        if isinstance(value, frozenset):
            return value
        words = [word.strip() for word in str(value).split(",") if word.strip()]
        if not all(word.isascii() and word.isdigit() and int(word) < SLOT_COUNT for word in words):
            self.fail(f"'{value}' is not a list of slots (0 to {SLOT_COUNT - 1}) such as 10,11,12.", param, ctx)
        return frozenset(int(word) for word in words)


_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_SLOTS: Final = SlotList()


def _part_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--part",
        type=click.Choice([part.value for part in Part]),
        default=Part.ATECC608.value,
        show_default=True,
        help="The chip that the zone is for.",
    )(function)


def _length_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--accept-112",
        is_flag=True,
        help="Accept a file of 112 bytes as bytes 16-127, without the serial number in front.",
    )(function)


@click.group("config")
def group() -> None:
    """Explain, check and convert configuration zones. Their 128 bytes decide permanently what a chip can do.

    FILE has named fields if its name ends in .toml; else it is hex text, raw bytes, a dump, a listing, an array of a
    program, JSON or another known form. provisioning-client --config reads the same.
    """


@group.command()
@click.argument("file", type=_FILE, required=False)
@_part_option
@_length_option
@click.option("--hex", "as_hex", is_flag=True, help="Print the bytes as a hex file instead of words.")
def show(file: Path | None, part: str, accept_112: bool, as_hex: bool) -> None:
    """Explain every field and every slot of FILE.

    Without FILE, the default product configuration is explained.
    """
    zone = ConfigZone(DEFAULT_608A) if file is None else _zone_of(read_zone_file(file, accept_112=accept_112))
    if as_hex:
        from atcaprov.config_zone.hex_file import format_hex

        say(format_hex(zone.data), end="")
    else:
        show_words(zone, Part(part))


def _zone_of(found: ZoneFile) -> ConfigZone:
    """Return the zone; say in which form its file was read if it is not one of the two usual ones."""
    if not found.is_usual:
        say(f"{found.path}: read as {found.form}.", err=True)
    return found.zone


def show_words(zone: ConfigZone, part: Part) -> None:
    """Print every field and every slot of a zone in words."""
    from atcaprov.config_zone.explain import explain_fields, slot_table

    say(f"{part} configuration zone\n\nbyte  field")
    for field in explain_fields(zone, part):
        say(f"{field.byte:4}  {field.name:<22}{field.value:<20}{field.meaning}".rstrip())
    say("\n" + "\n".join(slot_table(zone)))


@group.command()
@click.argument("file", type=_FILE)
@_part_option
@_length_option
@click.option(
    "--device-key-slot",
    metavar="SLOT",
    type=click.IntRange(0, SLOT_COUNT - 1),
    default=DEFAULT_DEVICE_KEY_SLOT,
    show_default=True,
    help="Slot of the device key.",
)
@click.option(
    "--certificate-slots",
    type=_SLOTS,
    default=",".join(str(slot) for slot in sorted(DEFAULT_CERTIFICATE_SLOTS)),
    show_default=True,
    help="Slots of the certificates and the signer's public key.",
)
@click.option("--slots-to-lock", type=_SLOTS, default="", help="Slots that are locked one by one at the end.")
@click.option("--written-slots", type=_SLOTS, help="Slots that are written before the data lock.")
@click.option(
    "--allow",
    type=click.Choice([allow.value for allow in Allow]),
    multiple=True,
    help="Accept a setting that is otherwise refused.",
)
def check(file: Path, part: str, accept_112: bool, allow: tuple[str, ...], **slots: Any) -> None:
    """Check FILE for settings that would harm a chip.

    Settings that need attention are reported, too, and FILE is tried on a software chip.

    Exit code 2 if there is an error; warnings and infos do not count.
    """
    from atcaprov.config_zone.check import check_product
    from atcaprov.rehearsal.rehearsal import rehearse
    from atcaprov.rehearsal.report import needs_lines, table_lines

    found = read_zone_file(file, accept_112=accept_112)
    _zone_of(found)
    product = Product(part=Part(part), allowed=frozenset(Allow(name) for name in allow), **slots)
    findings = check_product(found.zone, product)
    rehearsal = rehearse(found.zone, product)
    explained = {finding.slot for finding in findings if finding.level is Level.ERROR}
    findings += [finding for finding in rehearsal.findings if finding.slot not in explained]
    for finding in findings:
        say(_finding_text(found, finding))
    say(f"Tried on a software {part}: after all locks, slots can be")
    for line in table_lines(rehearsal):
        say(f"  {line}")
    if needs := needs_lines(rehearsal):
        say("Of these, some need what a chip in use is given first:")
    for line in needs:
        say(f"  {line}")
    _conclude(file, findings)


def _finding_text(found: ZoneFile, finding: Finding) -> str:
    text = f"{found.place(finding.byte)}: {finding.level}: byte {finding.byte}: {finding.message} [{finding.rule}]"
    return f"{text}\n    {finding.advice}" if finding.advice else text


def _conclude(file: Path, findings: list[Finding]) -> None:
    counts = {level: sum(finding.level is level for finding in findings) for level in Level}
    summary = ", ".join(f"{count} {level}{'' if count == 1 else 's'}" for level, count in counts.items())
    if counts[Level.ERROR]:
        raise UsageError(
            f"{file} would harm the chip: {summary}.",
            advice="Do not lock a chip with it.",
            code=Code.CONFIG_ZONE_UNSAFE,
        )
    say(f"{file} can be locked: {summary}.")


@group.command()
@click.argument("before", type=_FILE)
@click.argument("after", type=_FILE)
@_part_option
@_length_option
@click.option("--exit-code", is_flag=True, help="Exit with 1 if the zones differ.")
def diff(before: Path, after: Path, part: str, accept_112: bool, exit_code: bool) -> int:
    """Print how the zones of two files differ. Bytes 0-15 and 86-87 do not count."""
    from atcaprov.config_zone.diff import diff as differences

    first, second = (_zone_of(read_zone_file(file, accept_112=accept_112)) for file in (before, after))
    found = differences(first, second, Part(part))
    for difference in found:
        say(str(difference))
        if difference.before_meaning or difference.after_meaning:
            say(f"    - {difference.before_meaning}\n    + {difference.after_meaning}")
    if not found:
        say("The zones are the same.")
    return _DIFFERENT if found and exit_code else 0


@group.command()
@click.argument("file", type=_FILE)
@_length_option
def convert(file: Path, accept_112: bool) -> None:
    """Convert an ATECC508A configuration for an ATECC608.

    It is made safe by Microchip's AN3539, and printed as a hex file.

    Bits whose meaning differs are kept: check the result.
    """
    from atcaprov.config_zone.hex_file import format_hex
    from atcaprov.config_zone.zone import convert_508a_to_608

    zone = _zone_of(read_zone_file(file, accept_112=accept_112))
    say(format_hex(convert_508a_to_608(zone.data)), end="")


group.add_command(draw)
