"""Each kind of bad input ends in one clear message and its exit code; the chip is unchanged."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from atcaprov import Act, Device
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.config_zone.hex_file import format_hex
from atcaprov.device.zones.config_zone import lock_config, write_config
from atcaprov.emulator.faults import FaultKind
from tests.e2e.conftest import Factory
from tests.support.ports import unused_port
from tests.support.programs import run
from tests.support.served_chips import served
from tests.support.server import running_server

pytestmark = pytest.mark.slow

SOFTWARE = ("--auto", "--device", "emulator:")


def test_server_not_there(factory: Factory) -> None:
    port = unused_port()
    done = run("provisioning-client", *SOFTWARE, "--certinfo", factory.certinfo, "--port", port, "--host", "127.0.0.1")
    assert done.returncode == 3
    assert done.stdout.endswith(f"Connecting to 127.0.0.1:{port}...error\n")
    assert "[server-unreachable]" in done.stderr
    assert "Connection refused" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--certinfo", "missing.c"], "file-unreadable"),
        (["--device", "emulatr:"], "usage"),
        (["--config", "missing.toml"], "file-unreadable"),
        (["--port", "{closed}", "--host", "127.0.0.1"], "server-unreachable"),
    ],
)
def test_json_has_the_error_that_prevents_the_first_board(factory: Factory, arguments: list[str], code: str) -> None:
    words = [argument.format(closed=unused_port()) for argument in arguments]
    if "--device" not in words:
        words += ["--device", "emulator:"]
    done = run("provisioning-client", "--auto", "--json", "--certinfo", factory.certinfo, *words)
    event = json.loads(done.stdout.splitlines()[-1])
    assert (event["event"], event["code"]) == ("error", code)
    assert done.stderr == f"Error [{code}]: {event['message']}\n{event['advice']}\n"
    assert done.returncode in (2, 3)


def _in_ledger(factory: Factory) -> str:
    shown = run("provisioning-server", "ledger", "show", "--json", "--data", factory.folder / "server")
    assert shown.returncode == 0, shown.stderr
    return shown.stdout


@pytest.mark.parametrize("words", [(), ("--auto",), ("--auto", "--json")])
def test_missing_device_option_provisions_nothing(factory: Factory, words: tuple[str, ...]) -> None:
    before = _in_ledger(factory)
    done = factory.client(*words)
    assert done.returncode == 2
    assert done.stderr.startswith("Error [usage]: No device URL is given.\n")
    advised = re.findall(r"--device (emulator:)", done.stderr)
    assert _in_ledger(factory) == before
    assert factory.client("--auto", "--device", *advised).returncode == 0
    listed = run("provisioning-client", "devices")
    assert "'provisioning-client devices' lists" in done.stderr
    assert listed.returncode == 0


def test_device_url_may_come_from_the_environment(factory: Factory) -> None:
    words = ("--auto", "--certinfo", factory.certinfo, "--port", factory.port)
    assert run("provisioning-client", *words, PROVISIONING_CLIENT_DEVICE="emulator:").returncode == 0


def test_each_result_of_a_software_chip_is_marked(factory: Factory, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    devices = ("--device", f"emulator:{tmp_path / 'chip.json'}", "--device", f"emulator:{tmp_path / 'bad.json'}")
    console = factory.client("--auto", *devices).stdout
    line = "    This is a software chip: no real board was provisioned.\nProvisioning "
    assert console.count(line) == console.count("\nProvisioning ") == 2
    events = [json.loads(line) for line in factory.client("--auto", "--json", *devices).stdout.splitlines()]
    assert [event["software"] for event in events if event["event"] == "result"] == [True, True]
    assert events[-1]["software"] == 2
    with served() as chips:
        url = f"tcp://127.0.0.1:{chips.port('bridge')}"
        events = [json.loads(line) for line in factory.client("--auto", "--json", "--device", url).stdout.splitlines()]
        console = factory.client("--auto", "--device", url).stdout
    assert [event["software"] for event in events if event["event"] == "result"] == [None]
    assert events[-1]["software"] == 0
    assert "    This chip is behind a server: it may be a software chip.\nProvisioning successful!" in console


def test_keys_that_do_nothing_are_not_mentioned(factory: Factory) -> None:
    printed = factory.client(*SOFTWARE).stdout
    assert "Provisioning successful!" in printed
    assert "ESC" not in printed
    assert "ENTER" not in printed


def test_certinfo_missing(factory: Factory, tmp_path: Path) -> None:
    done = run("provisioning-client", *SOFTWARE, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == "Reading provisioning config file atcaprov_cert_info_0.c...error\n"
    assert "[file-unreadable]" in done.stderr
    assert "No such file" in done.stderr
    assert "--certinfo FILENAME" in done.stderr


@pytest.mark.parametrize("damage", ["cut", "bit", "binary", "empty"])
def test_certinfo_damaged(factory: Factory, tmp_path: Path, damage: str) -> None:
    content = bytearray(factory.certinfo.read_bytes())
    position = content.index(b"0x", 1500) + 2
    content[position] = ord("1") if content[position] == ord("0") else ord("0")
    damaged: bytes = {"cut": bytes(content[:900]), "bit": bytes(content), "binary": b"\xff\xfe\x00" * 50, "empty": b""}[
        damage
    ]
    path = tmp_path / "info.c"
    path.write_bytes(damaged)
    done = factory.client(*SOFTWARE, certinfo=path)
    assert done.returncode == 2
    assert "[certinfo-invalid]" in done.stderr or "[file-unreadable]" in done.stderr


def test_unknown_signer_is_refused(factory: Factory) -> None:
    done = factory.client(*SOFTWARE, certinfo=factory.other_certinfo)
    assert done.returncode == 8
    assert "[signer-unknown]" in done.stderr
    assert done.stdout.splitlines()[-1].endswith("...error")


def test_no_terminal_and_no_auto(factory: Factory) -> None:
    done = factory.client("--device", "emulator:")
    assert done.returncode == 2
    assert "--auto" in done.stderr
    assert done.stdout == ""


def test_configuration_for_another_part_is_refused(factory: Factory, tmp_path: Path) -> None:
    zone = DEFAULT_608A[:68] + b"\xff" * 16 + DEFAULT_608A[84:]
    (tmp_path / "508a.txt").write_text(format_hex(zone))
    done = factory.client(*SOFTWARE, "--config", tmp_path / "508a.txt")
    assert done.returncode == 2
    assert "[config-zone-unsafe]" in done.stderr
    assert "byte 68" in done.stderr
    assert done.stdout == ""


def test_other_address_must_be_allowed(factory: Factory, tmp_path: Path) -> None:
    moved = DEFAULT_608A[:16] + b"\x6a" + DEFAULT_608A[17:]
    (tmp_path / "moved.txt").write_text(format_hex(moved))
    refused = factory.client(*SOFTWARE, "--config", tmp_path / "moved.txt")
    assert refused.returncode == 2
    assert "byte 16" in refused.stderr
    wanted = factory.client(*SOFTWARE, "--config", tmp_path / "moved.txt", "--allow", "i2c-address")
    assert wanted.returncode == 0, wanted.stderr + wanted.stdout


def test_moving_chip_is_found_at_the_shown_url(factory: Factory, tmp_path: Path) -> None:
    (tmp_path / "moved.txt").write_text(format_hex(DEFAULT_608A[:16] + b"\x6a" + DEFAULT_608A[17:]))
    words = ("--auto", "--json", "--config", tmp_path / "moved.txt", "--allow", "i2c-address")
    with served() as chips:
        old = f"tcp://127.0.0.1:{chips.port('bridge')}?address=0xC0"
        done = factory.client(*words, "--device", old)
        assert done.returncode == 0, done.stdout
        events = [json.loads(line) for line in done.stdout.splitlines()]
        at = next(number for number, event in enumerate(events) if event["event"] == "address")
        assert events[at + 1]["event"] == "stage", "it is said before stage 1"
        assert events[at]["address"] == "0x6A"
        again = factory.client(*words, "--device", events[at]["device"])
        assert again.returncode == 0, again.stdout
        assert '"done_before": true' in again.stdout


def test_configuration_must_be_hex(factory: Factory, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_text("00 11\nZZ 22\n")
    done = factory.client(*SOFTWARE, "--config", tmp_path / "bad.txt")
    assert done.returncode == 2
    assert "line 2" in done.stderr.lower()


def test_chip_locked_with_another_configuration_is_refused(factory: Factory, tmp_path: Path) -> None:
    other = bytearray(DEFAULT_608A)
    other[20 + 2 * 15] = 0x0E
    (tmp_path / "other.txt").write_text(format_hex(bytes(other)))
    device = f"emulator:{tmp_path / 'chip.json'}"
    assert factory.client("--auto", "--config", tmp_path / "other.txt", "--device", device).returncode == 0
    before = (tmp_path / "chip.json").read_text()
    done = factory.client("--auto", "--json", "--device", device)
    result = json.loads(done.stdout.splitlines()[-2])
    assert done.returncode == 6
    assert (result["code"], result["board"]) == ("config-locked-other", "set-aside")
    assert (tmp_path / "chip.json").read_text() == before


def test_product_secret_is_overwritten_only_with_the_advised_option(factory: Factory, tmp_path: Path) -> None:
    chip = tmp_path / "chip.json"
    with Device.open(f"emulator:{chip}") as device, device.permit(Act.WRITE_CONFIG, Act.LOCK_CONFIG, Act.WRITE_DATA):
        lock_config(device, write_config(device, device.read_config(), DEFAULT_608A))
        device.write_slot_block(9, 0, bytes(range(32)))
    words = ("--auto", "--json", "--device", f"emulator:{chip}")
    stopped = factory.client(*words)
    result = json.loads(stopped.stdout.splitlines()[-2])
    assert (stopped.returncode, result["code"], result["board"]) == (6, "data-unknown", "set-aside")
    assert "slot 9" in result["message"]
    assert bytes(range(32)).hex() in chip.read_text()
    advised = re.findall(r"--[a-z-]+", result["advice"])
    assert advised == ["--fill-unwritten"]
    assert factory.client(*words, *advised).returncode == 0
    assert bytes(range(32)).hex() not in chip.read_text()


@pytest.mark.parametrize("kind", FaultKind)
def test_chip_whose_second_command_fails_is_a_failed_board(factory: Factory, tmp_path: Path, kind: FaultKind) -> None:
    plan = "".join(f'[[fault]]\nkind = "{kind}"\ncommand = {number}\n' for number in range(2, 30))
    (tmp_path / "plan.toml").write_text(plan)
    done = factory.client("--auto", "--json", "--device", f"emulator:?faults={tmp_path / 'plan.toml'}")
    *_, result, summary = map(json.loads, done.stdout.splitlines())
    assert (result["event"], result["result"], result["board"]) == ("result", "fail", "retry")
    assert (summary["done"], summary["failed"]) == (0, 1)
    assert done.returncode in (3, 4, 5)


def test_chip_of_another_signer_is_good_and_set_aside(factory: Factory, tmp_path: Path) -> None:
    """Two stations and servers under one root: a board comes to the second one after its run at the first."""
    device = ("--auto", "--json", "--device", f"emulator:{tmp_path / 'chip.json'}")
    with running_server(factory.folder / "signer-0035", tmp_path / "server") as address:
        other = ("--certinfo", factory.other_certinfo, "--host", address.host, "--port", address.port)
        done = run("provisioning-client", *other, *device)
        assert done.returncode == 0, done.stdout
    done = factory.client(*device)
    result = json.loads(done.stdout.splitlines()[-2])
    assert (done.returncode, result["code"], result["board"]) == (6, "finished-elsewhere", "set-aside")


@pytest.mark.parametrize("image", ["tngtls", "tflxtls"])
def test_trust_part_is_refused(factory: Factory, image: str) -> None:
    done = factory.client("--auto", "--device", f"emulator:?image={image}")
    assert done.returncode == 6
    assert f"Trust part (ATECC608 {image.upper()})" in done.stdout
    assert "red bin" not in done.stdout
    assert "The board was not changed." in done.stdout


def test_508a_is_refused(factory: Factory) -> None:
    done = factory.client("--auto", "--device", "emulator:?image=atecc508a")
    assert done.returncode == 6
    assert "not an ATECC608" in done.stdout
    assert "The board was not changed." in done.stdout


def test_damaged_chip_file_does_not_stop_the_next_board(factory: Factory, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    done = factory.client("--auto", "--device", f"emulator:{tmp_path / 'bad.json'}", "--device", "emulator:")
    assert done.returncode == 1
    assert "is damaged" in done.stdout
    assert done.stdout.count("Provisioning successful!") == 1


def test_unknown_device_url_is_refused(factory: Factory) -> None:
    done = factory.client("--auto", "--device", "floppy:")
    assert done.returncode == 2
    assert done.stdout == "", "neither the server nor a board was asked"
    assert done.stderr.startswith("Error [usage]: 'floppy:' is not a device URL.\n")


@pytest.mark.parametrize(
    "url",
    [
        "kit-hid://?address=zz",
        "kit-hid://?address=0xC1",
        "kit-hid://?backend=raw",
        "kit-cdc:///dev/ttyACM0?adress=0xC0",
        "i2c://1",
        "i2c://1/0xC0",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:5000?protocol=spi",
        "emulator:?image=none",
        "emulator:?clock=slow",
    ],
)
def test_malformed_device_url_is_refused_first(factory: Factory, url: str) -> None:
    done = factory.client("--auto", "--device", "emulator:", "--device", url)
    assert done.returncode == 2
    assert done.stdout == "", "neither the server nor a board was asked"
    wrong_address = re.search(r"\?address=|/0x", url)
    assert done.stderr.startswith(f"Error [{'address-form' if wrong_address else 'usage'}]: ")


def test_no_option_takes_a_password() -> None:
    for name in ("provisioning-client", "provisioning-server", "signer-module"):
        assert "--password " not in run(name, "--help").stdout


def test_closed_tcp_port_of_a_chip_is_an_error(factory: Factory) -> None:
    url = f"tcp://127.0.0.1:{unused_port()}"
    done = factory.client("--auto", "--device", "emulator:", "--device", url)
    assert f"    No server listens at {url}: Connection refused. Check that the server runs" in done.stdout
    assert done.returncode == 1
