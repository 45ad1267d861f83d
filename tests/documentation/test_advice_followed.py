"""Every advice that names a command, option, URL, file or page is provoked and followed by a test.

The advice texts are found in the source. Each is followed here, or by the test that is named for it: a new advice
without either fails the first test.
"""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from atcaprov import AtcaProvError, CertInfo, ProtocolError, UsageError, open_hal
from atcaprov.cli.main import atcaprov
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.emulator.images import load_image
from atcaprov.emulator.random_source import SystemRandom
from atcaprov.emulator.state_file import StateFile
from atcaprov.hal.registry import require_device_url
from atcaprov.web.address import WebAddress
from provisioning_client.cli import command as provisioning_client
from provisioning_server.cli import command as provisioning_server
from provisioning_server.settings import Settings
from signer_module.cli import cli as signer_module
from tests.diagnosis.cases import answering
from tests.documentation.advice_texts import ROOT, advice_templates
from tests.documentation.typed_texts import TESTS, module, typed_texts
from tests.support.fake_machine import FakeMachine
from tests.support.programs import run_in_process
from tests.support.served_chips import served
from tests.support.signer_folders import make_with_program

CONFIGS = ROOT / "configs"
PROGRAMS = "atcaprov|provisioning-client|provisioning-server|signer-module"
_ELSEWHERE = Path(__file__).with_name("advice_followed_elsewhere.toml")
TEMPLATES = advice_templates()
followed_here: dict[str, str] = {}
"""Advice by its template in the source, and the case that follows it."""

Row = dict[str, str | list[str]]
ELSEWHERE: list[Row] = tomllib.loads(_ELSEWHERE.read_text("utf-8"))["advice"]
"""Advice that other tests of the folder `tests` provoke and follow."""

ONLY_READ = {
    "See docs/reference/devices.md for the format.",
    "Install the version of cryptoauthlib that docs/howto/install.md names for this platform.",
    "Back it up with pg_dump, as docs/howto/share-a-ledger-on-postgresql.md says.",
    "Restore it with pg_restore, as docs/howto/share-a-ledger-on-postgresql.md says.",
}
"""Advice that names a page, which `test_advice.py` looks for."""


def test_every_advice_is_followed_by_a_test() -> None:
    known = {*followed_here, *(str(row["text"]) for row in ELSEWHERE), *ONLY_READ}
    assert {text: place for text, place in TEMPLATES.items() if text not in known} == {}, "follow it, here or elsewhere"
    assert known - TEMPLATES.keys() == set(), "these are not in the source any more"


def places(row: Row, use: str) -> list[str]:
    named = row[use]
    return named if isinstance(named, list) else [named]


PLACES = sorted({place for row in ELSEWHERE for use in ("provoked_by", "followed_by") for place in places(row, use)})


@pytest.mark.parametrize("place", PLACES)
def test_the_named_test_exists(place: str) -> None:
    path, _, name = place.partition("::")
    assert name, "name the test, not only its file"
    assert name in module(TESTS / path).parts


def words_to_type(text: str) -> set[str]:
    """Return what an advice wants typed: options, the words of commands, the programs of the system."""
    text = text.replace("{INSTALL_COMMAND}", "'atcaprov udev-rule --install'")
    options = re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text)
    commands = re.findall(rf"'(?:{PROGRAMS})((?: [a-z][a-z-]*)+)", text)
    others = re.findall(r"\b(?:chmod|keytool|openssl|ssh-keygen|udevadm)\b|(?<= )-(?:start|end)date\b", text)
    return {*options, *others, *" ".join(commands).split()}


