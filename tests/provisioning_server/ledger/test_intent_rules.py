"""The rules of intents, against a model: a chip and a key have one open intent, decided on the newest certificate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from provisioning_server.ledger.changes import NO_CERTIFICATE, Event, Intent, Issued
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from tests.provisioning_server.ledger.conftest import Store
from tests.provisioning_server.ledger.events import intent, issued, lost, public_key, step
from tests.support.server_parts import chip_serial

CHIPS = range(3)
KEYS = range(4)
SERVERS = ("0011223344556677", "8899aabbccddeeff")


class Model:
    """What the documentation says, in a few lines."""

    def __init__(self) -> None:
        self.entries: list[Event] = []
        self.open: list[Intent] = []

    def certificates(self, chip: bytes) -> list[int]:
        return [
            index
            for index, entry in enumerate(self.entries)
            if isinstance(entry, Issued) and entry.record.chip_serial == chip
        ]

    def chip_of(self, key: bytes) -> bytes | None:
        records = (entry.record for entry in self.entries if isinstance(entry, Issued))
        return next((record.chip_serial for record in records if record.public_key == key), None)

    def write(self, ended: list[tuple[Intent, Event]], wanted: list[Intent]) -> list[Intent]:
        """Take a step; return the refused intents."""
        for opened, event in ended:
            self.open.remove(opened)
            self.entries.append(event)
        return [each for each in wanted if not self._opened(each)]

    def _opened(self, wanted: Intent) -> bool:
        busy = any(each.chip_serial == wanted.chip_serial or each.public_key == wanted.public_key for each in self.open)
        newest = max(self.certificates(wanted.chip_serial), default=NO_CERTIFICATE)
        foreign = self.chip_of(wanted.public_key) not in (None, wanted.chip_serial)
        if busy or foreign or newest != wanted.last_index:
            return False
        self.open.append(wanted)
        return True


class LedgerMachine(RuleBasedStateMachine):
    """Steps of two servers in any order, with intents that are decided on what was known at any earlier moment."""

    new_store: Callable[[], Store]

    def __init__(self) -> None:
        super().__init__()
        self.store = type(self).new_store()
        self.ledger: SqlLedger = self.store.open()
        self.model = Model()

    def teardown(self) -> None:
        self.ledger.close()

    @rule(
        wanted=st.lists(
            st.tuples(st.sampled_from(CHIPS), st.sampled_from(KEYS), st.sampled_from(SERVERS), st.booleans()),
            max_size=5,
        ),
        ends=st.lists(st.sampled_from(["issued", "lost", "open"]), max_size=4),
    )
    def write(self, wanted: list[tuple[int, int, str, bool]], ends: list[str]) -> None:
        ended = [
            (opened, self._end(opened, end))
            for opened, end in zip(self.model.open, ends, strict=False)
            if end != "open"
        ]
        intents = [self._intent(*each) for each in wanted]
        written = step(self.ledger, *(event for _, event in ended), intents=intents)
        assert written.first_index == len(self.model.entries)
        assert list(written.refused) == self.model.write(ended, intents)

    def _end(self, opened: Intent, end: str) -> Event:
        if end == "lost":
            return lost(opened)
        record = replace(issued(0).record, chip_serial=opened.chip_serial, public_key=opened.public_key)
        return Issued(record, bytes(32))

    def _intent(self, chip: int, key: int, server: str, stale: bool) -> Intent:
        known = self.model.certificates(chip_serial(chip))
        last = known[-1] if known else NO_CERTIFICATE
        return intent(chip, key, last=last - 1 if stale else last, server=server)

    @precondition(lambda self: self.model.entries)
    @rule()
    def restart(self) -> None:
        self.ledger.close()
        self.ledger = self.store.open()

    @invariant()
    def everything_is_as_in_the_model(self) -> None:
        assert list(self.ledger.open_intents()) == self.model.open
        for server in SERVERS:
            assert list(self.ledger.open_intents(server)) == [each for each in self.model.open if each.server == server]
        chips, keys = [chip_serial(each) for each in CHIPS], [public_key(each) for each in KEYS]
        known = self.ledger.known(chips, keys)
        for chip in chips:
            assert [each.index for each in known.of_chip(chip)] == self.model.certificates(chip)
        assert [known.chip_of(key) for key in keys] == [self.model.chip_of(key) for key in keys]


@pytest.mark.slow
def test_intents_are_opened_and_refused_as_in_the_model(new_store: Callable[[], Store]) -> None:
    machine = type("Machine", (LedgerMachine,), {"new_store": staticmethod(new_store)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
