"""Steps of the pipeline at which a server dies by kill -9: before or after the n-th call of a method."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, NamedTuple

from atcaprov.certs.issue import PendingCertificate
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.ledger.sql.sqlite_database import SqliteConnection
from provisioning_server.signers.module import PluggedModule
from provisioning_server.signers.software import SoftwareSigner
from provisioning_server.transport.client_connection import ClientConnection


class Step(Enum):
    """A step: what is done, and where in the code."""

    DECIDE = "the chips of a batch are looked up"
    BUILD = "what is to be signed is built and checked"
    STATEMENT = "a statement of a transaction runs"
    COMMIT = "the transaction of a step is committed"
    STEP = "a step is written to the ledger"
    SIGN = "a signer signs"
    VERIFY = "a signature is verified and the certificate compared"
    REPLY = "a reply goes to the client"


_METHODS: Final[dict[Step, tuple[tuple[type, str], ...]]] = {
    Step.DECIDE: ((SqlLedger, "known"),),
    Step.BUILD: ((PendingCertificate, "__init__"),),
    Step.STATEMENT: ((SqliteConnection, "run_many"),),
    Step.COMMIT: ((SqliteConnection, "run"),),
    Step.STEP: ((SqlLedger, "commit"),),
    Step.SIGN: ((SoftwareSigner, "sign"), (PluggedModule, "sign")),
    Step.VERIFY: ((PendingCertificate, "finish"),),
    Step.REPLY: ((ClientConnection, "_reply"),),
}


class KillAt(NamedTuple):
    """Die before or after the call number `at` (from 1)."""

    step: Step
    after: bool
    at: int


def arm(planned: KillAt) -> None:
    """Let this process die there."""
    left = planned.at

    def passing(step: Step, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if step is not Step.COMMIT or "COMMIT" in arguments:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    for owner, name in _METHODS[planned.step]:
        setattr(owner, name, _watched(getattr(owner, name), functools.partial(passing, planned.step), planned.after))


def _watched(method: Callable[..., Any], passing: Callable[[tuple[Any, ...]], None], after: bool) -> Callable[..., Any]:
    @functools.wraps(method)
    def watched(*arguments: Any, **named: Any) -> Any:
        if not after:
            passing(arguments)
        result = method(*arguments, **named)
        if after:
            passing(arguments)
        return result

    return watched
