"""`atcaprov config map`: draw what each slot is for, and who may use it before and after each lock."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from atcaprov.config_zone.zone import ConfigZone, Part
from atcaprov.errors import Board, Code, ProvisioningError, UsageError
from atcaprov.program.console_text import say

if TYPE_CHECKING:
    from atcaprov.chip_map.model import Subject

_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_OUT: Final = click.Path(dir_okay=False, path_type=Path, allow_dash=True)
_STDOUT: Final = Path("-")
_DEFAULT_TITLE: Final = "Default ATECC608 product configuration"
_MODE: Final = 0o644


@click.command("map")
@click.argument("file", type=_FILE, required=False)
@click.option("--device", "url", metavar="URL", help="Draw the chip at this device URL; it is not changed.")
@click.option("--against", type=_FILE, help="Mark what differs from the configuration in this file.")
@click.option("--svg", type=_OUT, metavar="OUT", help="Write a drawing to this file; - means standard output.")
@click.option("--html", type=_OUT, metavar="OUT", help="Write a page to this file; - means standard output.")
@click.option(
    "--part",
    type=click.Choice([part.value for part in Part]),
    default=Part.ATECC608.value,
    show_default=True,
    help="The chip that a FILE is for; a device tells its own.",
)
@click.option("--accept-112", is_flag=True, help="Accept a file of 112 bytes as bytes 16-127.")
def draw(
    file: Path | None,
    url: str | None,
    against: Path | None,
    svg: Path | None,
    html: Path | None,
    part: str,
    *,
    accept_112: bool,
) -> None:
    """Draw who may read, change and use each slot, and when.

    FILE is drawn, a chip (--device), or without both the default configuration.

    What is drawn is tried on a software chip: before the config lock, after it, after the data lock, after the lock of
    each slot. Give --svg, --html or both. An existing OUT is replaced.
    """
    _check(file, url, svg, html)
    subject = _file_subject(file, Part(part), accept_112=accept_112) if url is None else _device_subject(url)
    other = None if against is None else _file_subject(against, subject.part, accept_112=accept_112)
    _write_drawings(subject, other, svg, html)


def _check(file: Path | None, url: str | None, svg: Path | None, html: Path | None) -> None:
    if file is not None and url is not None:
        raise UsageError("FILE and --device were both given.", advice="Give one of them.")
    if svg is None and html is None:
        raise UsageError("No file to write was named.", advice="Add --svg OUT or --html OUT.")
    if svg == html == _STDOUT:
        raise UsageError("Two drawings cannot both go to standard output.", advice="Name a file for one of them.")


def _file_subject(file: Path | None, part: Part, *, accept_112: bool) -> Subject:
    from atcaprov.chip_map.model import Subject
    from atcaprov.config_zone.defaults import DEFAULT_608A
    from atcaprov.config_zone.zone_file import read_zone_file

    if file is None:
        return Subject(ConfigZone(DEFAULT_608A), part, _DEFAULT_TITLE)
    found = read_zone_file(file, accept_112=accept_112)
    if not found.is_usual:
        say(f"{found.path}: read as {found.form}.", err=True)
    return Subject(found.zone, part, found.title or file.name, purposes=found.purposes)


def _device_subject(url: str) -> Subject:
    from atcaprov.chip_map.contents import content_words
    from atcaprov.chip_map.model import Subject
    from atcaprov.device.read_only import open_read_only
    from atcaprov.inspection.snapshot import read_snapshot

    with open_read_only(url) as device:
        found = read_snapshot(device)
    contents = content_words(found.slots, found.keys, found.public_keys)
    title = f"Chip {found.serial_number.hex().upper()}"
    return Subject(found.zone, _part(found.revision), title, on_chip=True, contents=contents)


def _part(revision: bytes) -> Part:
    from atcaprov.chip.parts import is_508, is_608, part_name

    if is_508(revision):
        return Part.ATECC508A
    if not is_608(revision):
        raise ProvisioningError(
            f"This chip is an {part_name(revision)}.",
            advice="A map can be drawn of an ATECC508A and of the ATECC608 family.",
            code=Code.WRONG_PART,
            board=Board.UNTOUCHED,
        )
    return Part(part_name(revision)) if part_name(revision) in set(Part) else Part.ATECC608


def _write_drawings(subject: Subject, other: Subject | None, svg: Path | None, html: Path | None) -> None:
    from atcaprov.chip_map.html import html_of
    from atcaprov.chip_map.model import draw_map
    from atcaprov.chip_map.svg import svg_of

    drawn = draw_map(subject, other)
    if svg is not None:
        _write(svg, svg_of(drawn))
    if html is not None:
        _write(html, html_of(drawn))
    written = [str(out) for out in (svg, html) if out not in (None, _STDOUT)]
    if written:
        say(f"Map written to {' and '.join(written)}.", err=True)


def _write(out: Path, text: str) -> None:
    from atcaprov.durable_files import replace

    if out == _STDOUT:  # in ASCII, which is right in every encoding that standard output may have
        click.echo(text.encode("ascii", "xmlcharrefreplace").decode(), nl=False)
        return
    try:
        if out.exists() and not out.is_file():  # a pipe or a device takes the text; a file in its place would be wrong
            out.write_bytes(text.encode())
        else:
            replace(out.resolve(), text.encode(), _MODE)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}.", code=Code.FILE_UNWRITABLE) from error
