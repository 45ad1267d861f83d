from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path

import pytest

from atcaprov import Code, TransportError, UsageError
from atcaprov.terminal.keys import Key, KeyPress
from provisioning_server.log_names import label
from provisioning_server.passwords.automatic_unlock import require_all_ready, unlock
from provisioning_server.passwords.console_prompt import PasswordPrompt
from provisioning_server.passwords.given_passwords import GivenPassword, GivenPasswords, password_lines, read_passwords
from provisioning_server.passwords.password_choice import PasswordChoice
from provisioning_server.passwords.postponed_unlocks import PostponedSigners
from provisioning_server.passwords.unlock_service import UnlockService
from provisioning_server.passwords.wrong_password_pause import LONGEST_PAUSE_SECONDS
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.signers.signer import Signer
from tests.support.in_memory_signer import MemorySigner
from tests.support.secret_files import secret_file
from tests.support.server_parts import RememberingLog


def test_passwords_are_the_lines_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    secret_file(path, b"one\r\n\ntwo with blanks \nthr\xc3\xa9e")
    assert [given.password for given in read_passwords(path)] == [b"one", b"two with blanks ", b"thr\xc3\xa9e"]


def test_a_password_may_end_in_an_equals_sign(tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    secret_file(path, b"=c2VjcmV0cw==\n0123=dHdv=\n0123=\n=\n")
    assert [(given.signer, given.password) for given in read_passwords(path)] == [
        ("", b"c2VjcmV0cw=="),
        ("0123", b"dHdv="),
    ]


@pytest.mark.parametrize(
    ("line", "signer", "password"), [(b"0123 = one", "0123", b" one"), (b"one", "", b"one"), (b"=one", "", b"one")]
)
def test_byte_order_mark_before_the_first_line_is_ignored(
    tmp_path: Path, line: bytes, signer: str, password: bytes
) -> None:
    path = tmp_path / "passwords"
    secret_file(path, b"\xef\xbb\xbf" + line + b"\r\n")
    assert read_passwords(path) == (GivenPassword(password, signer),)


def test_byte_order_mark_in_a_credential_is_ignored(tmp_path: Path) -> None:
    serial = bytes.fromhex("01231E6CD82CA571EE")
    (tmp_path / "signer-01231E6CD82CA571EE").write_bytes(b"\xef\xbb\xbfone\r\n")
    (tmp_path / "signer-passwords").write_bytes(b"\xef\xbb\xbftwo\n")
    given = GivenPasswords(folder=tmp_path)
    assert given.named(serial, "any") == (b"one",)
    assert given.unnamed() == (b"two",)


def test_passwords_come_from_an_open_descriptor(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"secret\n")
    os.close(writer)
    assert read_passwords(reader) == (GivenPassword(b"secret"),)


def test_unreadable_password_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="missing") as caught:
        read_passwords(tmp_path / "missing")
    assert caught.value.code == Code.FILE_UNREADABLE
    with pytest.raises(UsageError, match="descriptor 999"):
        read_passwords(999)
    secret_file(tmp_path / "big", b"x" * 70_000)
    with pytest.raises(UsageError, match="too long"):
        read_passwords(tmp_path / "big")


def _name(signer: MemorySigner) -> str:
    return label(signer.serial, signer.name)


def given(*lines: bytes) -> PasswordChoice:
    return PasswordChoice(GivenPasswords(password_lines(b"\n".join(lines), "the test")))


def unlock_all(signers: Iterable[Signer], tries: PasswordChoice, log: RememberingLog) -> None:
    waiting = list(signers)
    for signer in waiting:
        asyncio.run(unlock(signer, tries, log, waiting))


def test_passwords_that_name_no_signer_are_tried_on_each_signer_on_files() -> None:
    open_signer, first, second = MemorySigner(), MemorySigner(password=b"one"), MemorySigner(password=b"two")
    registry, log = SignerRegistry([open_signer, first, second]), RememberingLog()
    unlock_all(registry, given(b"two", b"one"), log)
    assert registry.waiting() == []
    require_all_ready(registry)
    assert log.lines == [
        f"info: {_name(open_signer)} ready.",
        f"info: {_name(first)} requires password.",
        f"info: {_name(first)} password accepted, ready.",
        f"info: {_name(second)} requires password.",
        f"info: {_name(second)} password accepted, ready.",
    ]


