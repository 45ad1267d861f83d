"""The stations of a server: its side of TLS, who is admitted, and how a station gets its certificate."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from atcaprov.errors import AtcaProvError, Code, ServerRejected
from atcaprov.log import Log
from atcaprov.wire.enrolment_token import token_hash
from atcaprov.wire.messages import EnrolReply, EnrolRequest, ErrorReply
from provisioning_server.ledger.administer import Decide, Written
from provisioning_server.ledger.administration import StationAdmitted
from provisioning_server.ledger.store import Ledger, Station
from provisioning_server.rejections import rejection
from provisioning_server.stations.admission import Admission
from provisioning_server.stations.server_tls import ServerTls
from provisioning_server.stations.station_rules import Admitting, requested_key

Administer = Callable[[Decide, Callable[[Written, AtcaProvError | None], None]], None]
"""Decide and write in the next step; the entries of the events, or the error, come on the event loop."""
_TRIES: Final = 3
"""Another server on the ledger may use the same token at the same moment, and be faster."""
_OTHER_SERVER: Final = ServerRejected(
    "Another server of the ledger decides on this station at the same moment. Try again.", code=Code.SERVER_BUSY
)
Deliver = Callable[[EnrolReply | ErrorReply], None]


class StationAuthority:
    """Decides on connections and enrolments. Used on the event loop; `admission` may be asked from any thread."""

    def __init__(
        self,
        tls: ServerTls,
        ledger: Ledger,
        administer: Administer,
        clock: Callable[[], datetime],
        log: Log,
        admission: Admission,
    ) -> None:
        """Read the table of stations; raises AtcaProvError. `administer` writes to the ledger."""
        self.tls = tls
        self.admission = admission
        self.changed: Callable[[], None] = lambda: None
        """Called when the table was read again."""
        self._ledger = ledger
        self._administer = administer
        self._clock = clock
        self._log = log
        self._seen = -1
        self._trouble = ""
        self._apply(self._read())

    def context(self) -> ssl.SSLContext:
        """Return the TLS context of a new connection."""
        return self.tls.context()

    def admit(self, certificate: bytes) -> str | ErrorReply:
        """Return the name of the station with a certificate, or why it may not ask."""
        return self.admission.admit(certificate)

    def refresh(self) -> None:
        """Read the table again, if the ledger has news."""
        try:
            self._apply(self._read())
        except AtcaProvError as error:
            self._log.warning(f"The table of stations cannot be read: {error}")

    async def look(self) -> None:
        """Read the table again, if other servers on the ledger have changed it; a failure is logged once."""
        try:
            self._apply(await asyncio.to_thread(self._read))
            self._trouble = ""
        except AtcaProvError as error:
            if str(error) != self._trouble:
                self._log.warning(f"The table of stations cannot be read: {error}")
            self._trouble = str(error)

    def _read(self) -> tuple[int, Sequence[Station]] | None:
        """Return the table with its newest entry, if there is a newer one; from any thread. Raises AtcaProvError."""
        newest = self._ledger.administered.newest()
        return None if newest == self._seen else (newest, self._ledger.administered.stations())

    def _apply(self, table: tuple[int, Sequence[Station]] | None) -> None:
        if table is not None and table[0] > self._seen:
            self._seen, stations = table
            self.admission.update(stations)
            self.changed()

    def enrol(self, request: EnrolRequest, station: str, client: str, deliver: Deliver) -> None:
        """Answer an enrolment; `station` is who asks, as its connection shows; empty if it shows no one."""
        if not request.certification_request:
            deliver(EnrolReply(self.tls.ca.certificate))
            return
        try:
            key = requested_key(request.certification_request)
        except AtcaProvError as error:
            self._refuse(error, client, deliver)
            return
        self._admit(request, Admitting(self.tls.ca, key, self._clock(), client), station, client, deliver, _TRIES)

    def _admit(
        self,
        request: EnrolRequest,
        admitting: Admitting,
        station: str,
        client: str,
        deliver: Deliver,
        tries: int,
    ) -> None:
        def decide(ledger: Ledger) -> Sequence[StationAdmitted]:
            if request.token:
                return admitting.with_token(ledger.administered, token_hash(request.token))
            return admitting.renewed(ledger.administered, station)

        def done(written: Written, error: AtcaProvError | None) -> None:
            if error is not None:
                self._refuse(error, client, deliver)
            elif None in written and tries > 1:
                self._admit(request, admitting, station, client, deliver, tries - 1)
            elif None in written:  # a certificate that the ledger does not have admits no one
                self._refuse(_OTHER_SERVER, client, deliver)
            else:
                self._give(admitting, client, deliver)

        self._administer(decide, done)

    def _give(self, admitting: Admitting, client: str, deliver: Deliver) -> None:
        self.refresh()
        self._log.info(f"Station {admitting.station} has its certificate, asked for by {client}.")
        deliver(EnrolReply(self.tls.ca.certificate, admitting.certificate, admitting.station))

    def _refuse(self, error: AtcaProvError, client: str, deliver: Deliver) -> None:
        self._log.warning(f"Enrolment refused, {error.code}, by {client}: {error.what}")
        deliver(rejection(error))
