"""One case for each finding: it is provoked, its advice is followed, and the second examination is clean of it.

A case yields the words of the first examination, gets the finding, follows its advice, and yields the words of the
second one.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from atcaprov import Code
from atcaprov.chip.memory_map import LOCK_CONFIG, USER_EXTRA
from atcaprov.cli.main import atcaprov
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.diagnosis.finding import FindingCode
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.state_file import StateFile
from atcaprov.hal.errors import missing
from atcaprov.hal.port_users import other_users
from atcaprov.wire.connection import Connection, Role
from atcaprov.wire.messages import ErrorReply
from provisioning_client.cli import command as provisioning_client
from tests.diagnosis.bench import Bench, chip_at
from tests.hal.ways import FakeI2cBus
from tests.support.chips import packet
from tests.support.fake_machine import made_chip
from tests.support.faulty_board import BoardFault
from tests.support.programs import run_in_process

Words = tuple[str, ...]
Case = Generator[Words, dict[str, str], None]
_CONFIG = str(Path(__file__).parents[2] / "configs" / "atecc608a-default.toml")


@dataclass(frozen=True)
class FindingCase:
    """How a finding is provoked and cured; `beside` are notes that come with it."""

    code: str
    name: str
    play: Callable[[Bench], Case]
    beside: frozenset[str]


CASES: list[FindingCase] = []


def provokes(code: str, *beside: str) -> Callable[[Callable[[Bench], Case]], Callable[[Bench], Case]]:
    def note(play: Callable[[Bench], Case]) -> Callable[[Bench], Case]:
        CASES.append(FindingCase(str(code), play.__name__, play, frozenset(map(str, beside))))
        return play

    return note


def device_in(advice: str) -> Words:
    (url,) = re.findall(r"--device '?(\w[\w-]*:[^'\s]*[^'\s.])'?", advice)
    return ("--device", url)


# Ports and addresses


@provokes(FindingCode.NO_ADAPTER)
def nothing_is_connected(bench: Bench) -> Case:
    found = yield ()
    assert "Connect a kit" in found["advice"]
    bench.machine.plug_kit("1-1.2", {0xC0: made_chip("atecc608a")})
    yield ()


@provokes(FindingCode.NO_CHIP)
def socket_is_empty(bench: Bench) -> Case:
    bench.machine.plug_kit("1-1.2", {})
    found = yield ()
    assert "Put a board in" in found["advice"]
    bench.machine.buses[1] = FakeI2cBus([made_chip("atecc608a")])
    yield device_in(found["advice"])


@provokes(FindingCode.SEVERAL_CHIPS)
def two_chips_are_connected(bench: Bench) -> Case:
    bench.machine.plug_kit("1-1.2", {0xC0: made_chip("atecc608a"), 0x6A: made_chip("atecc608b")})
    found = yield ()
    yield device_in(found["advice"])


@provokes(FindingCode.PORT_SHARED, FindingCode.CONFIG_OPEN)
def another_program_has_the_bus_open(bench: Bench) -> Case:
    bench.machine.buses[1] = FakeI2cBus([made_chip("atecc608a")])
    stand_in = bench.folder / "i2c-1"
    stand_in.touch()
    bench.patch.setattr("atcaprov.diagnosis.bus_steps.other_users", lambda path: other_users(stand_in))
    with bench.other_process_has(stand_in) as process:
        found = yield ("--device", "i2c://1/0x60")
        assert f"process {process.pid} (python" in found["message"]
        assert "/dev/i2c-1" in found["message"]
        assert found["advice"].startswith("End it")
    yield ("--device", "i2c://1/0x60")


@provokes(FindingCode.NO_ACKNOWLEDGE)
def chip_was_moved_where_no_part_is_delivered(bench: Bench) -> Case:
    bench.machine.buses[1] = FakeI2cBus([chip_at(0xD6, made_chip("atecc608a"))])
    found = yield ("--device", "i2c://1/0x60")
    (command,) = re.findall(r"'provisioning-client (devices [^']*)'", found["advice"])
    listed = run_in_process(provisioning_client, *command.split())
    (url,) = re.findall(r"--device '(.*)'", listed.out)
    yield ("--device", url)


def _elsewhere(given: str, chip: int, reason: str) -> None:
    def play(bench: Bench) -> Case:
        bench.machine.buses[1] = FakeI2cBus([chip_at(chip, made_chip("atecc608a"))])
        found = yield ("--device", f"i2c://1/{given}")
        assert reason in found["message"]
        yield device_in(found["advice"])

    play.__name__ = f"{given}_where_{chip:02X}_is_meant"
    provokes(FindingCode.CHIP_ELSEWHERE)(play)


_elsewhere("0x6A", 0x6A, "its 8-bit form was given")
_elsewhere("0x30", 0xC0, "the 7-bit form was halved once more")
_elsewhere("0x53", 0x6A, "decimal digits were given")
_elsewhere("0x60", 0x6A, "it has another address")


class OneOtherPart(FakeI2cBus):
    """A part at 0x60 that acknowledges and gives zeros, until it is removed."""

    is_there = True

    def write(self, address: int, data: bytes) -> bool:
        return (address == 0x60) if self.is_there else super().write(address, data)

    def read(self, address: int, count: int) -> bytes:
        return bytes(count) if self.is_there and address == 0x60 else super().read(address, count)


@provokes(FindingCode.OTHER_PART)
def an_eeprom_has_the_address(bench: Bench) -> Case:
    bus = bench.machine.buses[1] = OneOtherPart([made_chip("atecc608a")])
    found = yield ("--device", "i2c://1/0x60")
    assert "00 00 00 00" in found["message"]
    assert "Take the other part off the bus" in found["advice"]
    bus.is_there = False
    yield ("--device", "i2c://1/0x60")


@provokes(FindingCode.LEFT_AWAKE, FindingCode.CONFIG_OPEN)
def another_tool_left_the_chip_awake(bench: Bench) -> Case:
    chip = made_chip("atecc608a")
    bench.machine.buses[1] = FakeI2cBus([chip])
    chip.wake()
    chip.exchange(packet(0x30))
    found = yield ("--device", "i2c://1/0x60")
    assert "It sleeps now" in found["advice"]
    yield ("--device", "i2c://1/0x60")


@provokes(Code.USAGE)
def the_device_url_has_no_scheme(bench: Bench) -> Case:
    found = yield ("--device", "/dev/hidraw0")
    assert "emulator:" in found["advice"]
    yield ("--device", "emulator:")


@provokes(Code.ADDRESS_FORM)
def i2c_address_in_the_8_bit_form(bench: Bench) -> Case:
    bench.machine.buses[1] = FakeI2cBus([made_chip("atecc608a")])
    found = yield ("--device", "i2c://1/192")
    (address,) = re.findall(r"such as (0x\w+),", found["advice"])
    yield ("--device", f"i2c://1/{address}")


@provokes(Code.LIBRARY_MISSING, FindingCode.NO_CHIP)
def hidapi_is_missing(bench: Bench) -> Case:
    def not_installed() -> Any:
        raise missing("hidapi", "a HID kit")

    bench.machine.plug_kit("1-1.2", {0xC0: made_chip("atecc608a")})
    bench.patch.setattr("atcaprov.diagnosis.candidates.hid_module", not_installed)
    found = yield ()
    assert "-m pip install hidapi" in found["advice"]
    bench.patch.setattr("atcaprov.diagnosis.candidates.hid_module", lambda: bench.machine.hid)
    yield ()


@provokes(Code.DEVICE_NOT_FOUND)
def kit_is_not_plugged_in(bench: Bench) -> Case:
    found = yield ("--device", "kit-hid://1-1.2")
    bench.machine.plug_kit("1-1.2", {0xC0: made_chip("atecc608a")})
    (command,) = re.findall(r"'provisioning-client (\w+)' lists", found["advice"])
    assert "kit-hid://1-1.2" in run_in_process(provisioning_client, command).out
    yield ("--device", "kit-hid://1-1.2")


@provokes(Code.DEVICE_NO_PERMISSION)
def bus_may_not_be_opened(bench: Bench) -> Case:
    bench.machine.buses[1] = FakeI2cBus([made_chip("atecc608a")])
    allowed = False
    bench.patch.setattr("atcaprov.hal.i2c.linux_bus.may_be_there", lambda path: True)
    bench.patch.setattr("os.access", lambda path, mode: allowed or not str(path).startswith("/dev/i2c"))
    bench.patch.setattr("atcaprov.hal.i2c.probe.open_bus", lambda number: _checked(bench, number))
    found = yield ("--device", "i2c://1/0x60")
    (command,) = re.findall(r"'atcaprov ([^']*)'", found["advice"])
    done = run_in_process(atcaprov, *command.split(), "--root", str(bench.folder))
    assert "is written" in done.out
    allowed = True
    yield ("--device", "i2c://1/0x60")


def _checked(bench: Bench, number: int) -> FakeI2cBus:
    from atcaprov.hal.i2c.linux_bus import require_permission

    require_permission(number)
    return bench.machine.bus(number)


@provokes(Code.DEVICE_BUSY)
def another_process_holds_the_chip(bench: Bench) -> Case:
    url = bench.store(bench.new_chip())
    with bench.other_process_locks(Path(bench.chip)) as process:
        found = yield ("--device", url)
        assert f"process {process.pid} (python" in found["message"]
        assert found["advice"].startswith("End that program")
    yield ("--device", url)


@provokes(Code.DEVICE_NO_REPLY)
def kit_is_silent(bench: Bench) -> Case:
    board = bench.machine.plug_kit("1-1.2", {0xC0: made_chip("atecc608a")})
    board.fault = BoardFault.SILENT
    found = yield ("--device", "kit-hid://1-1.2")
    assert "reconnect the board" in found["advice"]
    board.fault = BoardFault.NONE
    yield ("--device", "kit-hid://1-1.2")


@provokes(Code.DEVICE_OTHER_ADDRESS)
def kit_address_in_the_7_bit_form(bench: Bench) -> Case:
    bench.machine.plug_kit("1-1.2", {0xC0: made_chip("atecc608a"), 0x6A: made_chip("atecc608b")})
    found = yield ("--device", "kit-hid://1-1.2?address=0x60")
    assert "0x60 is the 7-bit form of the address" in found["message"]
    (option,) = re.findall(r"end the device URL with (\?address=0x\w+)\.", found["advice"])
    yield ("--device", f"kit-hid://1-1.2{option}")


# Transfers and supply


def _cured_by_contact(code: FindingCode, name: str, plan: str, seen: str) -> None:
    def play(bench: Bench) -> Case:
        found = yield ("--device", bench.faulty(plan))
        assert seen in found["message"]
        assert "examine it again" in found["advice"]
        yield ("--device", "emulator:")

    play.__name__ = name
    provokes(code, FindingCode.CONFIG_OPEN)(play)


_cured_by_contact(
    FindingCode.DAMAGED_TRANSFERS,
    "some_replies_are_damaged",
    "".join(f'[[fault]]\nkind = "bit-flip"\ncommand = {number}\nbit = 70\n' for number in (2, 5, 6, 9, 30)),
    "5 of 32 transfers were damaged: 5 on the way to this computer, 0 on the way to the chip",
)
_cured_by_contact(
    FindingCode.DAMAGED_TRANSFERS,
    "some_commands_are_damaged",
    '[[fault]]\nkind = "crc-error"\nopcode = "Read"\np1 = 0x80\ntimes = 3\n',
    "3 of 32 transfers were damaged: 0 on the way to this computer, 3 on the way to the chip",
)
_cured_by_contact(
    FindingCode.LOST_REPLIES,
    "some_commands_get_no_reply",
    '[[fault]]\nkind = "no-acknowledge"\nopcode = "Read"\np1 = 0x80\ntimes = 2\n',
    "2 of 32 commands got no reply",
)
_cured_by_contact(
    FindingCode.SUPPLY_SAGS,
    "supply_sags_in_the_self_test",
    '[[fault]]\nkind = "brown-out"\nopcode = "SelfTest"\n',
    "restarted at SelfTest, command 1 of 9",
)
_cured_by_contact(
    FindingCode.SUPPLY_SAGS,
    "supply_fails_in_a_random_number",
    '[[fault]]\nkind = "power-after"\nopcode = "Random"\n',
    "restarted at Random, command 2 of 9",
)
_cured_by_contact(
    FindingCode.SUPPLY_SAGS,
    "supply_sags_in_reads",
    '[[fault]]\nkind = "brown-out"\nopcode = "Read"\np1 = 0x80\ntimes = 2\n',
    "restarted at 2 of 32 reads",
)


@provokes(FindingCode.SELF_TEST_FAILED, FindingCode.CONFIG_OPEN)
def chip_is_damaged(bench: Bench) -> Case:
    chip = made_chip("atecc608a")
    chip.core.powered.failing_tests = 0x21
    bench.machine.plug_kit("1-1.2", {0xC0: chip})
    found = yield ()
    assert "random numbers, SHA-256" in found["message"]
    assert (found["board"], "Use another one" in found["advice"]) == ("scrap", True)
    bench.machine.plug_kit("1-1.2", {0xC0: made_chip("atecc608a")})
    yield ()


# The chip


@provokes(FindingCode.TRUST_PART, Code.ROOT_NOT_PINNED)
def chip_is_a_trust_part(bench: Bench) -> Case:
    found = yield ("--device", bench.store(bench.new_chip("tngtls")))
    assert "needs a blank part" in found["advice"]
    yield ("--device", bench.store(bench.new_chip()))


@provokes(FindingCode.CONFIG_OPEN)
def chip_is_blank(bench: Bench) -> Case:
    url = bench.store(bench.new_chip())
    found = yield ("--device", url)
    assert "Provision it" in found["advice"]
    bench.provision(url)
    yield ("--device", url)


@provokes(FindingCode.DATA_OPEN)
def run_was_cut_before_the_data_lock(bench: Bench) -> Case:
    memory = bench.new_chip()
    memory.config[16:84] = DEFAULT_608A[16:84]
    memory.config[88:] = DEFAULT_608A[88:]
    memory.config[LOCK_CONFIG] = 0
    url = bench.store(memory)
    found = yield ("--device", url)
    assert "Finish the board" in found["advice"]
    bench.provision(url)
    yield ("--device", url)


@provokes(Code.WRONG_PART)
def chip_is_a_508(bench: Bench) -> Case:
    found = yield ("--device", bench.store(bench.new_chip("atecc508a")))
    assert "ATECC508A" in found["message"]
    yield ("--device", bench.store(bench.new_chip()))


@provokes(Code.REVISION_UNKNOWN, FindingCode.CONFIG_OPEN)
def silicon_is_newer(bench: Bench) -> Case:
    chip = made_chip("atecc608c")
    chip.memory.revision = bytes.fromhex("00006009")
    bench.machine.plug_kit("1-1.2", {0xC0: chip})
    yield ()
    bench.machine.plug_kit("1-1.2", {0xC0: made_chip("atecc608c")})
    yield ()


@provokes(Code.CONFIG_LOCKED_OTHER, FindingCode.DATA_OPEN)
def configuration_is_foreign(bench: Bench) -> Case:
    memory = bench.new_chip()
    memory.config[LOCK_CONFIG] = 0
    found = yield ("--device", bench.store(memory), "--config", _CONFIG)
    assert found["board"] == "set-aside"
    yield ("--device", bench.store(bench.new_chip()), "--config", _CONFIG)


@provokes(FindingCode.CONFIG_FOREIGN, FindingCode.DATA_OPEN)
def configuration_is_of_no_known_product(bench: Bench) -> Case:
    memory = bench.new_chip()
    memory.config[:], memory.config[LOCK_CONFIG] = bench.new_chip().config, 0
    memory.config[20] ^= 0x0F
    url = bench.store(memory)
    found = yield ("--device", url)
    (words,) = re.findall(r"'atcaprov ([^']*)'", found["advice"])
    assert run_in_process(atcaprov, *words.split()).code == 0
    (bench.folder / "own.hex").write_text(memory.config.hex())
    yield ("--device", _finished(bench), "--config", _CONFIG)


@provokes(Code.USER_EXTRA_SET, FindingCode.CONFIG_OPEN)
def user_extra_is_set(bench: Bench) -> Case:
    memory = bench.new_chip()
    memory.config[USER_EXTRA] = 0x42
    yield ("--device", bench.store(memory), "--config", _CONFIG)
    yield ("--device", bench.store(bench.new_chip()), "--config", _CONFIG)


# Certificates


@provokes(Code.ROOT_NOT_PINNED, FindingCode.TRUST_PART)
def makers_chain_is_not_microchips(bench: Bench) -> Case:
    found = yield ("--device", bench.store(bench.new_chip("tngtls")))
    assert "error 20" in found["message"]
    assert "ask where the chip comes from" in found["advice"]
    yield ("--device", bench.store(bench.new_chip()))


def _finished_memory(bench: Bench) -> Memory:
    url = _finished(bench)
    memory = StateFile(Path(url.removeprefix("emulator:"))).load()
    assert memory is not None
    return memory


@provokes(Code.KEY_WITHOUT_CERTIFICATE)
def certificates_are_missing(bench: Bench) -> Case:
    memory = _finished_memory(bench)
    for slot in (10, 11, 12):
        memory.write_slot(slot, 0, b"\xff" * 72)
    found = yield ("--device", bench.store(memory))
    assert "look there" in found["advice"]
    yield ("--device", _finished(bench))


@provokes(Code.CERTIFICATE_WITHOUT_KEY)
def key_is_missing(bench: Bench) -> Case:
    memory = _finished_memory(bench)
    memory.write_slot(0, 0, b"\xff" * 36)
    yield ("--device", bench.store(memory))
    yield ("--device", _finished(bench))


def certified(bench: Bench) -> tuple[str, Words]:
    """Return the URL of a chip that a running server has certified, and the words that name both."""
    address, cert_info = bench.server()
    url = bench.store(bench.new_chip())
    bench.provision_at(url, address, cert_info)
    return url, ("--device", url, "--certinfo", cert_info, "--host", address.host, "--port", str(address.port))


def _changed(bench: Bench, change: Callable[[Memory], None]) -> Case:
    """Play a chip that a running server has certified, changed and then as it was."""
    url, words = certified(bench)
    path = Path(url.removeprefix("emulator:"))
    right, memory = path.read_bytes(), StateFile(path).load()
    assert memory is not None
    change(memory)
    bench.store(memory)
    yield words
    path.write_bytes(right)
    yield words


@provokes(Code.ROOT_NOT_PINNED)
def signer_certificate_is_damaged(bench: Bench) -> Case:
    def change(memory: Memory) -> None:
        memory.write_slot(12, 5, bytes((memory.read_slot(12, 5, 1)[0] ^ 1,)))

    yield from _changed(bench, change)


@provokes(Code.KEY_MISMATCH)
def device_certificate_is_damaged(bench: Bench) -> Case:
    def change(memory: Memory) -> None:
        memory.write_slot(10, 5, bytes((memory.read_slot(10, 5, 1)[0] ^ 1,)))

    yield from _changed(bench, change)


@provokes(Code.CERTIFICATE_EXPIRED)
def certificate_is_not_valid_yet(bench: Bench) -> Case:
    class Earlier(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime(2026, 1, 1, tzinfo=tz)

    _, words = certified(bench)
    bench.patch.setattr("atcaprov.diagnosis.certificate_steps.datetime", Earlier)
    found = yield words
    assert "Check the clock" in found["advice"]
    bench.patch.setattr("atcaprov.diagnosis.certificate_steps.datetime", datetime)
    yield words


# Clocks and server


@provokes(Code.CLOCK_WRONG)
def this_computers_clock_is_unset(bench: Bench) -> Case:
    class Unset(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime(2020, 1, 1, tzinfo=tz)

    url = _finished(bench)
    bench.patch.setattr("atcaprov.diagnosis.server_steps.datetime", Unset)
    found = yield ("--device", url)
    assert found["advice"].startswith("Set the clock")
    bench.patch.setattr("atcaprov.diagnosis.server_steps.datetime", datetime)
    yield ("--device", url)


@provokes(Code.CLOCK_WRONG, FindingCode.CONFIG_OPEN)
def clocks_differ(bench: Bench) -> Case:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(UTC) + timedelta(days=3)

    address, cert_info = bench.server()
    words = ("--device", "emulator:", "--certinfo", cert_info, "--port", str(address.port), "--host", "127.0.0.1")
    bench.patch.setattr("atcaprov.provisioning.clock_check.datetime", Ahead)
    found = yield words
    assert "Correct the clock" in found["advice"]
    bench.patch.setattr("atcaprov.provisioning.clock_check.datetime", datetime)
    yield words


def _finished(bench: Bench) -> str:
    url = bench.store(bench.new_chip())
    bench.provision(url)
    return url


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@provokes(Code.SERVER_UNREACHABLE)
def no_server_listens(bench: Bench) -> Case:
    url = _finished(bench)
    found = yield ("--device", url, "--host", "127.0.0.1", "--port", str(_free_port()))
    assert "--host and --port" in found["advice"]
    address, _ = bench.server()
    yield ("--device", url, "--host", address.host, "--port", str(address.port))


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """Answer the first bytes of each connection with these, and close it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(4096)
                        connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@provokes(FindingCode.NOT_A_SERVER)
