"""Examine a chip and its station step by step, from the bus to the server; nothing is changed."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import closing
from typing import Final

from atcaprov.diagnosis.bus_steps import find_device, open_chip
from atcaprov.diagnosis.certificate_steps import check_certificates
from atcaprov.diagnosis.chip_steps import check_configuration, check_part
from atcaprov.diagnosis.examination import Examination, NotChecked, Step, StepBlockedError, StepLeftOutError, Subject
from atcaprov.diagnosis.finding import of_error
from atcaprov.diagnosis.server_steps import check_clock, check_server, check_signer
from atcaprov.diagnosis.transfer_steps import check_supply, check_transfers
from atcaprov.errors import AtcaProvError

STEPS: Final = (
    Step("device", "which chip it is about", find_device),
    Step("chip", "the port, and a chip that wakes", open_chip, ("device",)),
    Step("transfers", "transfers without damage", check_transfers, ("chip",)),
    Step("part", "a part that can be used", check_part, ("transfers",)),
    Step("supply", "a supply that holds while the chip computes", check_supply, ("part",)),
    Step("configuration", "the configuration and its locks", check_configuration, ("part",)),
    Step("clock", "this computer's clock", check_clock),
    Step("server", "a Provisioning Server", check_server),
    Step("signer", "what a run checks before stage 1", check_signer, ("clock", "server")),
    Step("certificates", "the certificates of the chip and its key", check_certificates, ("part", "clock")),
)


def examine(subject: Subject) -> Examination:
    """Make every step that can be made, in order, and return what was found; the chip is released.

    Raises:
        UsageError: the user's table of USB ids is damaged.
    """
    examination = Examination(subject)
    passed: set[str] = set()
    with closing(examination):
        for step in STEPS:
            if _is_passed(examination, step, passed):
                passed.add(step.name)
    return examination


def _is_passed(examination: Examination, step: Step, passed: Collection[str]) -> bool:
    try:
        for needed in step.needs:
            if needed not in passed:
                raise StepLeftOutError(f"it needs the step {needed}")
        step.look(examination)
    except StepLeftOutError as reason:
        examination.not_checked.append(NotChecked(step.name, step.looks_at, str(reason)))
    except StepBlockedError as blocked:
        examination.findings.append(blocked.finding)
    except AtcaProvError as error:
        examination.findings.append(of_error(error))
    else:
        return True
    return False
