"""What errors and pages recommend works: options and commands that exist, URLs and values that are accepted.

The first half looks at every text in the programs, the second provokes errors and follows their advice.
"""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from atcaprov import AtcaProvError, UsageError, open_hal
from atcaprov.cli.main import atcaprov
from atcaprov.emulator.images import load_image
from atcaprov.hal import emulated
from atcaprov.hal.device_url import parse_7_bit_address, parse_8_bit_address
from atcaprov.hal.i2c.hal import parse_bus_and_address
from atcaprov.hal.registry import require_device_url
from atcaprov.missing_packages import extra_command, install_command
from provisioning_client.cli import command as provisioning_client
from provisioning_server.cli import command as provisioning_server
from signer_module.cli import cli as signer_module
from tests.documentation.test_options import OF_CLICK, OPTION, PROGRAMS, options
from tests.support.programs import run_in_process

ROOT = Path(__file__).parents[2]
PACKAGES = ("atcaprov", "provisioning_client", "provisioning_server", "signer_module")
NAMES = ("atcaprov", "provisioning-client", "provisioning-server", "signer-module")
COMMAND = re.compile(rf"'((?:{'|'.join(NAMES)})(?: [^']*)?)'")
OF_OTHER_PROGRAMS = {"--reload"}
"""Of udevadm."""
PAGE = re.compile(r"\b(?:docs|configs)/[\w./-]*\w")


def texts() -> Iterator[tuple[Path, str]]:
    """Give every text of the packages that is not a docstring; what an f-string fills in is an X."""
    for path in sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        skipped = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        skipped |= {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in nodes:
            if isinstance(node, ast.JoinedStr):
                yield path, "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
                yield path, node.value


TEXTS = list(texts())
COMMANDS = sorted({command for _, text in TEXTS for command in COMMAND.findall(text)})


def test_every_option_in_a_text_exists() -> None:
    there = OF_OTHER_PROGRAMS.union(OF_CLICK, *map(options, PROGRAMS))
    unknown = [(path.name, option) for path, text in TEXTS for option in OPTION.findall(text) if option not in there]
    assert not unknown


def test_every_page_in_a_text_exists() -> None:
    named = {name for _, text in TEXTS for name in PAGE.findall(text)}
    assert {"docs/howto/install.md", "docs/howto/real-hardware.md"} <= named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_device_url_in_a_page_is_accepted() -> None:
    url = re.compile(r"(?<![\w.-])(?:i2c|tcp|kit-hid|kit-cdc):[^\s`'\")|,]+")
    pattern = re.compile(r"PORT|\$|i2c://(?:1|N)$")  # a port to fill in, or a bus as a whole
    pages = [page for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")) if page.name != "CHANGELOG.md"]
    urls = {found for page in pages for found in url.findall(page.read_text()) if not pattern.search(found)}
    assert len(urls) > 10
    for each in urls:
        require_device_url(each)


def test_commands_are_found() -> None:
    assert "provisioning-client devices" in COMMANDS


@pytest.mark.parametrize("text", COMMANDS)
def test_every_command_in_a_text_exists_with_its_options(text: str) -> None:
    program, *words = shlex.split(text)
    command: click.Command = dict(zip(NAMES, PROGRAMS, strict=True))[program]
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        below = command.get_command(click.Context(command), words.pop(0))
        assert below is not None, f"'{text}' is not a command"
        command = below
    known = OF_CLICK.union(options(command))
    assert [word for word in words if word.startswith("--") and word not in known] == []


# From here on errors are provoked, and their advice is followed.


def advice_of(act: Callable[[], object]) -> str:
    with pytest.raises(AtcaProvError) as caught:
        act()
    return caught.value.advice


def failure(act: Callable[[], object]) -> AtcaProvError | None:
    try:
        act()
    except AtcaProvError as error:
        return error
    return None


def addresses(advice: str) -> tuple[str, str]:
    """Return the two forms of the address that an advice gives as its example."""
    match = re.search(r"such as (0x[0-9A-F]{2}), which is (0x[0-9A-F]{2})", advice)
    assert match is not None, advice
    return match[1], match[2]


@pytest.mark.parametrize("text", ["C0", "0xc1", "192", "zz", "", "0x1C0", "0", "-2", "60", "6A"])
def test_an_8_bit_address_can_be_written_as_the_advice_says(text: str) -> None:
    first, second = addresses(advice_of(lambda: parse_8_bit_address(text)))
    assert parse_8_bit_address(first) == 2 * parse_7_bit_address(second)


@pytest.mark.parametrize("text", ["60", "C0", "0xC0", "96", "zz", "", "0x00", "0", "3F"])
def test_a_7_bit_address_can_be_written_as_the_advice_says(text: str) -> None:
    first, second = addresses(advice_of(lambda: parse_7_bit_address(text)))
    assert parse_7_bit_address(first) * 2 == parse_8_bit_address(second)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        *(("60", 0x60), ("C0", 0x60), ("0xC0", 0x60), ("96", 0x60), ("192", 0x60)),
        *(("35", 0x35), ("53", 0x35), ("0xB2", 0x59), ("178", 0x59), ("6b", 0x6B)),
    ],
)
def test_an_i2c_address_without_its_form_is_refused_and_guessed(text: str, meant: int) -> None:
    first, _ = addresses(advice_of(lambda: parse_bus_and_address(f"//1/{text}")))
    assert parse_bus_and_address(f"//1/{first}") == (1, meant)


