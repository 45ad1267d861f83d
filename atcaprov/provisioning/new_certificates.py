"""Stage 5: get a chip its certificates, from one server or another, but never two of them."""

from __future__ import annotations

from atcaprov.errors import AtcaProvError
from atcaprov.provisioning.certificate_reply import ChipKey, IssuedCertificates
from atcaprov.provisioning.preflight import Preflight
from atcaprov.provisioning.server_choice import in_order, is_away, may_have_issued, none_serves, passed_over
from atcaprov.provisioning.signer_offer import require_new_key_accepted
from atcaprov.provisioning.station_checks import turn_to


def ask_for_certificates(flight: Preflight, chip: ChipKey) -> IssuedCertificates:
    """Ask the chosen server, and others in its place if it is away: after a request went out only those of its ledger.

    Raises as `Preflight.request`; the error of the server that may have issued if no other one could help.
    """
    failed: dict[str, AtcaProvError] = {}
    for server in in_order(flight.functions):
        if failed and not _takes_over(flight, server, failed):
            continue
        try:
            issued = flight.request(chip, existing_only=False)
        except AtcaProvError as error:
            if not is_away(error):
                raise
            failed[server] = error
        else:
            for failure in failed.values():
                flight.functions.warning(passed_over(failure, server))
            return issued
    if flight.asked_server is None:
        flight.turn_back_to(next(iter(failed)))
        raise none_serves(failed)
    flight.turn_back_to(flight.asked_server)
    failure = failed[flight.asked_server]
    raise failure if len(flight.functions.servers) == 1 else may_have_issued(flight.asked_server, failure)


def _takes_over(flight: Preflight, server: str, failed: dict[str, AtcaProvError]) -> bool:
    """Turn to another server; return whether it may be asked for this chip.

    The chip was checked against the definitions of the first one, so the other one must have the same.
    """
    checked = flight.offers[next(iter(failed))]
    try:
        turn_to(flight, server)
        require_new_key_accepted(flight.offer)
    except AtcaProvError as error:
        failed[server] = error
        return False
    if flight.offer.device_definition != checked.device_definition:
        return False
    if flight.asked_server is None:
        return True
    ledger = flight.offers[flight.asked_server].ledger
    return ledger is not None and flight.offer.ledger == ledger
