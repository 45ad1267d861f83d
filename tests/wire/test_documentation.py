"""The wire protocol's pages say what the code sends and reads."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from atcaprov.wire.connection import Connection, Role
from atcaprov.wire.fields import SlotWrite
from atcaprov.wire.messages import (
    MESSAGES,
    CertificatesReply,
    CertificatesRequest,
    ErrorReply,
    ReportReply,
    ReportRequest,
    SignerRequest,
)
from tests.support.system_programs import require_program
from tests.support.wire_examples import REQUEST

REFERENCE = Path(__file__).parents[2] / "docs/reference"
PAGE = "\n".join(
    (REFERENCE / name).read_text(encoding="utf-8") for name in ("wire-protocol.md", "wire-protocol-examples.md")
)


def _example(name: str) -> bytes:
    block = re.search(rf"^```hex {name}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert block is not None
    hex_of_lines = (re.match(r" *((?:[0-9A-F]{2} ?)*)", line) for line in block[1].splitlines())
    return bytes.fromhex("".join(line[1] for line in hex_of_lines if line))


def _server_with_request() -> Connection:
    server = Connection(Role.SERVER)
    server.receive_data(Connection(Role.CLIENT).send(REQUEST))
    server.next_event()
    return server


def test_the_request() -> None:
    server = Connection(Role.SERVER)
    server.receive_data(_example("request"))
    request = server.next_event()
    assert isinstance(request, CertificatesRequest)
    assert request.config_zone[:4] + request.config_zone[8:13] == bytes.fromhex("01234038D92CA571EE")
    assert request.public_key[:4] == bytes.fromhex("60FED4BA")
    assert not request.existing_only
    assert Connection(Role.CLIENT).send(request) == _example("request")


def test_the_error() -> None:
    error = ErrorReply("not-issued", "Nothing was issued for this chip", False)
    assert _server_with_request().send(error) == _example("error")


def test_the_numbers() -> None:
    server = Connection(Role.SERVER)
    server.receive_data(_example("numbered-request"))
    request = server.next_event()
    assert isinstance(request, SignerRequest)
    assert request.request_number == 0x12345678
    assert Connection(Role.CLIENT).send(request) == _example("numbered-request")
    error = ErrorReply("not-issued", "Nothing was issued for this chip", False)
    assert server.send(error) == _example("numbered-error")


def test_the_reply() -> None:
    reply = CertificatesReply(
        device_certificate=b"\x30\x00",
        signer_certificate=b"\x30\x00",
        root_certificate=b"\x30\x00",
        device_definition=b"\xa0",
        signer_definition=b"\xa0",
        device_compressed=b"\x01" * 72,
        signer_compressed=b"\x02" * 72,
        writes=(SlotWrite(10, 0, b"\x01" * 72), SlotWrite(12, 8, b"\x02" * 4)),
    )
    assert _server_with_request().send(reply) == _example("reply")


def test_the_report_and_its_reply() -> None:
    server = Connection(Role.SERVER)
    server.receive_data(_example("report"))
    report = server.next_event()
    assert isinstance(report, ReportRequest)
    assert (report.fate, report.code, report.challenge) == ("good", "", bytes(range(32)))
    assert [stage.outcome for stage in report.stages] == ["skipped", "done"]
    assert Connection(Role.CLIENT).send(report) == _example("report")
    assert server.send(ReportReply(proven=True)) == _example("report-reply")


def test_types_and_bounds_are_those_of_the_table() -> None:
    rows = re.findall(r"^\| `([0-9A-F]{2})` \| ([a-z ]+) \| (?:client|server) \| ([0-9,]+) \|$", PAGE, re.MULTILINE)
    table = {int(code, 16): (title, int(bound.replace(",", ""))) for code, title, bound in rows}
    assert table == {code: (message.TITLE, message.BODY_MAX) for code, message in MESSAGES.items()}


@pytest.mark.parametrize("message", list(MESSAGES.values()), ids=lambda m: m.__name__)
def test_keys_are_those_of_the_tables(message: type[CertificatesRequest]) -> None:
    section = PAGE.split(f"### {message.TITLE.capitalize()}\n")[1].split("###")[0]
    rows = re.findall(r"^\| (\d+) \| ([a-z0-9_]+) \|", section, re.MULTILINE)
    assert [(int(key), name) for key, name in rows] == [(field.key, field.name) for field in message.FIELDS]


INTEGRATOR = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static int recv_some(uint8_t *to, uint32_t n) { return (int)read(0, to, n > 7 ? 7 : n); }
static int send_all(const uint8_t *from, uint32_t n) { return write(2, from, n) == (int)n ? 0 : -1; }
static int is_certificate_slot(uint32_t slot) { return slot == 10 || slot == 12; }
static int keep_for_slot(uint32_t slot, uint32_t offset, const uint8_t *part, uint32_t size)
{
    printf("slot %u offset %u size %u first %u\\n", slot, offset, size, part[0]);
    return 0;
}
"""
MAIN = """
int main(int argc, char **argv)
{
    uint8_t values[256];
    int result;
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    if (file == NULL || fread(values, 1, 256, file) != 256) return 9;
    if (ask(values, values + 128, values + 192) != CONTINUE) return 8;
    result = answer();
    printf("result %d\\n", result);
    return 0;
}
"""


@pytest.fixture(scope="module")
def c_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    block = re.search(r"^```c\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert block is not None
    folder = tmp_path_factory.mktemp("c_client")
    (folder / "client.c").write_text(INTEGRATOR + block[1] + MAIN)
    command = [require_program("gcc"), "-std=c99", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([*command, "-o", folder / "client", folder / "client.c"], check=True)
    request = CertificatesRequest.from_body(_example("request")[8:])
    (folder / "values").write_bytes(request.config_zone + request.public_key + request.signer_public_key)
    return folder


def _run(folder: Path, answer: bytes) -> tuple[bytes, list[str]]:
    """Return the bytes that the C client sent and the lines that it printed."""
    done = subprocess.run([folder / "client", folder / "values"], input=answer, capture_output=True, check=True)
    return done.stderr, done.stdout.decode().splitlines()


def test_the_c_client_sends_the_request_and_takes_the_writes(c_client: Path) -> None:
    sent, printed = _run(c_client, _example("reply"))
    assert sent == _example("request")
    assert printed == ["slot 10 offset 0 size 72 first 1", "slot 12 offset 8 size 4 first 2", "result 0"]


def test_the_c_client_sees_an_error_and_every_cut(c_client: Path) -> None:
    assert _run(c_client, _example("error"))[1] == ["result -1"]
    reply = _example("reply")
    for size in range(0, len(reply), 5):
        assert _run(c_client, reply[:size])[1][-1] == "result -2"
