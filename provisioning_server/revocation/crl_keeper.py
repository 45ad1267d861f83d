"""Keeps the lists of all signers up to date while the server runs: publishes them, and orders the next one in time.

A signer without a quota signs whenever it is due. A module never gets back a signature that it has counted, so it signs
only what an operator asks for, unless `--crl-from-quota` allows it; until then the log says what is due and its cost.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from atcaprov.errors import AtcaProvError
from atcaprov.log import Log
from atcaprov.program.console_text import counted
from provisioning_server.ledger.administration import CrlIssued
from provisioning_server.ledger.store import Ledger
from provisioning_server.log_names import label
from provisioning_server.rejections import moment
from provisioning_server.revocation.crl import require_crl_sign
from provisioning_server.revocation.crl_state import CrlDue, CrlState, crl_state
from provisioning_server.revocation.published_crls import PublishedCrls
from provisioning_server.revocation.schedule import QUOTA_PAUSE, lists_per_year
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.signers.signer import Signer

LOOK_SECONDS: Final = 1.0
COMPARE: Final = timedelta(seconds=30)
"""Between two comparisons of lists and revocations when neither the ledger nor the signers have changed."""
RETRY: Final = timedelta(minutes=1)
"""After a list that could not be signed."""
OrderCrl = Callable[[bytes], Awaitable[CrlIssued]]
"""Let the signer with this serial number sign its next list; raises AtcaProvError."""


class CrlKeeper:
    """Looks again and again. `order` signs; lists are valid for `validity`."""

    def __init__(
        self,
        signers: SignerRegistry,
        ledger: Ledger,
        published: PublishedCrls,
        order: OrderCrl,
        log: Log,
        now: Callable[[], datetime],
        *,
        validity: timedelta,
        from_quota: bool,
    ) -> None:
        self._signers = signers
        self._ledger = ledger
        self._published = published
        self._order = order
        self._log = log
        self._now = now
        self._validity = validity
        self._from_quota = from_quota
        self._publishing = threading.Lock()
        self._published_to = -2
        self._seen: tuple[object, ...] = ()
        self._compare_at = now()
        self._not_before: dict[bytes, datetime] = {}
        self._said: dict[bytes, object] = {}
        self._costs_said: set[bytes] = set()
        self._due: dict[bytes, str] = {}
        self._unsigned: dict[bytes, str] = {}
        self._failed = ""

    @property
    def warnings(self) -> list[str]:
        """Which lists are due and not signed, for people; may be asked by any thread."""
        return [*([self._failed] if self._failed else []), *(self._due | self._unsigned).values()]

    async def run(self) -> None:
        """Look again and again; a ledger that has failed is not looked at any more."""
        while not self._ledger.failed:
            try:
                await self.look()
                self._failed = ""
            except (AtcaProvError, OSError) as error:
                self._failed = f"Lists of revoked certificates are not kept up to date: {error}"
                self._log.error(self._failed)
                await asyncio.sleep(RETRY.total_seconds())
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Publish what is new, and order what is due; raises AtcaProvError as the ledger, OSError of the files."""
        for signer in await asyncio.to_thread(self._look):
            await self._try(signer)

    def _look(self) -> list[Signer]:
        """Publish, warn, and return the signers that are to sign; without a change all is compared now and then."""
        self.publish_new()
        here = [each for each in self._signers if self._signers.usable(each) and _may_sign(each)]
        seen = (self._published_to, *(signer.serial for signer in here))
        if seen == self._seen and self._now() < self._compare_at:
            return []
        self._seen, self._compare_at = seen, self._now() + COMPARE
        ordered, due = [], dict[bytes, str]()
        for signer in here:
            self._say_cost(signer)
            state = crl_state(self._ledger, signer.serial, self._now())
            if state.due is CrlDue.NO:
                self._said.pop(signer.serial, None)
                self._unsigned.pop(signer.serial, None)
            elif self._may_order(signer, state):
                ordered.append(signer)
            else:
                self._say_due(signer, state, due)
        self._say_away({signer.serial for signer in here}, due)
        self._due = due
        return ordered

    def publish_new(self) -> None:
        """Publish the newest list of each signer, also those that another server has signed; from any thread.

        Raises AtcaProvError as the ledger, OSError of the files.
        """
        with self._publishing:
            newest = self._ledger.administered.newest()
            if newest != self._published_to:
                for issued in self._ledger.administered.newest_crls():
                    self._published.publish(issued.signer_serial, issued.crl)
                self._published_to = newest

    def _may_order(self, signer: Signer, state: CrlState) -> bool:
        now = self._now()
        if now < self._not_before.get(signer.serial, now):
            return False
        if signer.remaining is None:
            return True
        if not self._from_quota:
            return False
        return state.newest is None or now >= state.newest.this_update + QUOTA_PAUSE

    async def _try(self, signer: Signer) -> None:
        try:
            await self._order(signer.serial)
        except AtcaProvError as error:  # the log has said why
            self._not_before[signer.serial] = self._now() + RETRY
            name = label(signer.serial, signer.name)
            self._unsigned[signer.serial] = f"{name}: its next list of revoked certificates cannot be signed: {error}"
        else:
            self._not_before.pop(signer.serial, None)
            self._unsigned.pop(signer.serial, None)

    def _say_cost(self, signer: Signer) -> None:
        """Say once what lists cost a signer with a quota that signs them by itself."""
        if signer.remaining is None or not self._from_quota or signer.serial in self._costs_said:
            return
        self._costs_said.add(signer.serial)
        self._log.info(
            f"{label(signer.serial, signer.name)} uses about {counted(lists_per_year(self._validity), 'signature')} of"
            f" its quota a year for lists of revoked certificates, and at most one an hour for revocations. It has"
            f" {signer.remaining} left."
        )

    def _say_due(self, signer: Signer, state: CrlState, due: dict[bytes, str]) -> None:
        """Warn once of a list that a signer with a quota does not sign by itself."""
        if signer.remaining is None or self._from_quota:
            return
        cost = f"It uses 1 of {signer.remaining} signatures."
        self._warn(signer.serial, label(signer.serial, signer.name), state, cost, due)

    def _say_away(self, here: set[bytes], due: dict[bytes, str]) -> None:
        """Warn once of lists that end while their signer is not there to sign the next one."""
        for issued in self._ledger.administered.newest_crls():
            if issued.signer_serial not in here:
                state = crl_state(self._ledger, issued.signer_serial, self._now())
                name = f"Signer {issued.signer_serial.hex().upper()}"
                self._warn(issued.signer_serial, name, state, "The signer must be connected and unlocked.", due)

    def _warn(self, serial: bytes, name: str, state: CrlState, more: str, due: dict[bytes, str]) -> None:
        if state.due is CrlDue.NO:
            return
        due[serial] = f"{name}: {due_text(state)}. 'provisioning-server crl publish' signs the next one. {more}"
        said = (state.due, None if state.newest is None else state.newest.number)
        if self._said.get(serial) != said:
            self._said[serial] = said
            self._log.warning(due[serial])


def due_text(state: CrlState) -> str:
    """Return why the next list of a signer is due, for people."""
    until = "" if state.newest is None else moment(state.newest.next_update)
    return {
        CrlDue.NO: f"its list of revoked certificates is valid until {until}",
        CrlDue.RENEWAL: f"its list of revoked certificates ends on {until}",
        CrlDue.EXPIRED: f"its list of revoked certificates has ended on {until}",
        CrlDue.REVOCATION: "revoked certificates are on no list",
    }[state.due]


def _may_sign(signer: Signer) -> bool:
    try:
        require_crl_sign(signer.documents.signer_certificate)
    except AtcaProvError:
        return False
    return True