@pytest.mark.parametrize(
    ("text", "meant"),
    [("0x35", 0x6A), ("53", 0x6A), ("106", 0x6A), ("6A", 0x6A), ("96", 0xC0), ("60", 0xC0), ("d6", 0xD6)],
)
def test_an_8_bit_address_in_another_form_is_refused_and_guessed(text: str, meant: int) -> None:
    first, _ = addresses(advice_of(lambda: parse_8_bit_address(text)))
    assert parse_8_bit_address(first) == meant


@pytest.mark.parametrize("rest", ["//1", "//x/0x60", ""])
def test_an_i2c_url_can_be_written_as_the_advice_says(rest: str) -> None:
    (example,) = re.findall(r"i2c:(//\d+/0x\d+)", advice_of(lambda: parse_bus_and_address(rest)))
    assert parse_bus_and_address(example) == (1, 0x60)


@pytest.mark.parametrize(("wrong", "right"), [("//chip.json", "chip.json"), ("///srv/chip.json", "/srv/chip.json")])
def test_a_chip_file_with_the_slashes_of_a_url_is_not_one_at_the_root(wrong: str, right: str) -> None:
    assert advice_of(lambda: emulated.parse_emulated(wrong)) == f"Write emulator:{right}."
    assert emulated.parse_emulated(right)[0] == right


@pytest.mark.parametrize("option", ["image", "clock"])
def test_the_values_that_an_advice_lists_are_accepted(option: str) -> None:
    advice = advice_of(lambda: open_hal(f"emulator:?{option}=x"))
    values = re.findall(r"[a-z0-9-]+", re.sub(r"^Use (?:one of: )?|, or a number above 0, such as", "", advice))
    assert len(values) >= 3
    for value in values:
        open_hal(f"emulator:?{option}={value}").close()


def test_the_options_that_an_advice_lists_are_known() -> None:
    names = re.findall(r"(\w+)=\.\.\.", advice_of(lambda: open_hal("emulator:?what=x")))
    assert "image" in names
    for name in names:
        error = failure(lambda name=name: open_hal(f"emulator:?{name}=none").close())  # type: ignore[misc]
        assert "says nothing about an emulated chip" not in str(error)


def test_the_protocols_and_the_url_that_an_advice_gives_are_accepted() -> None:
    advice = advice_of(lambda: open_hal("tcp://127.0.0.1:1?protocol=x"))
    protocols = advice.removeprefix("Choose one of: ").rstrip(".").split(", ")
    assert "bridge" in protocols
    (url,) = re.findall(r"tcp://[\d.]+:\d+", advice_of(lambda: open_hal("tcp://x")))
    for protocol in protocols:
        error = failure(lambda protocol=protocol: open_hal(f"{url}?protocol={protocol}").close())  # type: ignore[misc]
        assert not isinstance(error, UsageError), error