def test_a_key_file_that_is_damaged_is_an_error_and_not_tried_again() -> None:
    class Damaged(MemorySigner):
        def unlock(self, password: bytes | None) -> None:
            raise UsageError("The key file is damaged.", code=Code.KEY_FILE_INVALID)

    with pytest.raises(UsageError, match="damaged"):
        unlock_all(SignerRegistry([Damaged(password=b"one")]), given(b"one"), RememberingLog())


def test_without_a_console_a_signer_that_waits_is_an_error() -> None:
    registry = SignerRegistry([MemorySigner(password=b"one")])
    unlock_all(registry, given(b"two"), RememberingLog())
    with pytest.raises(UsageError, match="no console") as caught:
        require_all_ready(registry)
    assert caught.value.code == Code.PASSWORD_WRONG


def test_without_console_a_signer_tried_again_later_is_not_an_error() -> None:
    signer = MemorySigner(password=b"one")
    registry, later = SignerRegistry([signer]), PostponedSigners()
    later.add(signer)
    require_all_ready(registry, later)
    later.drop(signer)
    with pytest.raises(UsageError, match="no console"):
        require_all_ready(registry, later)


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
            prompt.press(KeyPress(Key.TEXT, "typed without a prompt"))
            prompt.press(KeyPress(Key.ENTER))

        log = ToldLog()
        unlock_service = UnlockService(registry, log, pause=pause, clock=lambda: sum(pauses))
        prompt = PasswordPrompt(registry, log, unlock_service)
        task = asyncio.create_task(prompt.run())
        for text in ["wrong"] * 7 + ["one", "", "two"]:
            await asked.get()
            for press in _typed(text):
                prompt.press(press)
        await task
        return log, pauses

    first, second = MemorySigner(password=b"one"), MemorySigner(password=b"two")
    registry = SignerRegistry([first, second])
    log, pauses = asyncio.run(run())
    assert registry.waiting() == []
    assert (
        log.prompts == [f"{_name(first)} password: ", "answered"] * 8 + [f"{_name(second)} password: ", "answered"] * 2
    )
    assert log.lines.count(f"warning: {_name(first)} password wrong.") == 7
    assert log.lines[-1] == f"info: {_name(second)} password accepted, ready."
    assert pauses == [1, 2, 4, 8, 16, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS]


def test_no_password_is_in_a_log_or_repr() -> None:
    signer = MemorySigner(password=b"geheim")
    log = RememberingLog()
    unlock_all(SignerRegistry([signer]), given(b"geheim", b"falsch", b"geheim=geheim"), log)
    assert "geheim" not in str(log.lines)


def test_module_gone_at_its_password_is_removed_and_the_next_is_asked_for() -> None:
    class Gone(MemorySigner):
        slow = True

        def unlock(self, password: bytes | None) -> None:
            raise TransportError("The module was unplugged.")

    async def run() -> RememberingLog:
        log = RememberingLog()
        prompt = PasswordPrompt(registry, log, UnlockService(registry, log, settled.append))
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
    registry = SignerRegistry([gone, good])
    log = asyncio.run(run())
    assert list(registry) == [good]
    assert settled == [gone, good]
    assert log.lines[0] == f"warning: {_name(gone)} cannot be used: The module was unplugged."


def test_a_prompt_for_a_signer_that_left_is_closed() -> None:
    async def run() -> RememberingLog:
        log = RememberingLog()
        prompt = PasswordPrompt(registry, log, UnlockService(registry, log))
        task = asyncio.create_task(prompt.run())
        while not log.prompts:
            await asyncio.sleep(0)
        prompt.press(KeyPress(Key.TEXT, "half of a pass"))
        prompt.signers_changed()  # another one left
        assert log.prompts[1:] == []
        registry.remove(signer)
        prompt.signers_changed()
        await task
        return log

    signer = MemorySigner(password=b"one")
    registry = SignerRegistry([signer])
    assert asyncio.run(run()).prompts == [f"{_name(signer)} password: ", "answered"]


