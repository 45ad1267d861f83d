"""All installed programs from root to verified product, checked by OpenSSL and GnuTLS."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Factory
from tests.provisioning_client.test_board_loop import GUIDE
from tests.support.late_files import arrived
from tests.support.system_programs import require_program

pytestmark = pytest.mark.slow

ONE_BOARD = (
    GUIDE[: GUIDE.index("Board removed")]
    .replace("    Press ENTER to provision...\n", "")
    .replace(
        "Provisioning successful",
        "    This is a software chip: no real board was provisioned.\nProvisioning successful",
    )
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("newcomer")
    done = subprocess.run(
        [sys.executable, "-m", "provisioning_client.demo"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


def _masked(text: str) -> str:
    return re.sub(r"Device SN: 0123[0-9A-F]{12}EE", "Device SN: *", text)


def test_demo_prints_the_console_of_the_guide_for_three_boards(demo: tuple[Path, str]) -> None:
    _, printed = demo
    boards = "Board removed. ".join([_masked(ONE_BOARD)] * 3)
    assert "localhost:" in printed
    assert "...ok\n" + boards in _masked(printed)
    assert "Press E" not in printed
    assert printed.endswith("\nAll 3 boards are good.\n")


def test_openssl_commands_of_the_demo_succeed(demo: tuple[Path, str]) -> None:
    require_program("openssl")
    folder, printed = demo
    commands = re.findall(r"^  (openssl verify .*)$", printed, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        done = subprocess.run(shlex.split(command), cwd=folder, capture_output=True, text=True, check=False)
        assert done.stdout.endswith("_device.pem: OK\n"), done.stdout + done.stderr


def test_gnutls_trusts_the_chains_of_the_demo(demo: tuple[Path, str]) -> None:
    certtool = require_program("certtool")
    certificates = demo[0] / "demo" / "certificates"
    devices = sorted(certificates.glob("*_device.pem"))
    assert len(devices) == 3
    for device in devices:
        signer = device.with_name(device.name.replace("_device", "_signer"))
        chain = "".join(path.read_text() for path in (device, signer, certificates / "root.pem"))
        done = subprocess.run([certtool, "--verify-chain"], input=chain, capture_output=True, text=True, check=False)
        assert "Verified. The certificate is trusted." in done.stdout


def test_private_files_are_readable_by_their_owner_only(demo: tuple[Path, str]) -> None:
    folder = demo[0] / "demo"
    for path in [*folder.rglob("key.pem"), *folder.glob("chip*.json"), folder / "password"]:
        assert path.stat().st_mode & 0o077 == 0, path
    assert all("ENCRYPTED" in path.read_text().splitlines()[0] for path in folder.rglob("key.pem"))


def test_demo_logs_no_password_or_key(demo: tuple[Path, str]) -> None:
    folder, printed = demo
    password = (folder / "demo" / "password").read_text().strip()
    logs = printed + "".join(path.read_text() for path in (folder / "demo" / "server" / "logs").iterdir())
    assert password not in logs
    assert "PRIVATE" not in logs


def test_demo_does_not_remove_another_folder(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "precious").touch()
    done = subprocess.run(
        [sys.executable, "-m", "provisioning_client.demo"], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 2
    assert (tmp_path / "demo" / "precious").exists()


def test_kept_chip_can_be_run_again(factory: Factory, tmp_path: Path) -> None:
    device = f"emulator:{tmp_path / 'chip.json'}"
    first = factory.client("--auto", "--json", "--device", device)
    again = factory.client("--auto", "--json", "--device", device)
    assert (first.returncode, again.returncode) == (0, 0)
    events = [json.loads(line) for done in (first, again) for line in done.stdout.splitlines()]
    results = [event for event in events if event["event"] == "result"]
    assert [result["done_before"] for result in results] == [False, True]
    sn = results[0]["sn"]
    assert results[1]["sn"] == sn
    assert arrived(factory.certs / f"{sn}_device.pem").exists()


def test_named_slots_are_locked(factory: Factory, tmp_path: Path) -> None:
    chip = tmp_path / "chip.json"
    done = factory.client("--auto", "--lock-slot", "13", "--lock-slot", "0", "--device", f"emulator:{chip}")
    assert "Locking slots.............done\n" in done.stdout
    config = bytes.fromhex(json.loads(chip.read_text())["config"])
    assert config[88:90] == (0xFFFF & ~(1 << 13 | 1)).to_bytes(2, "little")


def test_configuration_file_of_the_guide_is_accepted(factory: Factory, tmp_path: Path) -> None:
    from atcaprov.config_zone.defaults import DEFAULT_608A
    from atcaprov.config_zone.hex_file import format_hex

    wanted = bytearray(DEFAULT_608A)
    wanted[20 + 2 * 15 : 22 + 2 * 15] = bytes.fromhex("8F0F")[::-1]
    (tmp_path / "config.txt").write_text(format_hex(bytes(wanted)))
    chip = tmp_path / "chip.json"
    done = factory.client("--auto", "--config", tmp_path / "config.txt", "--device", f"emulator:{chip}")
    assert done.returncode == 0, done.stderr
    config = bytes.fromhex(json.loads(chip.read_text())["config"])
    assert config[16:84] == wanted[16:84]
