"""What a run is told by the command line: options that the program itself and its commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import click
import platformdirs

from atcaprov.bounded_reading import read_text
from atcaprov.certs.cert_info import CertInfo
from atcaprov.certs.certificate_files import read_certificate
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.config_zone.findings import Allow
from atcaprov.config_zone.zone_file import read_zone_file
from atcaprov.errors import Code, UsageError
from atcaprov.hal.device_url import names_software_chip
from atcaprov.hal.hotplug import is_plugged
from atcaprov.hal.registry import require_device_url
from atcaprov.product_profile.profile import ProductProfile
from atcaprov.product_profile.profile_file import read_profile
from atcaprov.provisioning.profile import DeliveredPart, Profile
from atcaprov.provisioning.server_access import ServerAccess
from atcaprov.provisioning.tcp_client import DEFAULT_HOST, DEFAULT_PORT
from atcaprov.transparency.verifier_keys import VerifierKey
from atcaprov.wire.server_place import ServerPlace

BLANK_CHIP: Final = "emulator:"
_UNIT_SLOT: Final = 8


def default_reports() -> Path:
    """Return the folder of the user for reports that wait."""
    return platformdirs.user_state_path("atcaprov") / "reports"


def default_checkpoints() -> Path:
    """Return the folder of the user for checkpoints."""
    return platformdirs.user_state_path("atcaprov") / "checkpoints"


# The parameter of an option has the option's name, so that click finds its environment variable.
_OPTIONS: Final = (
    click.option(
        "--certinfo",
        metavar="FILENAME",
        default="atcaprov_cert_info_0.c",
        show_default=True,
        type=click.Path(dir_okay=False, path_type=Path),
        help="Provisioning configuration file, written by signer-module when it makes a signer: the signer to ask for"
        " and the root to trust.",
    ),
    click.option(
        "--config",
        metavar="FILENAME",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Configuration zone of the ATECC608: 128 bytes as hex text, of which the first 16 are ignored, or named"
        " fields in a .toml file. Without it a default configuration is used.",
    ),
    click.option(
        "--part",
        type=click.Choice([part.value for part in DeliveredPart]),
        default=DeliveredPart.BLANK.value,
        show_default=True,
        help="How the chips are delivered: blank, or as TrustFLEX parts (TFLXTLS of the ATECC608A, B or C), whose"
        " locked configuration is compared and whose open slots are written.",
    ),
    click.option(
        "--key-slot",
        metavar="SLOT",
        default=0,
        show_default=True,
        type=int,
        help="Slot of the device key; the signer must be for that slot. With --part tflxtls, 0 is the maker's key, and"
        " 2, 3 or 4 gets a new one.",
    ),
    click.option(
        "--replace-certificates",
        is_flag=True,
        help="With --part tflxtls: overwrite the maker's certificates that the part comes with. Without them it cannot"
        " prove that Microchip made it.",
    ),
    click.option(
        "--replace-foreign-certificates",
        is_flag=True,
        help="With --part tflxtls: overwrite whatever else is where the certificates go. It may be the identity of"
        " another product's unit.",
    ),
    click.option(
        "--host", metavar="NAME/IP", show_default=False, help=f"Provisioning Server.  [default: {DEFAULT_HOST}]"
    ),
    click.option(
        "--port",
        metavar="NUM",
        type=click.IntRange(1, 65535),
        help=f"Its port.  [default: {DEFAULT_PORT}]",
    ),
    click.option(
        "--server",
        metavar="HOST[:PORT]",
        multiple=True,
        help="Provisioning Server, instead of --host and --port; repeat it for several, the preferred one first.",
    ),
    click.option(
        "--station",
        metavar="DIR",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder of this computer's enrolment as a station: all connections are TLS with its certificate."
        "  [default: that of the user, unless all servers are on this computer]",
    ),
    click.option(
        "--plain-network",
        is_flag=True,
        help="Ask servers on other computers without TLS, on a network that is yours alone.",
    ),
    click.option(
        "--order", metavar="NAME", default="", help="Work order for which the boards are; the server may demand one."
    ),
    click.option(
        "--profile",
        "profile_file",
        metavar="FILENAME",
        envvar="PROVISIONING_CLIENT_PROFILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Product profile, in the place of --config, --part, --key-slot, --unit-slot, --lock-slot, --allow and"
        " --product.",
    ),
    click.option("--product", metavar="NAME", default="", help="Product profile of the server that the boards are."),
    click.option("--label", metavar="TEXT", default="", help="What is on the label of the board, if it is only one."),
    click.option(
        "--unit",
        metavar="NAME",
        default="",
        help="The own name of the unit, if its certificate holds one and the board is only one: a serial number, MAC"
        " address or DevEUI.",
    ),
    click.option(
        "--units",
        metavar="FILENAME",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Names of units, one a line: each chip gets the next one. Which chip has which is kept in FILENAME.used.",
    ),
    click.option(
        "--unit-slot",
        metavar="SLOT",
        default=_UNIT_SLOT,
        show_default=True,
        type=click.IntRange(0, 15),
        help="Slot that the signer may have the unit's name written to, unless it keeps it in OTP.",
    ),
    click.option(
        "--device",
        metavar="URL",
        multiple=True,
        help="Chip to provision, such as kit-hid:// or i2c://1/0x60 (where boards come and go), emulator: (a blank"
        " software chip) or emulator:chip.json (one kept in a file); repeat it for several boards, one after the other."
        "  [required]",
    ),
    click.option("--lock-slot", metavar="SLOT", multiple=True, type=int, help="Slot to lock in stage 9; repeatable."),
    click.option(
        "--allow",
        metavar="SETTING",
        multiple=True,
        type=click.Choice([allow.value for allow in Allow]),
        help=f"Accept a setting of --config that is otherwise refused; repeatable: {', '.join(Allow)}.",
    ),
    click.option(
        "--any-of-group",
        is_flag=True,
        help="Accept every signer that the pinned root made for the same product, not only the one of --certinfo.",
    ),
    click.option(
        "--fill-unwritten",
        is_flag=True,
        help="Overwrite with FF what an unknown program wrote into the data zone of a chip whose configuration was"
        " locked before. It may be a secret of the product.",
    ),
    click.option(
        "--require-genuine",
        is_flag=True,
        help="Accept only parts that prove that Microchip made them; a blank part cannot, and is refused.",
    ),
    click.option(
        "--genuine-root",
        metavar="FILENAME",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Test root for --require-genuine, instead of Microchip's.",
    ),
    click.option("--no-validate", is_flag=True, help="Leave out stage 10."),
    click.option("--auto", is_flag=True, help="Start every board without waiting for ENTER."),
    click.option("--count", metavar="NUM", type=click.IntRange(1), help="End after this many boards."),
    click.option("--json", is_flag=True, help="One JSON object per line instead of the console texts."),
    click.option(
        "--trace",
        metavar="FILENAME",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Record all commands and replies of the chip, without secrets; further boards get NAME-2, NAME-3 ...",
    ),
    click.option(
        "--reports",
        metavar="DIR",
        default=default_reports,
        show_default="of the user; on Linux ~/.local/state/atcaprov/reports",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder for reports on boards: each waits there until the server has recorded it.",
    ),
    click.option(
        "--checkpoints",
        metavar="DIR",
        default=default_checkpoints,
        show_default="of the user; on Linux ~/.local/state/atcaprov/checkpoints",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder for the newest checkpoint of each ledger, by which a server that was restored is noticed.",
    ),
    click.option(
        "--log-key",
        metavar="KEY",
        help="Verifier key that the log of the server's ledger must have. Without it the first one seen is kept.",
    ),
)


@dataclass(frozen=True)
class RunOptions:
    """The options of a run, one field for each, by its name."""

    certinfo: Path
    config: Path | None
    part: str
    key_slot: int
    replace_certificates: bool
    replace_foreign_certificates: bool
    host: str | None
    port: int | None
    server: tuple[str, ...]
    station: Path | None
    plain_network: bool
    order: str
    profile_file: Path | None
    product: str
    label: str
    unit: str
    units: Path | None
    unit_slot: int
    device: tuple[str, ...]
    lock_slot: tuple[int, ...]
    allow: tuple[str, ...]
    any_of_group: bool
    fill_unwritten: bool
    require_genuine: bool
    genuine_root: Path | None
    no_validate: bool
    auto: bool
    count: int | None
    json: bool
    trace: Path | None
    reports: Path
    checkpoints: Path
    log_key: str | None

    @property
    def boards(self) -> int:
        """How many boards are to be done, at least."""
        listed = len(self.device)
        if listed == 1 and (self.device == (BLANK_CHIP,) or not names_software_chip(self.device[0])):
            return self.count or 1
        return min(self.count or listed, listed)

    def label_of_one_board(self) -> str:
        """Return the label, which only a run of one board has; raises UsageError."""
        if self.label and not self._ends_after_one_board():
            raise UsageError(
                "--label is for one board, and this run has several.", advice="Add --count 1, or leave --label out."
            )
        return self.label

    def require_one_unit(self) -> None:
        """Raise UsageError if a unit's name is given for several boards, or in two ways."""
        if self.unit and self.units is not None:
            raise UsageError("--unit and --units both name the units.", advice="Leave out --unit or --units.")
        if self.unit and not self._ends_after_one_board():
            raise UsageError(
                "--unit is for one board, and this run has several.",
                advice="Add --count 1, or give a file of names with --units FILENAME.",
            )

    def _ends_after_one_board(self) -> bool:
        if self.count is not None or len(self.device) != 1:
            return self.boards == 1
        ends = names_software_chip(self.device[0]) and self.device != (BLANK_CHIP,)
        return bool(self.auto or ends)

    def require_usable_devices(self) -> None:
        """Raise UsageError if there is no device URL, one is malformed, or a Python package for it is missing."""
        if not self.device:
            raise UsageError(
                "No device URL is given.",
                advice="Add --device URL: 'provisioning-client devices' lists the URLs of all connected devices;"
                " --device emulator: is a software chip.",
            )
        for url in self.device:
            require_device_url(url)
            with suppress(UsageError):  # several boards fit now: the board loop reports them
                is_plugged(url)

    def cert_info(self) -> CertInfo:
        """Return which signer to ask for and which root to trust; raises UsageError."""
        try:
            return CertInfo.parse(read_text(self.certinfo))
        except UsageError as error:
            if error.code == Code.CERTINFO_INVALID:
                raise
            advice = "Name the file that signer-module wrote with the signer: --certinfo FILENAME."
            code = Code.CERTINFO_INVALID if error.code == Code.FILE_INVALID else error.code
            raise UsageError(error.what, advice=advice, code=code) from error

    def profile(self) -> Profile:
        """Return what the product needs.

        Raises:
            UsageError: a file cannot be read, or the configuration would harm the chip (code CONFIG_ZONE_UNSAFE).
        """
        replaces = self.replace_certificates or self.replace_foreign_certificates
        if replaces and self._chip().part != DeliveredPart.TFLXTLS:
            raise UsageError("Certificates can be replaced only with --part tflxtls.", advice="Add it.")
        try:
            return replace(
                self._chip(),
                validate=not self.no_validate,
                any_of_group=self.any_of_group,
                fill_unwritten=self.fill_unwritten,
                replace_certificates=self.replace_certificates,
                replace_foreign_certificates=self.replace_foreign_certificates,
                require_genuine=self.require_genuine,
                genuine_root=self._genuine_root(),
            )
        except UsageError as error:
            if self.config is not None and error.code == Code.CONFIG_ZONE_UNSAFE:
                error.advice += f" 'atcaprov config check {self.config}' names the lines."
            raise

    @property
    def product_name(self) -> str:
        """The product that the server is asked for; raises UsageError as `profile`."""
        return self.product if self._product_profile is None else self._product_profile.name

    @functools.cached_property
    def _product_profile(self) -> ProductProfile | None:
        if self.profile_file is None:
            return None
        given = {
            "--config": self.config is not None,
            "--part": self.part != DeliveredPart.BLANK,
            "--key-slot": self.key_slot != 0,
            "--lock-slot": bool(self.lock_slot),
            "--allow": bool(self.allow),
            "--product": bool(self.product),
            "--unit-slot": self.unit_slot != _UNIT_SLOT,
        }
        twice = [name for name, is_given in given.items() if is_given]
        if twice:
            raise UsageError(f"{twice[0]} is what the profile says.", advice=f"Leave out {twice[0]} or --profile.")
        return read_profile(self.profile_file)

    def _chip(self) -> Profile:
        if self._product_profile is not None:
            return self._product_profile.chip
        return Profile(
            config_zone=DEFAULT_608A if self.config is None else read_zone_file(self.config).zone.data,
            slots_to_lock=self.lock_slot,
            allow=frozenset(map(Allow, self.allow)),
            part=DeliveredPart(self.part),
            device_key_slot=self.key_slot,
            unit_slots=frozenset({self.unit_slot}),
        )

    def access(self) -> ServerAccess:
        """Return which servers are asked, and as which station; raises UsageError."""
        named = self.host is not None or self.port is not None
        place = (str(ServerPlace(self.host or DEFAULT_HOST, self.port or DEFAULT_PORT)),) if named else ()
        return ServerAccess.by(self.server or place, self.station, plain_network=self.plain_network)

    def pinned_log_key(self) -> VerifierKey | None:
        """Return the key that the server's log must have; raises UsageError (log-invalid)."""
        return None if self.log_key is None else VerifierKey.parse(self.log_key)

    def _genuine_root(self) -> bytes | None:
        if self.genuine_root is None:
            return None
        if not self.require_genuine:
            raise UsageError("--genuine-root needs --require-genuine.", advice="Add it.")
        return read_certificate(self.genuine_root)


dry_run_option: Final = click.option(
    "--dry-run",
    is_flag=True,
    help="Show what a run would do and try it on a software twin of the chip; the chip is only read.",
)


def run_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a run; it gets them as its argument `options`, a RunOptions."""

    @functools.wraps(function)
    def with_options(*args: Any, **given: Any) -> Any:
        options = RunOptions(**{field.name: given.pop(field.name) for field in fields(RunOptions)})
        return function(*args, options=options, **given)

    for option in reversed(_OPTIONS):
        with_options = option(with_options)
    return with_options
