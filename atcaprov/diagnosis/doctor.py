"""Examine a chip and its station step by step, from the bus to the server; nothing is changed."""

from __future__ import annotations

from collections.abc import Mapping
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
    Step("device", "which chip it is about", find_device, if_failed="it is not known which chip"),
    Step("chip", "the port, and a chip that wakes", open_chip, ("device",), if_failed="no chip can be reached"),
    Step("transfers", "transfers without damage", check_transfers, ("chip",), if_failed="transfers fail"),
    Step("part", "a part that can be used", check_part, ("transfers",), if_failed="the part cannot be used"),
    Step("supply", "a supply that holds while the chip computes", check_supply, ("part",)),
    Step("configuration", "the configuration and its locks", check_configuration, ("part",)),
    Step("clock", "this computer's clock", check_clock, if_failed="this computer's clock is wrong"),
    Step("server", "a Provisioning Server", check_server, if_failed="no Provisioning Server answers"),
    Step("signer", "what a run checks before stage 1", check_signer, ("clock", "server")),
    Step("certificates", "the certificates of the chip and its key", check_certificates, ("part", "clock")),
)


def examine(subject: Subject) -> Examination:
    """Make every step that can be made, in order, and return what was found; the chip is released.

    Raises:
        UsageError: the user's table of USB ids is damaged.
    """
    examination = Examination(subject)
    missing: dict[str, str] = {}
    with closing(examination):
        for step in STEPS:
            reason = _why_not_passed(examination, step, missing)
            if reason is not None:
                missing[step.name] = reason
    return examination


def _why_not_passed(examination: Examination, step: Step, missing: Mapping[str, str]) -> str | None:
    """Make a step; return None if it passed, else why the steps that need it are left out.

    `missing` are the steps that did not pass, with this reason: a step after two of them tells the first one's.
    """
    try:
        for needed in step.needs:
            if needed in missing:
                raise StepLeftOutError(missing[needed])
        step.look(examination)
    except StepLeftOutError as reason:
        examination.not_checked.append(NotChecked(step.name, step.looks_at, str(reason)))
        return str(reason)
    except StepBlockedError as blocked:
        examination.findings.append(blocked.finding)
    except AtcaProvError as error:
        examination.findings.append(of_error(error))
    else:
        return None
    return step.if_failed
