"""What a chip with a locked data zone is to the product that asks: good, another product's, or none."""

from __future__ import annotations

from collections.abc import Callable

from atcaprov.certs.compressed_form import CompressedCertificate
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.rebuild import from_slots
from atcaprov.errors import AtcaProvError, Board, CertificateError, Code, ProvisioningError

_GOOD_ADVICE = "Set the board aside as a good one; it needs nothing more."


def finished_by_another_signer() -> ProvisioningError:
    """Return what to say of a chip whose proved chain ends in the pinned root, under another signer than the named."""
    return _finished("This chip is provisioned and good: another signer of the same root certified it.", _GOOD_ADVICE)


def finished_without_record() -> ProvisioningError:
    """Return what to say of a chip that the named signer certified, and of which the server has no record."""
    return _finished(
        "This chip is provisioned and its certificates are valid, but this server has no record of them.",
        f"{_GOOD_ADVICE} Tell the technician: the server's records may be incomplete.",
    )


def without_log_line() -> ProvisioningError:
    """Return what to say of a chip whose certificates are valid, and of which the given signing logs have no line."""
    return _finished(
        "This chip is provisioned and its certificates are valid, but the server's signing log has no record of them.",
        "Verify it again 10 seconds after its run: a server writes the log in its next pause. If it is still missing, "
        "set the board aside as a good one, and tell the technician: the server's records may be incomplete.",
    )


def set_aside(error: AtcaProvError) -> AtcaProvError:
    """Return an error about a chip's contents, with the board set aside where it says to try again.

    Nothing was changed, so another try finds the same.
    """
    if error.board is Board.RETRY:
        error.board = Board.SET_ASIDE
    return error


def _finished(what: str, advice: str) -> ProvisioningError:
    return ProvisioningError(what, advice=advice, code=Code.FINISHED_ELSEWHERE, board=Board.SET_ASIDE)


def without_key() -> ProvisioningError:
    """Return what to say of a locked chip that has no device key."""
    return _other("This chip's data zone is locked, and it has no device key.")


def not_proved(definition: CertificateDefinition, read: Callable[[int, int, int], bytes]) -> ProvisioningError:
    """Return what to say of a locked chip whose certificates do not prove anything under the pinned root.

    `read(slot, offset, count)` returns bytes of a data slot.
    """
    try:
        compressed, _ = from_slots(definition, read)
        found = CompressedCertificate.parse(compressed)
    except CertificateError:
        return _other("This chip's data zone is locked, and it holds no certificate.")
    if not any(found.signature) or (found.template_id, found.chain_id) == (definition.template_id, definition.chain_id):
        return _other("This chip's data zone is locked, and its certificate does not lead to the pinned root.")
    error = _other(
        f"This chip is provisioned for another product: its certificate has template id {found.template_id:X} and chain"
        f" id {found.chain_id:X}; this product uses {definition.template_id:X} and {definition.chain_id:X}."
    )
    error.advice, error.board = "Set the board aside, and ask for which product it was made.", Board.SET_ASIDE
    return error


def _other(what: str) -> ProvisioningError:
    return ProvisioningError(
        what,
        advice="It was used before, or an earlier run failed.",
        code=Code.DATA_LOCKED_OTHER,
        board=Board.SCRAP,
    )
