"""What is checked of the station and its server before a chip is touched, at the start and again before each chip."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final, NamedTuple

from atcaprov.errors import AtcaProvError, Board
from atcaprov.provisioning import signer_offer
from atcaprov.provisioning.clock_check import require_agreeing, require_valid_now
from atcaprov.provisioning.preflight import Preflight
from atcaprov.provisioning.server_choice import choose_server
from atcaprov.provisioning.trial_certificates import require_issuable


class Check(NamedTuple):
    """One check: a stable name, what it looks at in words, and a function that raises an AtcaProvError if it fails.

    `needs` names the checks before it without whose success it makes no sense.
    """

    name: str
    looks_at: str
    require: Callable[[Preflight], None]
    needs: tuple[str, ...] = ()


def _station(flight: Preflight) -> None:
    flight.functions.require_ready()


def _signer(flight: Preflight) -> None:
    """Set `offer`, by the first server that makes one."""
    flight.offer = choose_server(flight)


def _ledger(flight: Preflight) -> None:
    """A server whose ledger is behind is shown that before it is refused, so that it stops as well."""
    try:
        flight.functions.ledger_seen(flight.offer.checkpoint, flight.offer.log_key)
    except AtcaProvError:
        with contextlib.suppress(AtcaProvError):
            flight.ask_for_offer(b"")
        raise


def _signer_chain(flight: Preflight) -> None:
    signer_offer.require_pinned_root(flight.offer, flight.cert_info, flight.profile)


def _clocks(flight: Preflight) -> None:
    require_agreeing(flight.offer.server_time)
    require_valid_now(flight.offer.signer_certificate, "signer")


def _product(flight: Preflight) -> None:
    signer_offer.require_same_product(flight.offer, flight.cert_info)


def _certificate_slots(flight: Preflight) -> None:
    signer_offer.require_allowed_slots(flight.offer, flight.profile)


def _certificates(flight: Preflight) -> None:
    require_issuable(flight.offer, flight.cert_info, flight.profile)


def _quota(flight: Preflight) -> None:
    signer_offer.require_quota(flight.offer, flight.boards)


_OF_THE_SIGNER: Final = ("signer-chain", "clocks", "product", "certificate-slots")
_OFFER_CHECKS: Final = (
    Check("ledger", "the server's ledger is not older than this station knows it", _ledger, ("signer",)),
    Check("signer-chain", "the pinned root certified the signer", _signer_chain, ("signer",)),
    Check("clocks", "the clocks agree, and the signer certificate is valid now", _clocks, ("signer",)),
    Check("product", "the signer is for this product", _product, ("signer",)),
    Check("certificate-slots", "the certificates go where the product keeps them", _certificate_slots, ("signer",)),
    Check("trial-certificates", "certificates can be issued, rebuilt and stored", _certificates, _OF_THE_SIGNER),
    Check("quota", "the signer's quota is enough for the batch", _quota, ("signer",)),
)
STATION_CHECKS: Final = (
    Check("station", "the station is ready: there is room on its disks", _station),
    Check("signer", "the server knows the signer, and it is ready", _signer),
    *_OFFER_CHECKS,
)
"""In their order."""


def require_station(flight: Preflight) -> None:
    """Make the checks that need no chip; raise the error of the first that fails. The board is untouched."""
    try:
        for check in STATION_CHECKS:
            check.require(flight)
    except AtcaProvError as error:
        error.board = Board.UNTOUCHED
        raise


def turn_to(flight: Preflight, server: str) -> None:
    """Ask another server for its signer during a chip's run, and make all checks of it; its offer becomes `offer`.

    Raises AtcaProvError: it fails a check; `offer` is to be set again then (`turn_back_to`).
    """
    flight.device.rest()  # a server takes longer than the chip's watchdog
    flight.functions.use_server(server)
    flight.offer = flight.ask_for_offer(flight.serial_number)
    for check in _OFFER_CHECKS:
        check.require(flight)