def test_text_typed_for_another_prompt_is_ignored() -> None:
    async def run() -> RememberingLog:
        log = RememberingLog()
        prompt = PasswordPrompt(registry, log, UnlockService(registry, log))
        task = asyncio.create_task(prompt.run())

        async def type_at(number: int, *texts: str) -> None:
            while len(log.prompts) < number:
                await asyncio.sleep(0)
            for text in texts:
                prompt.press(KeyPress(Key.ENTER) if text == "\r" else KeyPress(Key.TEXT, text))

        await type_at(1, "correct ho")
        registry.remove(first)
        prompt.signers_changed()
        prompt.press(KeyPress(Key.TEXT, "rs"))  # without a prompt
        await type_at(3, "e", "\r")
        await type_at(5, "two", "\r")
        await task
        return log

    first, second = CountingModule(b"correct horse"), CountingModule(b"two")
    registry = SignerRegistry([first, second])
    log = asyncio.run(run())
    assert second.tried == [b"two"]
    asked = [f"{_name(each)} password: " for each in (first, second, second)]
    assert log.prompts == [asked[0], "answered", asked[1], "answered", asked[2], "answered"]
    dropped = "warning: What was typed before the prompt is ignored. Press ENTER, then type the password again."
    assert log.lines.count(dropped) == 1


def test_prompt_survives_any_error_of_a_signer() -> None:
    async def run() -> None:
        log = RememberingLog()
        prompt = PasswordPrompt(registry, log, UnlockService(registry, log))
        task = asyncio.create_task(prompt.run())
        for number in (1, 3):
            while len(log.prompts) < number:
                await asyncio.sleep(0)
            for press in _typed("one"):
                prompt.press(press)
        await task

    faulty, good = CountingModule(b"one"), CountingModule(b"one")
    faulty.fault = MemoryError()
    registry = SignerRegistry([faulty, good])
    asyncio.run(run())
    assert good.ready
    assert registry.waiting() == []


def test_a_credential_that_the_system_does_not_show_is_an_error() -> None:
    passwords = GivenPasswords(folder=Path("x" * 300))  # longer than a name can be
    with pytest.raises(UsageError, match="cannot be read") as caught:
        passwords.named(bytes(9), "")
    assert caught.value.code == Code.FILE_UNREADABLE


def test_a_credential_comes_before_lines_that_name_its_signer(tmp_path: Path) -> None:
    serial = bytes.fromhex("01231E6CD82CA571EE")
    (tmp_path / "signer-01231E6CD82CA571EE").write_bytes(b"own=1\nmore\n")
    (tmp_path / "signer-passwords").write_bytes(b"01231e6cd82ca571ee = 2\nanybody's\n")
    passwords = GivenPasswords(
        password_lines(b"Line 1=named\n=with=equals\nLine 1=\nLine 2=other", "the test"), tmp_path
    )
    assert passwords.named(serial, "Line 1") == (b"own=1", b"named", b" 2")
    assert passwords.named(bytes(9), "Line 3") == ()
    assert passwords.unnamed() == (b"with=equals", b"anybody's")
    assert GivenPasswords().named(serial, "") == GivenPasswords().unnamed() == ()
    assert "equals" not in repr(passwords)
    (tmp_path / "signer-passwords").write_bytes(b"x" * 70_000)
    with pytest.raises(UsageError, match="too long"):
        passwords.unnamed()


class CountingModule(MemorySigner):
    """A module that remembers what was tried on it."""

    slow = True

    def __init__(self, password: bytes | None) -> None:
        super().__init__(password=password)
        self.tried: list[bytes | None] = []
        self.fault: Exception | None = None

    def unlock(self, password: bytes | None) -> None:
        self.tried.append(password)
        if self.fault is not None:
            raise self.fault
        super().unlock(password)


def test_a_password_that_names_no_signer_is_tried_on_the_only_module_and_once() -> None:
    module = CountingModule(b"right")
    tries, log = given(b"wrong"), RememberingLog()
    for _ in range(3):  # plugged in again and again
        unlock_all([module], tries, log)
    assert module.tried == [b"wrong"]
    refused = f"warning: {_name(module)} refused the given password. It is not tried again."
    again = (
        f"warning: {_name(module)} does not get the given password again: "
        "it was refused, or the signer was unplugged before it was accepted. Enter it by hand."
    )
    requires = f"info: {_name(module)} requires password."
    assert log.lines == [requires, refused, *(requires, again) * 2]


