from __future__ import annotations

import asyncio
import threading

from atcaprov import Code, TransportError, UsageError
from atcaprov.terminal.keys import Key, KeyPress
from provisioning_server import rejections
from provisioning_server.log_names import label
from provisioning_server.passwords.console_prompt import PasswordPrompt
from provisioning_server.passwords.unlock_service import Outcome, UnlockAttempt, UnlockService
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.signers.signer import Signer
from tests.support.in_memory_signer import MemorySigner
from tests.support.server_parts import RememberingLog


class FakeTime:
    """A clock that only pauses move."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def clock(self) -> float:
        return self.now


class HeldSigner(MemorySigner):
    """Takes long to try a password: until it is told to go on."""

    def __init__(self) -> None:
        super().__init__(password=b"right")
        self.trying, self.go_on = threading.Event(), threading.Event()
        self.at_once = 0
        self.most_at_once = 0

    def unlock(self, password: bytes | None) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.trying.set()
        assert self.go_on.wait(60)
        self.at_once -= 1
        super().unlock(password)


def outcomes(attempts: list[UnlockAttempt]) -> list[Outcome]:
    return [attempt.outcome for attempt in attempts]


def test_passwords_from_two_places_are_tried_one_after_the_other() -> None:
    async def run() -> list[UnlockAttempt]:
        unlock_service = UnlockService(
            registry, RememberingLog(), settled=lambda _: None, pause=time.pause, clock=time.clock
        )
        attempts = [asyncio.create_task(unlock_service.attempt(signer, each)) for each in (b"wrong", b"right", b"late")]
        while not signer.trying.is_set() and not any(attempt.done() for attempt in attempts):
            await asyncio.sleep(0)
        busy = unlock_service.busy(signer)
        signer.go_on.set()  # before any assert: the thread that tries would be waited for
        assert busy
        return await asyncio.gather(*attempts)

    signer, time = HeldSigner(), FakeTime()
    registry = SignerRegistry([signer])
    assert outcomes(asyncio.run(run())) == [Outcome.WRONG, Outcome.ACCEPTED, Outcome.NOT_WAITING]
    assert signer.most_at_once == 1
    assert time.pauses == [1.0]


def test_reconnecting_a_module_does_not_shorten_the_pause() -> None:
    async def run() -> list[UnlockAttempt]:
        unlock_service = UnlockService(registry, RememberingLog(), pause=time.pause, clock=time.clock)
        attempts = [await unlock_service.attempt(signer, b"wrong") for _ in range(3)]
        assert unlock_service.wrong(signer) == 3
        assert unlock_service.seconds_left(signer) == 4.0
        registry.remove(signer)
        registry.add(signer)
        return [*attempts, await unlock_service.attempt(signer, b"right")]

    signer, time = MemorySigner(password=b"right"), FakeTime()
    registry = SignerRegistry([signer])
    assert outcomes(asyncio.run(run())) == [Outcome.WRONG] * 3 + [Outcome.ACCEPTED]
    assert time.pauses == [1.0, 2.0, 4.0]


def test_unusable_signer_on_files_is_excluded() -> None:
    class Damaged(MemorySigner):
        def unlock(self, password: bytes | None) -> None:
            raise UsageError("The key file is damaged.", code=Code.KEY_FILE_INVALID)

    signer = Damaged(password=b"any")
    registry = SignerRegistry([signer])
    settled: list[Signer] = []
    attempt = asyncio.run(UnlockService(registry, RememberingLog(), settled.append).attempt(signer, b"any"))
    assert attempt.outcome is Outcome.UNUSABLE
    assert settled == [signer]
    assert registry.waiting() == []
    assert [entry.reason for entry in registry.entries()] == ["The key file is damaged."]


def test_unplugged_module_is_removed() -> None:
    class Gone(MemorySigner):
        slow = True

        def unlock(self, password: bytes | None) -> None:
            raise TransportError("The module was unplugged.")

    signer = Gone(password=b"any")
    registry = SignerRegistry([signer])
    attempt = asyncio.run(UnlockService(registry, RememberingLog()).attempt(signer, b"any"))
    assert attempt.outcome is Outcome.UNUSABLE
    assert list(registry) == []


def test_console_prompt_closes_when_the_password_came_from_elsewhere() -> None:
    async def run() -> RememberingLog:
        log = RememberingLog()
        unlock_service = UnlockService(registry, log, lambda _: prompt.signers_changed())
        prompt = PasswordPrompt(registry, log, unlock_service)
        task = asyncio.create_task(prompt.run())
        while not log.prompts:
            await asyncio.sleep(0)
        prompt.press(KeyPress(Key.TEXT, "half of a pass"))
        assert (await unlock_service.attempt(first, b"one")).outcome is Outcome.ACCEPTED
        while len(log.prompts) < 3:
            await asyncio.sleep(0)
        prompt.press(KeyPress(Key.ENTER))  # input that was begun for the other signer is not an answer
        while len(log.prompts) < 5:
            await asyncio.sleep(0)
        for press in (KeyPress(Key.TEXT, "two"), KeyPress(Key.ENTER)):
            prompt.press(press)
        await task
        return log

    first, second = MemorySigner(password=b"one"), MemorySigner(password=b"two")
    registry = SignerRegistry([first, second])
    log = asyncio.run(run())
    asked = [f"{label(each.serial, each.name)} password: " for each in (first, second)]
    assert log.prompts == [asked[0], "answered", asked[1], "answered", asked[1], "answered"]
    assert registry.waiting() == []


def test_any_exception_excludes_that_signer_only_and_is_not_quoted() -> None:
    class Faulty(MemorySigner):
        slow = True

        def unlock(self, password: bytes | None) -> None:
            raise ValueError(f"memory limit exceeded for {password!r}")

    signer, log = Faulty(password=b"geheim"), RememberingLog()
    registry = SignerRegistry([signer])
    attempt = asyncio.run(UnlockService(registry, log).attempt(signer, b"geheim"))
    assert attempt.outcome is Outcome.UNUSABLE
    assert registry.choose(signer.documents.signer_public_key) == rejections.SIGNER_QUARANTINED
    assert "ValueError" in log.lines[0]
    assert "geheim" not in str(log.lines) + str(attempt.error)


class Costly(MemorySigner):
    """A module whose password takes more memory than there is, until there is enough."""

    slow = True
    enough = False

    def unlock(self, password: bytes | None) -> None:
        if not self.enough:
            raise UsageError("That takes 128 MiB of memory.", advice="Close programs.", code=Code.PASSWORD_MEMORY)
        super().unlock(password)


def test_module_without_memory_for_its_password_still_waits() -> None:
    async def run() -> None:
        unlock_service = UnlockService(registry, log, settled.append)
        attempt = await unlock_service.attempt(signer, b"right")
        assert attempt.outcome is Outcome.UNTRIED
        assert (registry.waiting(), settled) == ([signer], [])
        assert unlock_service.untried(signer) == "That takes 128 MiB of memory. Close programs."
        assert (unlock_service.wrong(signer), unlock_service.seconds_left(signer)) == (0, 0)
        signer.enough = True
        assert (await unlock_service.attempt(signer, b"right")).outcome is Outcome.ACCEPTED
        assert unlock_service.untried(signer) == ""

    signer, log = Costly(password=b"right"), RememberingLog()
    registry = SignerRegistry([signer])
    settled: list[Signer] = []
    asyncio.run(run())
    assert settled == [signer]
    name = label(signer.serial, signer.name)
    assert log.lines[0] == (
        f"warning: {name} still waits for its password: That takes 128 MiB of memory. Close programs."
    )


def test_the_console_asks_for_the_others_first_when_a_password_could_not_be_tried() -> None:
    async def run() -> list[str]:
        prompt = PasswordPrompt(registry, log, UnlockService(registry, log))
        task = asyncio.create_task(prompt.run())
        for number, typed in enumerate(["one", "two", "", "one", "two", "one"]):
            while len(log.prompts) <= 2 * number:
                await asyncio.sleep(0)
            if number == 4:
                first.enough = second.enough = True
            for press in [KeyPress(Key.TEXT, typed), KeyPress(Key.ENTER)][not typed :]:
                prompt.press(press)
        await task
        return log.prompts[::2]

    first, second = Costly(password=b"one"), Costly(password=b"two")
    registry, log = SignerRegistry([first, second]), RememberingLog()
    asked = [f"{label(each.serial, each.name)} password: " for each in (first, second)]
    assert asyncio.run(run()) == [asked[0], asked[1], asked[0], asked[0], asked[1], asked[0]]
    assert registry.waiting() == []
