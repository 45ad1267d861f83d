"""The control channel between a command and a server, over the loopback address."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from atcaprov.errors import Code, ProtocolError, ServerRejected, TransportError, UsageError
from provisioning_server.control import server as channel
from provisioning_server.control.client import NoServerError, run_command
from provisioning_server.control.control_file import ControlFile, ControlPlace
from provisioning_server.control.requests_answers import ControlRequest, parse_answer, request_line
from provisioning_server.control.sealed_lines import REQUEST_MAX
from provisioning_server.control.server import ControlServer, Handler


async def echo(arguments: dict[str, Any]) -> dict[str, Any]:
    return arguments


async def fail(_: dict[str, Any]) -> dict[str, Any]:
    raise UsageError("No station 'x'.", advice="List them.")


async def break_down(_: dict[str, Any]) -> dict[str, Any]:
    raise ZeroDivisionError("the password is 1234")


@contextlib.contextmanager
def control_server(data: Path, **handlers: Handler) -> Iterator[ControlPlace]:
    """Run the server's end in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def on_loop(work: Callable[[], Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work(), loop).result(30)

    server = ControlServer(data, logging.getLogger("provisioning_server.test"))
    for name, handler in handlers.items():
        server.handle(name, handler)
    try:
        on_loop(server.start)
        place = ControlFile(data).read()
        assert place is not None
        yield place
    finally:
        on_loop(server.stop)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def sent(place: ControlPlace, data: bytes) -> bytes:
    """Send bytes and the end of the stream; return what comes until the server closes."""
    with socket.create_connection(("127.0.0.1", place.port), 30) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(1 << 16):
            answer += part
        return answer


def test_command_gets_its_result(tmp_path: Path) -> None:
    with control_server(tmp_path, echo=echo):
        assert run_command(tmp_path, "echo", {"name": "line-3", "count": 5}) == {"name": "line-3", "count": 5}


def test_command_gets_the_error_of_the_server(tmp_path: Path) -> None:
    with control_server(tmp_path, fail=fail), pytest.raises(UsageError, match="No station 'x'"):
        run_command(tmp_path, "fail", {})


def test_unexpected_exception_is_told_without_its_text(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with control_server(tmp_path, down=break_down), pytest.raises(Exception, match="ZeroDivisionError") as caught:
        run_command(tmp_path, "down", {})
    assert "1234" not in f"{caught.value}{caplog.text}"


def test_unknown_command_is_refused(tmp_path: Path) -> None:
    with control_server(tmp_path), pytest.raises(ServerRejected, match="does not know the command 'echo'"):
        run_command(tmp_path, "echo", {})


def test_without_control_file_no_server_runs(tmp_path: Path) -> None:
    with pytest.raises(NoServerError) as caught:
        run_command(tmp_path, "echo", {})
    assert caught.value.code == Code.SERVER_UNREACHABLE


def test_file_of_a_killed_server_is_recognized(tmp_path: Path) -> None:
    with control_server(tmp_path) as place:
        pass
    ControlFile(tmp_path).write(place)
    with pytest.raises(NoServerError):
        run_command(tmp_path, "echo", {})


def test_other_program_at_the_port_of_a_killed_server_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with control_server(tmp_path / "mine", echo=echo) as other:
        ControlFile(tmp_path).write(ControlPlace(other.port))
        with pytest.raises(NoServerError):
            run_command(tmp_path, "echo", {})


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")
def test_control_file_is_for_its_owner_alone_and_goes_with_the_server(tmp_path: Path) -> None:
    path = ControlFile(tmp_path).path
    with control_server(tmp_path) as place:
        assert path.stat().st_mode & 0o777 == 0o600
        assert json.loads(path.read_text()) == {"port": place.port, "secret": place.secret.hex()}
    assert not path.exists()
    assert place.secret.hex() not in repr(place)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"port": 1}',
        '{"port": true, "secret": "%s"}',
        '{"port": 70000, "secret": "%s"}',
        '{"port": 1, "secret": "00"}',
    ],
)
def test_damaged_control_file_is_refused(tmp_path: Path, text: str) -> None:
    ControlFile(tmp_path).path.write_text(text.replace("%s", "00" * 32))
    with pytest.raises(UsageError) as caught:
        run_command(tmp_path, "echo", {})
    assert caught.value.code == Code.FILE_INVALID


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", Code.BAD_FRAME),
        (b"GET / HTTP/1.1\r\n\r\n", Code.BAD_FRAME),
        (b"{}\n", Code.BAD_FRAME),
        (b"x" * REQUEST_MAX, Code.FRAME_TOO_LARGE),
        (request_line(bytes(32), ControlRequest("echo", {})), Code.REQUEST_INVALID),
    ],
)
def test_garbage_gets_one_typed_answer(tmp_path: Path, data: bytes, code: Code) -> None:
    with control_server(tmp_path, echo=echo) as place:
        answer = sent(place, data)
        with pytest.raises(ProtocolError) as caught:
            parse_answer(place.secret, "any", answer)
        assert caught.value.code == code
        assert run_command(tmp_path, "echo", {}) == {}, "the server must go on"


def test_silent_connection_is_ended_with_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "REQUEST_SECONDS", 0.05)
    with control_server(tmp_path) as place, socket.create_connection(("127.0.0.1", place.port), 30) as silent:
        silent.sendall(b"{")
        answer = silent.makefile("rb").read()
        with pytest.raises(ProtocolError, match="time"):
            parse_answer(place.secret, "", answer)


def test_connections_of_another_user_keep_no_command_out(tmp_path: Path) -> None:
    """Any user of the computer can open them; without the secret they can only be silent."""
    with control_server(tmp_path, echo=echo) as place, contextlib.ExitStack() as stack:
        for _ in range(2 * channel.CONNECTIONS_MAX):
            stack.enter_context(socket.create_connection(("127.0.0.1", place.port), 30)).sendall(b"{")
        assert run_command(tmp_path, "echo", {"name": "line-3"}) == {"name": "line-3"}


def test_command_too_many_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "CONNECTIONS_MAX", 0)
    with control_server(tmp_path, echo=echo):
        with pytest.raises(TransportError) as caught:
            run_command(tmp_path, "echo", {})
        assert caught.value.code == Code.SERVER_DROPPED


def test_command_that_runs_when_the_server_stops_gets_its_answer(tmp_path: Path) -> None:
    begun, may_end = threading.Event(), asyncio.Event()

    async def slow(_: dict[str, Any]) -> dict[str, Any]:
        begun.set()
        await may_end.wait()
        return {"done": True}

    async def end(_: dict[str, Any]) -> dict[str, Any]:
        may_end.set()
        return {}

    results: list[dict[str, Any]] = []
    asking = threading.Thread(target=lambda: results.append(run_command(tmp_path, "slow", {})))
    with control_server(tmp_path, slow=slow, end=end):
        asking.start()
        assert begun.wait(30)
        run_command(tmp_path, "end", {})
    asking.join(30)
    assert results == [{"done": True}]
