"""What the page shows of a signer in each of its states."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from atcaprov import Code, UsageError
from atcaprov.wire.messages import ErrorReply
from provisioning_server import rejections
from provisioning_server.ledger.store import SignerTally
from provisioning_server.passwords.unlock_service import UnlockService
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.web.live_updates import LiveSigners, snapshot, summary
from provisioning_server.web.views import SignerOverview, SignerState, SignerView
from tests.support.in_memory_signer import MemorySigner
from tests.support.server_parts import RememberingLog, chip_serial


class Module(MemorySigner):
    """A signer that can be unplugged, with a quota."""

    slow = True

    def __init__(self, remaining: int | None = None, password: bytes | None = None) -> None:
        super().__init__(password=password)
        self.remaining = remaining


class Bench:
    """Signers, and the overview of them."""

    def __init__(self, *signers: MemorySigner) -> None:
        self.registry = SignerRegistry(signers)
        self.tallies: dict[bytes, SignerTally] = {}
        self.unusable: dict[str, str] = {}
        self.now = 100.0
        self.unlock_service = UnlockService(self.registry, RememberingLog(), clock=lambda: self.now)
        self.trouble: ErrorReply | None = None
        self.overdue = ""
        self.overview = SignerOverview(
            self.registry,
            self.unlock_service,
            self.tallies.get,
            lambda: self.unusable,
            lambda _: self.trouble,
            lambda: self.overdue,
        )

    def view(self) -> SignerView:
        """Look at the only signer."""
        (view,) = self.overview.views()
        return view


def test_late_proofs_have_a_yellow_card_that_is_no_signer() -> None:
    bench = Bench(MemorySigner())
    assert summary(bench.overview.views()) == "1 of 1 ready"
    bench.overdue = "2 certificates are not proven after 1d."
    signer, proofs = bench.overview.views()
    assert (proofs.state, proofs.headline) == (SignerState.LOW, "Not proven in time")
    assert proofs.detail == f"{bench.overdue} 'provisioning-server ledger unproven' lists them."
    assert summary([signer, proofs]) == "1 of 1 ready"
    assert bench.overview.signer(proofs.key) is None


def test_identity_is_shown() -> None:
    signer = MemorySigner()
    view = Bench(signer).view()
    assert (view.name, view.serial, view.signer_id) == (signer.name, signer.serial.hex().upper(), "0034")
    assert Bench(signer).overview.signer(view.key) is signer
    assert Bench(MemorySigner()).overview.signer(view.key) is None


@pytest.mark.parametrize(
    ("remaining", "state", "shown"),
    [
        (None, SignerState.READY, ""),
        (1001, SignerState.READY, "1,001"),
        (1000, SignerState.LOW, "1,000"),
        (1, SignerState.LOW, "1"),
        (0, SignerState.USED_UP, "0"),
    ],
)
def test_low_quota_is_shown_early(remaining: int | None, state: SignerState, shown: str) -> None:
    view = Bench(Module(remaining)).view()
    assert (view.state, view.remaining) == (state, shown)


def test_a_signer_that_waits_says_how_it_went_and_when_to_try_again() -> None:
    signer = MemorySigner(password=b"right")
    bench = Bench(signer)
    assert (bench.view().state, bench.view().detail, bench.view().wait) == (SignerState.WAITING, "", "")
    asyncio.run(bench.unlock_service.attempt(signer, b"wrong"))
    assert bench.view().detail.startswith("The password is wrong. ")
    assert bench.view().wait == "Next try in 1 s."
    bench.now += 1
    asyncio.run(bench.unlock_service.attempt(signer, b"wrong"))
    assert "2 times in a row" in bench.view().detail
    bench.now += 0.5
    assert bench.view().wait == "Next try in 2 s."
    bench.now += 1.5
    assert bench.view().wait == ""
    asyncio.run(bench.unlock_service.attempt(signer, b"right"))
    assert (bench.view().state, bench.view().detail) == (SignerState.READY, "")


def test_a_signer_says_why_its_password_could_not_be_tried() -> None:
    class Costly(MemorySigner):
        def unlock(self, password: bytes | None) -> None:
            raise UsageError("That takes 128 MiB of memory.", code=Code.PASSWORD_MEMORY)

    signer = Costly(password=b"right")
    bench = Bench(signer)
    asyncio.run(bench.unlock_service.attempt(signer, b"right"))
    assert (bench.view().state, bench.view().detail) == (SignerState.WAITING, "That takes 128 MiB of memory.")


@pytest.mark.parametrize("signer", [Module, MemorySigner])
def test_a_signer_out_of_use_says_why_and_what_to_do(signer: Callable[[], MemorySigner]) -> None:
    made = signer()
    bench = Bench(made)
    bench.registry.exclude(made, rejections.SIGNER_QUARANTINED, "It signed something else.")
    assert bench.view().state is SignerState.QUARANTINED
    assert bench.view().detail.startswith("It signed something else. ")
    assert ("plug it in" in bench.view().detail) == made.slow


def test_a_signer_that_is_ready_and_issues_nothing_says_why() -> None:
    bench = Bench(MemorySigner())
    bench.trouble = rejections.server_clock(datetime(1970, 1, 1, tzinfo=UTC), "its newest record is newer")
    assert (bench.view().state, bench.view().headline) == (SignerState.QUARANTINED, "Issues nothing")
    assert "clock says 1970-01-01 00:00 UTC, but its newest record is newer" in bench.view().detail
    bench.trouble = None
    assert bench.view().state is SignerState.READY


def test_used_up_quota_is_not_an_error() -> None:
    module = Module(0)
    bench = Bench(module)
    bench.registry.exclude(module, rejections.QUOTA_USED_UP)
    assert bench.view().state is SignerState.USED_UP


def test_a_signer_that_left_stays_in_its_place_until_it_is_back() -> None:
    first, second = Module(5), Module(7)
    bench = Bench(first, second)
    before = bench.overview.views()
    bench.registry.remove(first)
    gone = bench.overview.views()
    assert [view.key for view in gone] == [view.key for view in before]
    assert [view.state for view in gone] == [SignerState.UNPLUGGED, SignerState.LOW]
    assert gone[0].remaining == ""
    bench.registry.add(first)
    assert bench.overview.views() == before


def test_unusable_signer_is_shown_with_its_url() -> None:
    bench = Bench()
    bench.unusable["kit-hid:///dev/hidraw3"] = "It is damaged."
    view = bench.view()
    assert (view.name, view.state) == ("kit-hid:///dev/hidraw3", SignerState.QUARANTINED)
    assert view.detail.startswith("It is damaged. ")
    bench.unusable.clear()
    assert bench.overview.views() == []


def test_unprintable_characters_are_shown_as_question_marks() -> None:
    """A file may have a name that is not UTF-8, and its error then quotes it."""
    bench = Bench(signer := Module())
    signer.name = "A\u202eB\x1b[31m"
    bench.registry.exclude(signer, rejections.SIGNER_QUARANTINED, "\udcff is damaged.")
    bench.unusable["emulator:\udcff.json"] = "\udcff.json is damaged."
    views = bench.overview.views()
    assert [view.name for view in views] == ["A?B?[31m", "emulator:?.json"]
    assert [view.detail.partition(".")[0] for view in views] == ["? is damaged", "?"]
    json.dumps(snapshot(views), ensure_ascii=False).encode()


def test_what_was_issued_is_shown() -> None:
    signer = MemorySigner()
    bench = Bench(signer)
    bench.tallies[signer.serial] = SignerTally(
        1234, 0, 0, 0, chip_serial(9), datetime(2026, 11, 21, 10, 30, 15, tzinfo=UTC)
    )
    assert bench.view().issued == "1,234"
    assert bench.view().last == "0123000000000009EE, 2026-11-21 10:30:15 UTC"


def test_summary_of_all_signers() -> None:
    assert summary([]) == "No signers"
    views = [
        SignerView(state=state)
        for state in (SignerState.READY, SignerState.LOW, SignerState.USED_UP, SignerState.WAITING)
    ]
    assert summary(views) == "2 of 4 ready, 1 waits for its password"
    assert snapshot(views)["waiting"] == 1
    assert summary(views[3:] * 2) == "0 of 2 ready, 2 wait for their passwords"
    assert summary(views[:1]) == "1 of 1 ready"


def test_events_come_with_changes_and_end_with_the_stream() -> None:
    async def run() -> list[str]:
        live = LiveSigners(bench.overview.views)
        told: list[str] = []
        async for event in live.events(lambda: len(told) < 2):
            told.append(event)
            live.look()  # nothing new
            if len(told) == 1:
                bench.registry.remove(signer)
                asyncio.get_running_loop().call_soon(live.look)
        return told

    signer = Module()
    bench = Bench(signer)
    first, second = asyncio.run(run())
    assert first.startswith("id: 1\nevent: signers\ndata: {")
    assert first.endswith("}\n\n")
    assert first.count("\n") == 4
    assert '"unplugged"' in second