def test_every_image_that_an_advice_lists_exists() -> None:
    for name in advice_of(lambda: load_image("none")).removeprefix("Use one of: ").rstrip(".").split(", "):
        load_image(name)


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        install_command("hidapi"),
        install_command("cryptoauthlib"),
        extra_command("web"),
        extra_command("pkcs11"),
        extra_command("postgresql"),
        extra_command("lint"),
        extra_command("metrics"),
    ],
)
def test_what_is_missing_can_be_installed_as_the_advice_says(command: str) -> None:
    words = shlex.split(command)
    assert words[0] == sys.executable
    assert "atcaprov[" not in command, "no package index has it"
    options = ("--dry-run", "--no-index", "--disable-pip-version-check")
    done = subprocess.run([*words, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Requirement already satisfied" in done.stdout


def test_a_setting_that_is_refused_is_taken_with_the_option_that_the_advice_names(tmp_path: Path) -> None:
    moved = tmp_path / "moved.hex"
    text = (ROOT / "configs" / "atecc608a-default.hex").read_text(encoding="utf-8")
    moved.write_text(re.sub(r"^C0", "6A", text, flags=re.MULTILINE), encoding="utf-8")
    refused = run_in_process(atcaprov, "config", "check", str(moved))
    (option,) = re.findall(r"add (--allow [a-z0-9-]+)", refused.out + refused.err)
    taken = run_in_process(atcaprov, "config", "check", str(moved), *option.split())
    assert (refused.code, taken.code) == (2, 0)


PLACES = [
    (("info",), ("folder",)),
    (("verify",), ("folder",)),
    (("export", "--out", "new"), ("--signer", "folder")),
    (
        ("signer", "import", "--certificate", "x.pem"),
        ("--pkcs11-library", "x", "--pkcs11-token", "x", "--pkcs11-key", "x"),
    ),
]


@pytest.mark.parametrize(("command", "place"), PLACES)
@pytest.mark.parametrize("both", [False, True])
def test_missing_or_repeated_place_is_reported(
    command: tuple[str, ...], place: tuple[str, ...], both: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.pem").write_text("")
    done = run_in_process(signer_module, *command, *(("--device", "emulator:", *place) if both else ()))
    assert done.code == 2
    assert ("were both given" in done.err, "No root or signer is given" in done.err) == (both, not both)


@pytest.mark.parametrize("kind", ["missing", "text", "another library"])
def test_a_library_that_is_not_an_hsms_is_reported(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("pkcs11")
    library, secret = tmp_path / "library.so", tmp_path / "password"
    if kind == "text":
        library.write_text("not a library")
    elif kind == "another library":
        library.symlink_to(next(Path("/usr/lib").rglob("libc.so.6")))
    secret.write_text("correct horse battery staple\n")
    secret.chmod(0o600)
    place = ("--pkcs11-library", str(library), "--pkcs11-token", "t", "--pkcs11-key", "k")
    files = ("--out", str(tmp_path / "signer.csr"), "--password-file", str(secret), "--signer-id", "0034")
    done = run_in_process(signer_module, "signer", "request", *files, *place)
    assert done.code == 3
    assert "[hsm-unusable]" in done.err
    assert f"{library} cannot be used as the library" in done.err
    assert "with --pkcs11-library" in done.err


@pytest.mark.parametrize(
    ("command", "variable", "value"),
    [
        (provisioning_server, "PROVISIONING_SERVER_PORT", "x"),
        (provisioning_server, "PROVISIONING_SERVER_PASSWORD_FD", "-1"),
        (provisioning_client, "PROVISIONING_CLIENT_PORT", "70000"),
        (provisioning_client, "PROVISIONING_CLIENT_ALLOW", "everything"),
    ],
)
def test_a_wrong_environment_variable_is_named(
    command: click.Command, variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    option = "--" + variable.split("_", 2)[2].lower().replace("_", "-")
    assert f"'{option}'" in run_in_process(command, option, value).err
    monkeypatch.setenv(variable, value)
    done = run_in_process(command)
    assert done.code == 2
    assert f"the environment variable {variable}" in done.err
    assert f"'{option}'" not in done.err
