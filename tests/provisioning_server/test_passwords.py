from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from atcaprov.errors import Code, TransportError, UsageError
from atcaprov.terminal import Key, KeyPress
from provisioning_server.given_passwords import GivenPasswords
from provisioning_server.password_desk import LONGEST_PAUSE_SECONDS, PasswordDesk
from provisioning_server.passwords import PasswordPrompt, read_passwords, require_all_ready, unlock_with
from provisioning_server.signers.roster import SignerRoster
from provisioning_server.signers.signer import Signer, label
from tests.support.memory_signer import MemorySigner
from tests.support.server_parts import RememberingLog


def test_passwords_are_the_lines_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    path.write_bytes(b"one\r\n\ntwo with blanks \nthr\xc3\xa9e")
    assert read_passwords(path) == (b"one", b"two with blanks ", b"thr\xc3\xa9e")


def test_passwords_come_from_an_open_descriptor(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"secret\n")
    os.close(writer)
    assert read_passwords(reader) == (b"secret",)


def test_a_source_of_passwords_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="missing") as caught:
        read_passwords(tmp_path / "missing")
    assert caught.value.code == Code.FILE_UNREADABLE
    with pytest.raises(UsageError, match="descriptor 999"):
        read_passwords(999)
    (tmp_path / "big").write_bytes(b"x" * 70_000)
    with pytest.raises(UsageError, match="too long"):
        read_passwords(tmp_path / "big")


def _name(signer: MemorySigner) -> str:
    return label(signer.serial, signer.name)


def test_given_passwords_are_tried_on_each_signer() -> None:
    open_signer, first, second = MemorySigner(), MemorySigner(password=b"one"), MemorySigner(password=b"two")
    roster, log = SignerRoster([open_signer, first, second]), RememberingLog()
    asyncio.run(unlock_with(roster, GivenPasswords((b"two", b"one")), log))
    assert roster.waiting() == []
    require_all_ready(roster)
    assert log.lines == [
        f"info: {_name(open_signer)} ready.",
        f"info: {_name(first)} requires password.",
        f"info: {_name(first)} password accepted, ready.",
        f"info: {_name(second)} requires password.",
        f"info: {_name(second)} password accepted, ready.",
    ]


def test_without_a_console_a_signer_that_waits_is_an_error() -> None:
    roster = SignerRoster([MemorySigner(password=b"one")])
    asyncio.run(unlock_with(roster, GivenPasswords((b"two",)), RememberingLog()))
    with pytest.raises(UsageError, match="no console") as caught:
        require_all_ready(roster)
    assert caught.value.code == Code.PASSWORD_WRONG


def _typed(text: str) -> list[KeyPress]:
    return [KeyPress(Key.TEXT, text), KeyPress(Key.ENTER)]


def test_the_prompt_asks_for_one_signer_after_the_other_and_again_after_a_wrong_password() -> None:
    async def run() -> tuple[RememberingLog, list[float]]:
        pauses: list[float] = []
        asked: asyncio.Queue[str] = asyncio.Queue()

        class ToldLog(RememberingLog):
            def ask(self, prompt: str) -> None:
                super().ask(prompt)
                asked.put_nowait(prompt)

        async def pause(seconds: float) -> None:
            pauses.append(seconds)
            prompt.press(KeyPress(Key.TEXT, "typed while nobody asks"))
            prompt.press(KeyPress(Key.ENTER))

        log = ToldLog()
        desk = PasswordDesk(roster, log, pause=pause, clock=lambda: sum(pauses))
        prompt = PasswordPrompt(roster, log, desk)
        task = asyncio.create_task(prompt.run())
        for text in ["wrong"] * 7 + ["one", "", "two"]:
            await asked.get()
            for press in _typed(text):
                prompt.press(press)
        await task
        return log, pauses

    first, second = MemorySigner(password=b"one"), MemorySigner(password=b"two")
    roster = SignerRoster([first, second])
    log, pauses = asyncio.run(run())
    assert roster.waiting() == []
    assert (
        log.prompts == [f"{_name(first)} password: ", "answered"] * 8 + [f"{_name(second)} password: ", "answered"] * 2
    )
    assert log.lines.count(f"warning: {_name(first)} password wrong.") == 7
    assert log.lines[-1] == f"info: {_name(second)} password accepted, ready."
    assert pauses == [1, 2, 4, 8, 16, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, 1]


def test_no_password_is_in_a_log_or_repr() -> None:
    signer = MemorySigner(password=b"geheim")
    log = RememberingLog()
    asyncio.run(unlock_with(SignerRoster([signer]), GivenPasswords((b"geheim", b"falsch")), log))
    assert "geheim" not in str(log.lines)


def test_a_module_that_is_gone_when_its_password_comes_is_let_go_and_the_next_one_is_asked_for() -> None:
    class Gone(MemorySigner):
        slow = True

        def unlock(self, password: bytes | None) -> None:
            raise TransportError("The module was unplugged.")

    async def run() -> RememberingLog:
        log = RememberingLog()
        prompt = PasswordPrompt(roster, log, PasswordDesk(roster, log, settled.append))
        task = asyncio.create_task(prompt.run())
        for _ in range(2):
            await asyncio.sleep(0)
            while not log.prompts or log.prompts[-1] == "answered":
                await asyncio.sleep(0)
            for press in _typed("one"):
                prompt.press(press)
        await task
        return log

    settled: list[Signer] = []
    gone, good = Gone(password=b"one"), MemorySigner(password=b"one")
    roster = SignerRoster([gone, good])
    log = asyncio.run(run())
    assert list(roster) == [good]
    assert settled == [gone, good]
    assert log.lines[0] == f"warning: {_name(gone)} can't be used: The module was unplugged."


def test_a_prompt_for_a_signer_that_left_is_closed() -> None:
    async def run() -> RememberingLog:
        log = RememberingLog()
        prompt = PasswordPrompt(roster, log, PasswordDesk(roster, log))
        task = asyncio.create_task(prompt.run())
        while not log.prompts:
            await asyncio.sleep(0)
        prompt.press(KeyPress(Key.TEXT, "half of a pass"))
        prompt.signers_changed()  # another one left
        assert log.prompts[1:] == []
        roster.remove(signer)
        prompt.signers_changed()
        await task
        return log

    signer = MemorySigner(password=b"one")
    roster = SignerRoster([signer])
    assert asyncio.run(run()).prompts == [f"{_name(signer)} password: ", "answered"]


def test_a_credential_comes_before_the_passwords_for_all(tmp_path: Path) -> None:
    serial = bytes.fromhex("01231E6CD82CA571EE")
    (tmp_path / "signer-01231E6CD82CA571EE").write_bytes(b"own\nmore\n")
    (tmp_path / "signer-passwords").write_bytes(b"file\nall\n")
    given = GivenPasswords((b"all",), tmp_path)
    assert given.of(serial) == (b"own", b"all", b"file")
    assert given.of(bytes(9)) == (b"all", b"file")
    assert GivenPasswords().of(serial) == ()
    assert "all" not in repr(given)
    (tmp_path / "signer-passwords").write_bytes(b"x" * 70_000)
    with pytest.raises(UsageError, match="too long"):
        given.of(serial)
