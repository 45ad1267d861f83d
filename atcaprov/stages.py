"""The ten stages of a provisioning run: names, console texts and statuses.

Names, order and console texts are those of Atmel-8970A, sections 3.3 and 5.5; the numbers of the original are not
public; ours count from 1.
"""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import Final


class Stage(enum.IntEnum):
    """The ten stages in their order."""

    CONFIG_WRITE = 1
    CONFIG_LOCK = 2
    CONFIG_READ = 3
    GEN_KEY = 4
    CERTS_REQUEST = 5
    CERTS_WRITE = 6
    DATA_WRITE = 7
    DATA_LOCK = 8
    SLOTS_LOCK = 9
    VALIDATE_CERTS = 10

    @property
    def label(self) -> str:
        """Console text, such as `Writing config zone`."""
        return _LABELS[self]


class StageStatus(enum.StrEnum):
    """What `notify` gets: START or SKIPPED first, then DONE or ERROR unless skipped."""

    START = "start"
    SKIPPED = "skipped"
    DONE = "done"
    ERROR = "error"


_LABELS: Final = MappingProxyType(
    {
        Stage.CONFIG_WRITE: "Writing config zone",
        Stage.CONFIG_LOCK: "Locking config zone",
        Stage.CONFIG_READ: "Reading config zone",
        Stage.GEN_KEY: "Generating device key",
        Stage.CERTS_REQUEST: "Requesting certificates",
        Stage.CERTS_WRITE: "Writing certificates",
        Stage.DATA_WRITE: "Writing data zone",
        Stage.DATA_LOCK: "Locking data zone",
        Stage.SLOTS_LOCK: "Locking slots",
        Stage.VALIDATE_CERTS: "Validating certificates",
    }
)
