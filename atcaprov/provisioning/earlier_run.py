"""Find out how far an earlier run came: has the server certified the key that the chip holds?"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from atcaprov.device.zones.key_slot import existing_public_key
from atcaprov.errors import AtcaProvError, Code, ServerRejected
from atcaprov.provisioning.certificate_reply import ChipKey
from atcaprov.provisioning.finished_elsewhere import judged
from atcaprov.provisioning.preflight import Preflight
from atcaprov.provisioning.server_choice import has_to_answer, in_order, is_away, stands_in
from atcaprov.provisioning.station_checks import turn_to

_DISOWNED: Final = frozenset({Code.NOT_ISSUED, Code.CHIP_HAS_OTHER_SIGNER, Code.CHIP_HAS_OTHER_KEY})
"""The server's codes for a chip that it has not certified for this station."""
ANSWERS_FOR_A_NEW_KEY: Final = 2
"""How often a server has to say that it does not know the key in a chip; the first answer may be a late one."""


def find_earlier_run(flight: Preflight) -> None:
    """Set `chip` and `issued` of a chip with a locked configuration if the server has certified its key.

    A key that it has not certified is of unknown origin (it may have been written before the chip came here), so
    it is never certified now; the chip makes a new one.

    Raises ProvisioningError for a chip with a locked data zone whose key this server has not certified.
    """
    chip = existing_key(flight, flight.profile.device_key_slot)
    disowned = _DISOWNED if flight.data_is_locked else frozenset({Code.NOT_ISSUED})
    answers = 1 if flight.data_is_locked else ANSWERS_FOR_A_NEW_KEY
    if chip is not None and was_certified(flight, chip, disowned, answers):
        flight.chip = chip
    elif flight.data_is_locked:
        raise judged(flight.device, chip, flight.offer, flight.cert_info)


def existing_key(flight: Preflight, slot: int) -> ChipKey | None:
    """Return the chip's key in a slot; a computation error alone does not mean that there is none."""
    public_key = existing_public_key(lambda: flight.device.get_pubkey(slot), lambda: _holds_key(flight, slot))
    return None if public_key is None else ChipKey.of(flight.config, public_key)


def _holds_key(flight: Preflight, slot: int) -> bool:
    return flight.data_is_locked or flight.device.has_valid_key(slot)


def was_certified(flight: Preflight, chip: ChipKey, disowned: Collection[str], answers: int) -> bool:
    """Tell whether a server has issued certificates for the chip and its key; set `issued` to them, and use the server.

    A new key destroys the old one, so each server must say `answers` times, with a code of `disowned`, that it has not.

    Raises:
        ServerRejected: one refused with any other code.
        TransportError: one cannot be asked that may have certified the chip (SERVER_AWAITED).
    """
    first, *others = in_order(flight.functions)
    if _has_issued(flight, chip, disowned, answers):
        return True
    answered, silent = {first}, dict[str, AtcaProvError]()
    for server in others:
        try:
            turn_to(flight, server)
        except AtcaProvError as error:
            silent[server] = error
            continue
        try:
            if _has_issued(flight, chip, disowned, answers):
                return True
        except AtcaProvError as error:
            if not is_away(error):
                raise
            silent[server] = error
        else:
            answered.add(server)
    flight.turn_back_to(first)
    for server, failure in silent.items():
        if not stands_in(flight, server, failure, answered):
            raise has_to_answer(server, failure)
    return False


def _has_issued(flight: Preflight, chip: ChipKey, disowned: Collection[str], answers: int) -> bool:
    """Ask the server in use; set `issued` if it has certified the chip and its key."""
    for _ in range(answers):
        try:
            flight.issued = flight.request(chip, existing_only=True)
            return True
        except ServerRejected as error:
            if error.code not in disowned:
                raise
    return False
