"""What the page shows of each signer: its state, and what to do."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final, NamedTuple

from atcaprov.errors import Code
from atcaprov.terminal.printable import printable
from atcaprov.wire.messages import ErrorReply
from provisioning_server.ledger.store import SignerTally
from provisioning_server.passwords.unlock_service import UnlockService
from provisioning_server.records.signer_documents import SignerDocuments
from provisioning_server.signers.hsm import HsmSigner
from provisioning_server.signers.registry import RegistryEntry, SignerRegistry
from provisioning_server.signers.signer import Signer
from provisioning_server.signers.software import SoftwareSigner

_AGAIN: Final = "Unplug it, wait two seconds, plug it in. If it happens again, replace it."

PROOFS_KEY: Final = "proofs"
"""The card of what is not a signer: certificates that are not proven in time."""
_TRIES_LEFT: Final = {
    "Key file": "You can try as often as you like, after longer and longer pauses.",
    "Module": "The module counts wrong tries. You can try as often as you like, after longer and longer pauses.",
    "HSM": "After a few wrong tries an HSM locks its PIN: be sure before you try again.",
}


class SignerState(enum.StrEnum):
    """The states of a signer; each has its own colour and sign on the page."""

    WAITING = "waiting"
    READY = "ready"
    LOW = "low"
    USED_UP = "used-up"
    QUARANTINED = "quarantined"
    UNPLUGGED = "unplugged"


@dataclass(frozen=True, slots=True)
class SignerView:
    """A signer as printable texts. `key` identifies it in URLs; an empty text is not shown."""

    key: str = ""
    name: str = ""
    kind: str = ""
    serial: str = ""
    signer_id: str = ""
    state: SignerState = SignerState.UNPLUGGED
    headline: str = ""
    detail: str = ""
    wait: str = ""
    """Why no password can be given now."""
    remaining: str = ""
    issued: str = ""
    last: str = ""


class QuotaLeft(NamedTuple):
    """What is left of the quota of a signer. `key` is that of its card, `serial` 9 bytes."""

    key: str
    name: str
    serial: bytes
    remaining: int


class SignerOverview:
    """Collects what the page shows of the signers, and remembers unplugged ones. Its methods run on the event loop."""

    def __init__(
        self,
        registry: SignerRegistry,
        unlock_service: UnlockService,
        tally: Callable[[bytes], SignerTally | None],
        unusable: Callable[[], Mapping[str, str]] = dict,
        trouble: Callable[[SignerDocuments], ErrorReply | None] = lambda _: None,
        overdue_proofs: Callable[[], str] = str,
    ) -> None:
        """`trouble` says why a signer issues nothing although it is ready, such as a wrong clock.

        `overdue_proofs` says which certificates are not proven in time; nothing if all are.
        """
        self._registry = registry
        self._unlock_service = unlock_service
        self._tally = tally
        self._unusable = unusable
        self._trouble = trouble
        self._overdue_proofs = overdue_proofs
        self._known: dict[str, SignerView] = {}  # in the order in which they came first, so that none jumps

    def views(self) -> list[SignerView]:
        """Return the cards: signers in the order in which they came, devices that cannot be used, late proofs."""
        here = {view.key: view for view in map(self._view, self._registry.entries())}
        gone = {key: _unplugged(view) for key, view in self._known.items() if key not in here}
        self._known = {key: (here | gone)[key] for key in dict.fromkeys((*self._known, *here))}
        unusable = (_unusable_view(url, why) for url, why in self._unusable().items())
        overdue = self._overdue_proofs()
        return [*self._known.values(), *unusable, *([_proofs_view(overdue)] if overdue else [])]

    def signer(self, key: str) -> Signer | None:
        """Return the signer of a view, if it is connected."""
        return next((each for each in self._registry if _key(each) == key), None)

    def quotas(self) -> list[QuotaLeft]:
        """Return what is left of the quotas of connected signers that have one."""
        return [
            QuotaLeft(_key(each), printable(each.name), each.serial, each.remaining)
            for each in self._registry
            if each.remaining is not None
        ]

    def _view(self, entry: RegistryEntry) -> SignerView:
        signer = entry.signer
        tally = self._tally(signer.serial)
        view = SignerView(
            key=_key(signer),
            name=printable(signer.name),
            kind=_kind(signer),
            serial=signer.serial.hex().upper(),
            signer_id=signer.signer_id.hex().upper(),
            remaining="" if signer.remaining is None else f"{signer.remaining:,}",
            issued=f"{tally.issued:,}" if tally is not None and tally.issued else "",
            last=_last(tally) if tally is not None else "",
        )
        if entry.trouble is not None and entry.trouble.code != Code.QUOTA_USED_UP:
            return _quarantined(view, entry)
        if entry.trouble is not None or signer.remaining == 0:
            return _used_up(view)
        if not signer.ready:
            return self._waiting(view, signer)
        trouble = self._trouble(signer.documents)
        return _ready(view, signer) if trouble is None else _held_up(view, trouble)

    def _waiting(self, view: SignerView, signer: Signer) -> SignerView:
        wrong, seconds = self._unlock_service.wrong(signer), math.ceil(self._unlock_service.seconds_left(signer))
        detail = f"{_wrong(wrong)} {_TRIES_LEFT[view.kind]}" if wrong else ""
        detail = self._unlock_service.untried(signer) or detail
        wait = f"Next try in {seconds} s." if seconds else ""
        if self._unlock_service.busy(signer):
            wait = wait or "Trying the password..."
        return replace(view, state=SignerState.WAITING, headline="Waits for password", detail=detail, wait=wait)


def _last(tally: SignerTally) -> str:
    return "" if tally.time is None else f"{tally.chip_serial.hex().upper()}, {tally.time:%Y-%m-%d %H:%M:%S} UTC"


def _wrong(times: int) -> str:
    return "The password is wrong." if times == 1 else f"The password is wrong, {times} times in a row now."


def _ready(view: SignerView, signer: Signer) -> SignerView:
    if not signer.quota_low:
        return replace(view, state=SignerState.READY, headline="Ready")
    return replace(view, state=SignerState.LOW, headline="Ready, few left", detail="Make the next module now.")


def _held_up(view: SignerView, trouble: ErrorReply) -> SignerView:
    return replace(view, state=SignerState.QUARANTINED, headline="Issues nothing", detail=printable(trouble.message))


def _used_up(view: SignerView) -> SignerView:
    detail = "It has issued all certificates that its quota allows. Make a new module."
    return replace(view, state=SignerState.USED_UP, headline="Quota used up", detail=detail)


def _quarantined(view: SignerView, entry: RegistryEntry) -> SignerView:
    advice = _AGAIN if entry.signer.slow else "Repair it, then start the server again."
    detail = printable(f"{entry.reason} {advice}") if entry.reason else advice
    return replace(view, state=SignerState.QUARANTINED, headline="Out of use", detail=detail)


def _unplugged(view: SignerView) -> SignerView:
    detail = "Plug it in to go on. If it has a password, it asks for it again."
    return replace(view, state=SignerState.UNPLUGGED, headline="Unplugged", detail=detail, wait="", remaining="")


def _unusable_view(url: str, why: str) -> SignerView:
    return SignerView(
        key=sha256(url.encode(errors="surrogateescape")).hexdigest()[:16],
        name=printable(url),
        state=SignerState.QUARANTINED,
        headline="Cannot be used",
        detail=printable(f"{why} {_AGAIN}"),
    )


def _proofs_view(overdue: str) -> SignerView:
    detail = f"{overdue} 'provisioning-server ledger unproven' lists them."
    return SignerView(
        key=PROOFS_KEY, name="Proofs", state=SignerState.LOW, headline="Not proven in time", detail=printable(detail)
    )


def _key(signer: Signer) -> str:
    return sha256(signer.documents.signer_public_key).hexdigest()[:16]


def _kind(signer: Signer) -> str:
    if isinstance(signer, SoftwareSigner):
        return "Key file"
    return "HSM" if isinstance(signer, HsmSigner) else "Module"