@pytest.mark.parametrize("row", ELSEWHERE, ids=lambda row: str(row["text"])[:60])
def test_the_named_tests_type_what_the_advice_says(row: Row) -> None:
    typed = "\n".join(map(typed_texts, places(row, "followed_by")))
    wanted = set(row.get("typed", ())) or words_to_type(str(row["text"]))
    assert {word for word in wanted if not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", typed)} == set()


def test_a_row_that_names_another_test_or_option_is_noticed() -> None:
    typed = typed_texts(f"documentation/{Path(__file__).name}::test_settings_are_the_options_of_the_help")
    assert "--settings" in typed.split()
    assert "--give-up" not in typed
    assert "is not a setting" not in typed, "it is looked for, not typed"
    advice = "Run '{INSTALL_COMMAND}', 'atcaprov chip verify --root X' or chmod 600 X; see --help-me."
    assert words_to_type(advice) == {"udev-rule", "--install", "chip", "verify", "--root", "chmod", "--help-me"}


# Advice about the words of a command line: without them it is given, with them it is not.


@dataclass(frozen=True)
class Words:
    """A command line that provokes an advice, and the one that follows it; `makes` is a file that it then makes."""

    program: click.Command
    wrong: tuple[str, ...]
    right: tuple[str, ...]
    needs_signer: bool = False


CONFIG = str(CONFIGS / "atecc608a-default.toml")
CLIENT = ("--certinfo", "signer/atcaprov_cert_info_0.c", "--device", "emulator:", "--port", "1")
HSM = ("--pkcs11-library", "none.so", "--pkcs11-token", "t", "--pkcs11-key", "k")
COMMAND_LINES = {
    "Add --svg OUT or --html OUT.": Words(
        atcaprov, ("config", "map", CONFIG), ("config", "map", CONFIG, "--svg", "m.svg")
    ),
    "Add --install.": Words(atcaprov, ("udev-rule", "--root", "."), ("udev-rule", "--root", ".", "--install")),
    "Name the file that signer-module wrote with the signer: --certinfo FILENAME.": Words(
        provisioning_client, ("--auto", "--device", "emulator:"), ("--auto", *CLIENT), needs_signer=True
    ),
    "Use --auto to start every board.": Words(provisioning_client, CLIENT, ("--auto", *CLIENT), needs_signer=True),
    "Add --i2c BUS.": Words(
        provisioning_client, ("devices", "--all-addresses"), ("devices", "--all-addresses", "--i2c", "249")
    ),
    "Add --device URL: 'provisioning-client devices' lists the URLs of all connected devices; --device emulator: is a"
    " software chip.": Words(provisioning_client, ("--auto",), ("--auto", "--device", "emulator:")),
    "Give its address with --web.": Words(
        provisioning_server,
        ("--signer", "none", "--web-cert", "x", "--web-key", "y"),
        ("--signer", "none", "--web-cert", "x", "--web-key", "y", "--web", "0"),
    ),
    "Check --password-file or --password-fd.": Words(
        provisioning_server, ("--signer", "signer", "--password-file", "none"), ("--signer", "none"), needs_signer=True
    ),
    "Add --device.": Words(
        signer_module,
        ("root", "create", "--quota", "5", "--out", "new", "--no-password"),
        ("root", "create", "--quota", "5", "--out", "new", "--no-password", "--device", "emulator:"),
    ),
    "Check the plan, then add --yes.": Words(
        signer_module,
        ("root", "create", "--out", "new", "--no-password", "--device", "emulator:"),
        ("root", "create", "--out", "new", "--no-password", "--device", "emulator:", "--yes"),
    ),
    "Give --out.": Words(
        signer_module,
        ("signer", "import", "--certificate", "signer/signer.pem", "--chain", "root/root.pem", *HSM),
        ("signer", "import", "--certificate", "signer/signer.pem", "--chain", "root/root.pem", *HSM, "--out", "new"),
        needs_signer=True,
    ),
    "Give --pkcs11-library, --pkcs11-token and --pkcs11-key.": Words(
        signer_module,
        ("signer", "request", "--out", "x.csr", "--signer-id", "0034", "--pkcs11-token", "t"),
        (
            *("signer", "request", "--out", "x.csr", "--signer-id", "0034", "--pkcs11-token", "t"),
            *("--pkcs11-library", "none.so", "--pkcs11-key", "k", "--no-password"),
        ),
    ),
    "Add --certinfo FILE, which names the signer.": Words(
        atcaprov,
        ("chip", "cert", "--device", "emulator:", "--host", "127.0.0.1"),
        (*("chip", "cert", "--device", "emulator:", "--host", "127.0.0.1"), *CLIENT[:2], "--port", "1"),
        needs_signer=True,
    ),
    "Add --host NAME, or give --signer FOLDER or --definition FILE instead.": Words(
        atcaprov,
        ("chip", "cert", "--device", "emulator:", *CLIENT[:2]),
        ("chip", "cert", "--device", "emulator:", "--signer", "signer"),
        needs_signer=True,
    ),
    "If these are bytes 16-127, say so with --accept-112.": Words(
        atcaprov, ("config", "show", "112.bin"), ("config", "show", "112.bin", "--accept-112")
    ),
    "If these are bytes 16-127, say so with --accept-112, or put 16 bytes in front.": Words(
        atcaprov, ("config", "show", "112.hex"), ("config", "show", "112.hex", "--accept-112")
    ),
}
followed_here |= dict.fromkeys(COMMAND_LINES, "test_command_line_as_the_advice_says_is_accepted")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    FakeMachine().replace_devices(monkeypatch)
    Path("112.hex").write_text("\n".join(DEFAULT_608A[row : row + 16].hex(" ") for row in range(16, 128, 16)))
    Path("112.bin").write_bytes(DEFAULT_608A[16:])
    return tmp_path


def said(program: click.Command, words: tuple[str, ...]) -> str:
    done = run_in_process(program, *words)
    return " ".join((done.out + done.err).split())


@pytest.mark.slow
@pytest.mark.parametrize("advice", COMMAND_LINES)
def test_command_line_as_the_advice_says_is_accepted(advice: str, here: Path) -> None:
    case = COMMAND_LINES[advice]
    if case.needs_signer:
        assert make_with_program() == 0
    assert advice in said(case.program, case.wrong)
    after = said(case.program, case.right)
    assert advice not in after
    assert "Usage:" not in after


# Advice that needs more than other words.


def follows(*advice: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def note(test: Callable[..., None]) -> Callable[..., None]:
        followed_here.update(dict.fromkeys(advice, test.__name__))
        return test

    return note


@follows("Write it like kit-hid://1-2.3.")
def test_device_name_can_be_written_as_the_advice_says() -> None:
    with pytest.raises(UsageError) as refused:
        require_device_url("kit-hid://1-2\0")
    (url,) = re.findall(r"kit-hid:\S*\d", refused.value.advice)
    require_device_url(url)


@follows("Connect the board; 'provisioning-client devices' lists what is connected.")
def test_command_that_lists_what_is_connected_lists_it(here: Path) -> None:
    with pytest.raises(AtcaProvError) as refused:
        open_hal("kit-cdc:///dev/ttyACM987")
    (words,) = re.findall(r"'provisioning-client ([^']*)'", refused.value.advice)
    assert words == "devices"
    assert run_in_process(provisioning_client, *words.split()).code == 0


@follows(
    "'provisioning-client devices' without --i2c lists the buses. If it lists none, switch I2C on in the computer's own"
    " settings and run 'modprobe i2c-dev'."
)
def test_command_that_lists_the_buses_lists_them(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module i2c-dev is loaded in the virtual bench, which has a kernel of its own."""
    from atcaprov.hal.i2c.linux_bus import no_bus

    (words,) = re.findall(r"'provisioning-client ([^']*)'", no_bus("/dev/i2c-9").advice)
    machine = FakeMachine()
    machine.replace_devices(monkeypatch)
    machine.buses[9] = None  # type: ignore[assignment]
    assert "i2c://9" in run_in_process(provisioning_client, *words.split()).out


@pytest.mark.slow
@follows("Check that it is the bridge port of 'atcaprov emulator serve'.")
def test_bridge_port_of_the_served_chips_answers() -> None:
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port, pytest.raises(ProtocolError) as refused:
        open_hal(f"tcp://127.0.0.1:{port}").wake()
    assert "'atcaprov emulator serve'" in refused.value.advice
    with served() as chips:
        hal = open_hal(f"tcp://127.0.0.1:{chips.port('bridge')}")
        hal.wake()
        hal.close()


@pytest.mark.slow
@follows("Export it again with 'signer-module export'.")
def test_cert_info_file_is_exported_again(here: Path) -> None:
    assert make_with_program() == 0
    damaged = Path("signer/atcaprov_cert_info_0.c")
    damaged.write_text(damaged.read_text().replace("0x", "0y", 1))
    with pytest.raises(UsageError) as refused:
        CertInfo.parse(damaged.read_text())
    (words,) = re.findall(r"'signer-module ([^']*)'", refused.value.advice)
    assert run_in_process(signer_module, *words.split(), "--signer", "signer", "--out", "new").code == 0
    CertInfo.parse(Path("new/atcaprov_cert_info_0.c").read_text())


@follows("'atcaprov config show' explains what its slots are for.")
def test_configuration_of_a_locked_chip_is_explained(here: Path) -> None:
    memory = load_image("atecc608a").make(SystemRandom())
    memory.config[86:88] = b"\0\0"
    StateFile(Path("chip.json")).keep(memory)
    Path("zone.hex").write_text(memory.config.hex())
    (words,) = re.findall(r"'atcaprov ([^']*)'", said(atcaprov, ("chip", "verify", "--device", "emulator:chip.json")))
    done = run_in_process(atcaprov, *words.split(), "zone.hex")
    assert (done.code, "slot" in done.out) == (0, True)


@pytest.mark.slow
@follows("Give the module with --device.")
def test_root_module_is_verified_as_the_advice_says(here: Path) -> None:
    made = ("--device", "emulator:root.json", "--out", "root", "--no-password", "--yes")
    assert run_in_process(signer_module, "root", "create", *made).code == 0
    assert "Give the module with --device." in said(signer_module, ("verify", "root"))
    assert run_in_process(signer_module, "verify", "--device", "emulator:root.json").code == 0


@follows("Convert it by the rule of AN3539, as 'atcaprov config convert' does: these bytes and byte 18 become 00.")
def test_table_of_a_508a_is_converted(here: Path) -> None:
    zone = bytearray(DEFAULT_608A)
    zone[68:84] = b"\xff" * 16
    Path("508.hex").write_text(zone.hex())
    checked = run_in_process(atcaprov, "config", "check", "508.hex")
    (words,) = set(re.findall(r"'atcaprov (config convert)'", checked.out + checked.err))
    converted = run_in_process(atcaprov, *words.split(), "508.hex")
    assert converted.code == 0
    Path("608.hex").write_text(converted.out)
    assert run_in_process(atcaprov, "config", "check", "608.hex").code == 0


@follows("Write 00; if the product needs it, add --allow {allow}.")
def test_setting_that_the_product_needs_is_allowed(here: Path) -> None:
    text = Path(CONFIG).read_text(encoding="utf-8")
    Path("own.toml").write_text(text)
    zone = _zone_with(68, 0x0A)  # UseLock or another field of the 608 that has to be named
    Path("own.hex").write_text(zone.hex())
    refused = said(atcaprov, ("config", "check", "own.hex"))
    allowed = re.findall(r"Write 00; if the product needs it, add (--allow [a-z0-9-]+)\.", refused)
    assert allowed
    taken = said(atcaprov, ("config", "check", "own.hex", *" ".join(allowed).split()))
    assert "Write 00; if the product needs it" not in taken


def _zone_with(byte: int, value: int) -> bytes:
    zone = bytearray(DEFAULT_608A)
    zone[byte] = value
    return bytes(zone)


@pytest.mark.slow
@follows(" 'atcaprov config check {self.config}' names the lines.")
def test_check_names_the_lines_of_an_unsafe_configuration(here: Path) -> None:
    assert make_with_program() == 0
    unsafe = Path("unsafe.hex")
    unsafe.write_text(_zone_with(20, 0x00).hex())
    refused = said(provisioning_client, ("--auto", *CLIENT, "--config", str(unsafe)))
    (words,) = re.findall(r"'atcaprov ([^']*)' names the lines", refused)
    done = run_in_process(atcaprov, *words.split())
    assert (done.code, "byte" in done.out + done.err) == (2, True)


@follows("Give both --web-cert and --web-key.")
def test_certificate_of_the_page_comes_with_its_key() -> None:
    with pytest.raises(UsageError, match="belong together"):
        WebAddress("localhost", 1, Path("cert.pem"), None)
    WebAddress("localhost", 1, Path("cert.pem"), Path("key.pem"))


@follows(
    "Give a certificate with --web-cert and --web-key, or leave the host out: then the page is for this computer only."
)
def test_page_for_others_has_a_certificate_or_no_host() -> None:
    with pytest.raises(UsageError, match="could be read by everyone"):
        WebAddress("192.0.2.1", 1, None, None)
    WebAddress("192.0.2.1", 1, Path("cert.pem"), Path("key.pem"))
    WebAddress("127.0.0.1", 1, None, None)


@follows("Write PORT, HOST:PORT or [IPV6]:PORT after --web.")
def test_address_of_the_page_can_be_written_as_the_advice_says(here: Path) -> None:
    advice = "Write PORT, HOST:PORT or [IPV6]:PORT after --web."
    assert advice in said(provisioning_server, ("--signer", "none", "--web", "x"))
    for address in ("0", "localhost:0", "[::1]:0"):
        assert advice not in said(provisioning_server, ("--signer", "none", "--web", address))


@follows("Name the folder of a signer with --signer, or a module with --module; --scan finds modules.")
def test_signer_is_named_as_the_advice_says() -> None:
    with pytest.raises(UsageError, match="No signer is given"):
        Settings((), Path("data"))
    Settings((Path("signer"),), Path("data"))
    Settings((), Path("data"), modules=("emulator:",))
    Settings((), Path("data"), scan=True)


@follows("Say why the clock is right, such as --accept-clock 'clock was in local time until today'.")
def test_reason_is_accepted_as_the_advice_gives_it() -> None:
    with pytest.raises(UsageError) as refused:
        Settings((Path("signer"),), Path("data"), accept_clock=" ")
    (reason,) = re.findall(r"--accept-clock '([^']*)'", refused.value.advice)
    Settings((Path("signer"),), Path("data"), accept_clock=reason)


@follows("Check --module-folder.")
def test_folder_of_modules_has_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        Settings((), tmp_path, module_folder=tmp_path / "none")
    assert refused.value.advice == "Check --module-folder."
    Settings((), tmp_path, module_folder=tmp_path)


@follows("The settings are the options that --help shows, without the two hyphens.")
def test_settings_are_the_options_of_the_help(here: Path) -> None:
    Path("server.toml").write_text("bindd = 'x'\n")
    refused = said(provisioning_server, ("--settings", "server.toml"))
    assert "The settings are the options that --help shows" in refused
    assert "--bind" in run_in_process(provisioning_server, "--help").out
    Path("server.toml").write_text("bind = '127.0.0.1'\n")
    assert "is not a setting" not in said(provisioning_server, ("--settings", "server.toml", "--signer", "none"))


def test_copies_of_the_tools_that_advice_names_are_known() -> None:
    """Programs of the system that advice names; .ci/run installs what tests run."""
    named = {word for text in TEMPLATES for word in re.findall(r"\b(?:openssl|keytool|ssh-keygen|udevadm)\b", text)}
    assert named == {"openssl", "keytool", "ssh-keygen", "udevadm"}
    assert shutil.which("openssl") is not None
