"""One examination: what is examined, what was found so far, and the steps that look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from atcaprov.certs.cert_info import CertInfo
from atcaprov.device.device import Device
from atcaprov.device.read_only import ReadOnlyHal
from atcaprov.diagnosis.candidates import ListedPort
from atcaprov.diagnosis.finding import DiagnosticFinding, Weight
from atcaprov.inspection.certificates.defined import IssuerDefinitions
from atcaprov.inspection.snapshot import ChipSnapshot
from atcaprov.provisioning.profile import Profile
from atcaprov.provisioning.server_access import ServerAccess


@dataclass(frozen=True)
class Subject:
    """What is examined, as the user named it; what is None was not named."""

    url: str | None = None
    access: ServerAccess | None = None
    """The servers, and the station that asks them."""
    cert_info: CertInfo | None = None
    profile: Profile | None = None
    """The product, if the chip has to be one; else any configuration is right."""
    trace: Path | None = None
    """A new file for what passes between host and chip."""


class NotChecked(NamedTuple):
    """A step that was left out, in words, and why."""

    step: str
    looks_at: str
    reason: str


@dataclass
class Examination:
    """What is known; a step sets the facts that its description names."""

    subject: Subject
    url: str = ""
    """Device URL of the chip, once it is known which one."""
    ports: tuple[ListedPort, ...] = ()
    """What is connected, if no device URL was given."""
    hal: ReadOnlyHal | None = None
    findings: list[DiagnosticFinding] = field(default_factory=list)
    good: list[str] = field(default_factory=list)
    """What was checked and is good, as sentences."""
    not_checked: list[NotChecked] = field(default_factory=list)
    revision: bytes = b""
    snapshot: ChipSnapshot | None = None
    definitions: IssuerDefinitions | None = None
    """What the signer of the cert info file issues, as the server told."""
    _device: Device | None = None

    @property
    def chip(self) -> ReadOnlyHal:
        """The open chip, for single packets."""
        assert self.hal is not None, "the step needs one that opens the chip"
        return self.hal

    @property
    def device(self) -> Device:
        """The open chip, for whole commands."""
        if self._device is None:
            self._device = Device(self.chip)
        return self._device

    @property
    def has_problem(self) -> bool:
        """Whether something has to be done."""
        return any(finding.weight is Weight.PROBLEM for finding in self.findings)

    def close(self) -> None:
        """Send the chip to sleep and release it."""
        if self._device is not None:
            self._device.close()
        elif self.hal is not None:
            self.hal.close()


class Step(NamedTuple):
    """One step: a stable name, what it looks at in words, the function that looks, and the steps that it needs.

    `if_failed` says in words why the steps that need it are left out.

    The function adds findings and what is good. It raises StepBlockedError with a finding, or any AtcaProvError, where
    the steps that need it make no sense any more; and StepLeftOutError where it was not asked for.
    """

    name: str
    looks_at: str
    look: Callable[[Examination], None]
    needs: tuple[str, ...] = ()
    if_failed: str = ""


class StepBlockedError(Exception):
    """A finding that blocks the steps that need this one."""

    def __init__(self, finding: DiagnosticFinding) -> None:
        super().__init__(finding.what)
        self.finding = finding


class StepLeftOutError(Exception):
    """A step is left out; the text says why."""