def a_web_server_listens(bench: Bench) -> Case:
    url = _finished(bench)
    with answering(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n") as port:
        found = yield ("--device", url, "--host", "127.0.0.1", "--port", str(port))
    assert "--host and --port" in found["advice"]
    address, _ = bench.server()
    yield ("--device", url, "--host", address.host, "--port", str(address.port))


@provokes(Code.SERVER_DROPPED)
def server_hangs_up(bench: Bench) -> Case:
    url = _finished(bench)
    with answering(b"") as port:
        yield ("--device", url, "--host", "127.0.0.1", "--port", str(port))
    address, _ = bench.server()
    yield ("--device", url, "--host", address.host, "--port", str(address.port))


@provokes(Code.SIGNER_UNKNOWN, FindingCode.CONFIG_OPEN)
def cert_info_is_of_another_signer(bench: Bench) -> Case:
    address, right = bench.server()
    _, wrong = bench.server("b")
    place = ("--device", "emulator:", "--host", address.host, "--port", str(address.port))
    yield (*place, "--certinfo", wrong)
    yield (*place, "--certinfo", right)


@provokes(Code.SIGNER_NOT_READY, FindingCode.CONFIG_OPEN)
def signer_waits_for_its_password(bench: Bench) -> Case:
    address, cert_info = bench.server()
    refusal = ErrorReply(Code.SIGNER_NOT_READY.value, "The signer waits for its password.", True)
    words = ("--device", "emulator:", "--certinfo", cert_info, "--host", "127.0.0.1", "--port")
    with answering(Connection(Role.SERVER).send(refusal)) as port:
        yield (*words, str(port))
    yield (*words, str(address.port))
