"""Which of several servers is asked, and which may be asked in the place of one that fails.

A board stays with the server that offered its signer. Another one may take its place as long as the first cannot have
certified the chip: until the request for the certificate goes out. After that only a server on the same ledger may,
which gives what the first one has issued.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from atcaprov.errors import AtcaProvError, Board, Code, ProtocolError, ServerRejected, TransportError
from atcaprov.provisioning.preflight import Preflight
from atcaprov.provisioning.signer_offer import SignerOffer
from atcaprov.provisioning.user_functions import UserFunctions

_CANNOT_SERVE: Final = frozenset({Code.QUOTA_USED_UP, Code.RECORDS_FAILED, Code.INTERNAL, Code.SIGNER_UNKNOWN})
"""Refusals that another try does not change, and that say nothing about the chip."""
_DOUBTS_LEDGER: Final = frozenset({Code.LEDGER_BEHIND, Code.COUNTER_BEHIND})


def is_away(error: AtcaProvError) -> bool:
    """Tell whether a server does not serve now, and has not decided on the chip."""
    if isinstance(error, ServerRejected):
        return error.board is Board.RETRY or error.code in _CANNOT_SERVE
    return isinstance(error, TransportError | ProtocolError)


def stands_in(flight: Preflight, server: str, error: AtcaProvError, answered: set[str]) -> bool:
    """Tell whether the answers of other servers count for one that failed: it is on the ledger of one of them."""
    ledger = flight.ledger_of(server)
    same = ledger is not None and any(flight.ledger_of(each) == ledger for each in answered)
    return same and is_away(error) and error.code not in _DOUBTS_LEDGER


def in_order(functions: UserFunctions) -> tuple[str, ...]:
    """Return the servers: the one that is asked now, then the others in the order of preference."""
    return functions.server, *(server for server in functions.servers if server != functions.server)


def choose_server(flight: Preflight) -> SignerOffer:
    """Use the first server that offers its signer, and return the offer; warn of those that were passed over.

    Raises:
        AtcaProvError: none does, or one refuses for a reason that another server does not change.
    """
    functions, failed = flight.functions, dict[str, AtcaProvError]()
    for server in in_order(functions):
        functions.use_server(server)
        try:
            offer = flight.ask_for_offer(flight.expected_serial)
        except AtcaProvError as error:
            if not is_away(error):
                raise
            failed[server] = error
        else:
            for failure in failed.values():
                functions.warning(passed_over(failure, server))
            return offer
    functions.use_server(next(iter(failed)))
    raise none_serves(failed)


def passed_over(error: AtcaProvError, server: str) -> AtcaProvError:
    """Return the warning that another server takes the place of one that failed."""
    return type(error)(error.what, advice=f"Boards continue with the server at {server}.", code=error.code)


def none_serves(failed: Mapping[str, AtcaProvError]) -> AtcaProvError:
    """Return the error if all servers have failed: that of the first one, which tells of the others."""
    (first, error), *others = failed.items()
    if others:
        error.what = f"None of {len(failed)} servers can be used. {first}: {error.what}" + "".join(
            f" {server}: {other.what}" for server, other in others
        )
    return error


def has_to_answer(server: str, error: AtcaProvError) -> TransportError:
    """Return the error for a chip that has a key while a server that may have certified it cannot be asked."""
    return TransportError(
        f"The server at {server} may have certified this chip earlier, and cannot be asked: {error.what}",
        advice="Nothing was changed. Try the board again when that server is back.",
        code=Code.SERVER_AWAITED,
    )


def may_have_issued(server: str, error: AtcaProvError) -> AtcaProvError:
    """Return the error for a chip whose certificate was asked for, and did not come, with what to wait for."""
    error.advice = f"The server at {server} may have certified the chip. Try the board again when that server is back."
    return error