def test_passwords_that_name_no_signer_are_not_guessed_with() -> None:
    first, second = CountingModule(b"one"), CountingModule(b"two")
    for signers, tries in (
        ([first, second], given(b"one")),
        ([first], given(b"one", b"two")),
        ([first], PasswordChoice(GivenPasswords((GivenPassword(b"one"),)), places=2)),
    ):
        log = RememberingLog()
        unlock_all(signers, tries, log)
        hint = f"warning: {_name(signers[0])} has no given password of its own"
        assert log.lines[1].startswith(hint), log.lines
    assert first.tried == second.tried == []


def test_signer_that_no_line_names_is_logged() -> None:
    module, log = CountingModule(b"pass=word"), RememberingLog()
    unlock_all([module], given(b"pass=word"), log)
    assert module.tried == []
    assert log.lines[1:] == [f"info: {_name(module)} has no given password: all of them name other signers."]
    unlock_all([module], given(b"=pass=word"), log)
    assert module.ready


def test_a_password_that_opened_one_signer_is_not_tried_on_a_module() -> None:
    file, module, open_module = MemorySigner(password=b"one"), CountingModule(b"two"), CountingModule(None)
    log = RememberingLog()
    unlock_all([file, open_module, module], given(b"one"), log)
    assert file.ready
    assert module.tried == []


@pytest.mark.parametrize("turn", [1, -1], ids=["named first", "named last"])
def test_the_password_of_a_named_module_leaves_another_to_the_only_one_that_is_left(turn: int) -> None:
    first, second = CountingModule(b"one"), CountingModule(b"two")
    unlock_all([first, second][::turn], given(first.serial.hex().encode() + b"=one", b"two"), RememberingLog())
    assert (first.tried, second.tried) == ([b"one"], [b"two"])


def test_a_signer_on_files_that_waits_leaves_a_password_to_the_only_module() -> None:
    module, file = CountingModule(b"one"), MemorySigner(password=b"two")
    unlock_all([module, file], given(b"one"), RememberingLog())
    assert module.tried == [b"one"]


def test_a_password_that_was_wrong_at_one_module_is_not_guessed_with_at_the_next() -> None:
    first, second, tries = CountingModule(b"one"), CountingModule(b"two"), given(b"two")
    unlock_all([first], tries, RememberingLog())
    unlock_all([second], tries, RememberingLog())
    assert (first.tried, second.tried) == ([b"two"], [])


@pytest.mark.parametrize(
    ("lines", "undecided", "for_others"),
    [
        ((), False, False),
        ((b"%s=one",), False, False),
        ((b"other=one",), False, True),
        ((b"%s=one", b"other=two"), False, False),
        ((b"one",), True, False),
        ((b"other=one", b"=two"), True, False),
        ((b"%s=one", b"=two"), False, False),
    ],
)
def test_why_a_signer_waits_follows_from_what_names_it(
    lines: tuple[bytes, ...], undecided: bool, for_others: bool
) -> None:
    module = CountingModule(b"right")
    tries = given(*(line.replace(b"%s", module.serial.hex().encode()) for line in lines))
    assert (tries.undecided(module), tries.for_others(module)) == (undecided, for_others)


def test_a_right_password_is_used_again_after_a_replug_until_it_is_refused_once() -> None:
    module = CountingModule(b"one")
    tries, log = given(b"one"), RememberingLog()
    for password in (b"one", b"one", b"changed meanwhile", b"one"):
        module.ready, module._password = False, password
        unlock_all([module], tries, log)
    assert module.tried == [b"one"] * 3
    assert not module.ready


def test_try_with_unknown_result_is_not_repeated() -> None:
    module = CountingModule(b"one")
    module.fault = TransportError("The line went dead.")
    tries = given(b"one")
    with pytest.raises(TransportError):
        unlock_all([module], tries, RememberingLog())
    unlock_all([module], tries, RememberingLog())
    assert module.tried == [b"one"]


def test_accepted_password_is_tried_again_after_an_interrupted_try_until_it_is_refused() -> None:
    module = CountingModule(b"one")
    tries, gone = given(b"one"), TransportError("The line went dead.")
    for fault in (None, gone, gone, None):
        module.ready, module.fault = False, fault
        with nullcontext() if fault is None else pytest.raises(TransportError):
            unlock_all([module], tries, RememberingLog())
    assert module.tried == [b"one"] * 4
    assert module.ready
    module.ready, module._password = False, b"changed meanwhile"
    for _ in range(2):
        unlock_all([module], tries, RememberingLog())
    assert module.tried == [b"one"] * 5
