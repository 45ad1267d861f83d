"""What is in progress and not replied yet: the chips that are being certified, and what a step is going to write."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from provisioning_server.guide_files.issued_entries import IssuedEntry
from provisioning_server.issuing.report_rules import AcceptedReport, BatchReports
from provisioning_server.issuing.requests import Administration, Application, ClientRequest, Delivery, Reply
from provisioning_server.ledger.changes import Changes, Event, GivenChallenge, Intent
from provisioning_server.ledger.store import Committed, Known, Ledger, TreeHead, holder_of_unit
from provisioning_server.records.signer_documents import SignerDocuments

Written = Callable[[int, TreeHead], None]
"""Called with the index of an entry and the head of the log when the entry is on the disk."""


def _nothing(_: int, __: TreeHead) -> None:
    """Follow an entry that no one waits for."""


def _ignored() -> None:
    """Follow an entry that the ledger has already."""


class InProgress:
    """The applications of each chip: the one that is being signed, then those that wait behind it."""

    def __init__(self) -> None:
        self._of_chip: dict[bytes, list[Application]] = {}
        self._chip_of: dict[bytes, bytes] = {}
        self._chip_of_unit: dict[tuple[str, str], bytes] = {}

    def __contains__(self, chip_serial: bytes) -> bool:
        return chip_serial in self._of_chip

    def __iter__(self) -> Iterator[Application]:
        return iter([each for waiting in self._of_chip.values() for each in waiting])

    def begin(self, application: Application) -> None:
        """Begin with a chip of which no other application is in progress."""
        assert application.chip_serial not in self._of_chip
        self._of_chip[application.chip_serial] = [application]
        self._chip_of[application.request.public_key] = application.chip_serial
        if application.request.unit:
            self._chip_of_unit[_unit(application)] = application.chip_serial

    def wait(self, application: Application) -> None:
        """Add an application behind all others of its chip."""
        self._of_chip[application.chip_serial].append(application)

    def first(self, chip_serial: bytes) -> Application | None:
        """Return the application that is being signed."""
        waiting = self._of_chip.get(chip_serial)
        return waiting[0] if waiting else None

    def end(self, application: Application) -> list[Application]:
        """Remove an application that was being signed, and return those behind it."""
        first, *behind = self._of_chip.pop(application.chip_serial)
        assert first is application
        del self._chip_of[application.request.public_key]
        self._chip_of_unit.pop(_unit(application), None)
        return behind

    def chip_of(self, public_key: bytes) -> bytes | None:
        """Return the chip that a key (X||Y) is being certified for."""
        return self._chip_of.get(public_key)

    def chip_of_unit(self, product: str | None, unit: str) -> bytes | None:
        """Return the chip that a unit's name is being certified for; `product` None: whatever the product is."""
        return holder_of_unit(self._chip_of_unit, product, unit)


def _unit(application: Application) -> tuple[str, str]:
    return application.request.product, application.request.unit


class Step:
    """Collects what is written at once, and the replies that are due when that is on the disk."""

    def __init__(self, known: Known) -> None:
        """`known` is replaced when it is known which chips and keys the step is about."""
        self.known = known
        self.asked: list[ClientRequest] = []
        """The requests that are decided in it."""
        self.deliveries: list[Delivery] = []
        self.issued: list[IssuedEntry] = []
        """The certificates that were written."""
        self.reports = BatchReports()
        self.accepted: list[tuple[ClientRequest, AcceptedReport]] = []
        """The reports that are acknowledged when the step is written."""
        self.administrations: list[tuple[Administration, list[int | None]]] = []
        """Those that are decided, and the entries of their events as they are written."""
        self._changes = Changes()
        self._events: list[tuple[Written, Callable[[], None]]] = []
        self._challenges: list[Callable[[], None]] = []
        self._intents: list[tuple[Callable[[], None], Callable[[], None]]] = []

    @property
    def empty(self) -> bool:
        """Return whether there is nothing to write."""
        changes = self._changes
        return not (changes.documents or changes.challenges or changes.events or changes.intents)

    def reply(self, asked: ClientRequest, reply: Reply) -> None:
        """Reply to a request at the end of the step."""
        self.deliveries.append((asked.deliver, reply))

    def add_documents(self, documents: SignerDocuments) -> None:
        """Keep a signer's documents, which a record of this step or a later one names."""
        self._changes.documents.append(documents)

    def add_event(self, event: Event, written: Written = _nothing, repeated: Callable[[], None] = _ignored) -> None:
        """Add an entry; `repeated` is called in the place of `written` if the ledger has it already."""
        self._changes.events.append(event)
        self._events.append((written, repeated))

    def add_challenge(self, challenge: GivenChallenge, written: Callable[[], None]) -> None:
        """Add a challenge for a certificate that is sent again."""
        self._changes.challenges.append(challenge)
        self._challenges.append(written)

    def add_intent(self, intent: Intent, opened: Callable[[], None], refused: Callable[[], None]) -> None:
        """Add an intent."""
        self._changes.intents.append(intent)
        self._intents.append((opened, refused))

    def write(self, ledger: Ledger) -> Committed | None:
        """Write all of it durably, and do what follows; None if there is nothing. Raises AtcaProvError."""
        if self.empty:
            return None
        committed = ledger.commit(self._changes)
        index = committed.first_index
        for place, (written, repeated) in enumerate(self._events):
            if place in committed.repeated:
                repeated()
            else:
                written(index, committed.head)
                index += 1
        for given in self._challenges:
            given()
        refusals = {(intent.chip_serial, intent.public_key) for intent in committed.refused}
        for intent, (opened, refused) in zip(self._changes.intents, self._intents, strict=True):
            (refused if (intent.chip_serial, intent.public_key) in refusals else opened)()
        # What follows refers to the step: without this, only the garbage collector would free all that was written.
        self._events, self._challenges, self._intents = [], [], []
        return committed
