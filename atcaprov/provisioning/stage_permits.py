"""What each stage may change on a chip; every other changing command is blocked."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from atcaprov.device.command_guard import Act
from atcaprov.stages import Stage

PERMITS: Final = MappingProxyType(
    {
        Stage.CONFIG_WRITE: (Act.WRITE_CONFIG,),
        Stage.CONFIG_LOCK: (Act.LOCK_CONFIG,),
        Stage.GEN_KEY: (Act.CREATE_KEY,),
        Stage.CERTS_WRITE: (Act.WRITE_DATA,),
        Stage.DATA_WRITE: (Act.WRITE_DATA,),
        Stage.DATA_LOCK: (Act.LOCK_DATA, Act.WRITE_DATA),
        Stage.SLOTS_LOCK: (Act.LOCK_SLOT,),
    }
)
"""The acts of each stage; a stage that is missing here only reads."""
