"""Warn in time that the certificate of this station ends: after its end the server refuses every board."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from atcaprov.errors import AtcaProvError, Code, TransportError
from atcaprov.provisioning.station_identity import StationIdentity

WARNED_BEFORE: Final = timedelta(days=30)


def ends_soon(station: Path, now: datetime) -> AtcaProvError | None:
    """Return the warning if the certificate in a station's folder ends within 30 days; raises UsageError."""
    identity = StationIdentity.load(station)
    if identity.not_after - now > WARNED_BEFORE:
        return None
    return TransportError(
        f"The certificate of the station {identity.name} ends on {identity.not_after:%Y-%m-%d %H:%M} UTC.",
        advice="Renew it before: 'provisioning-client enrol --renew'.",
        code=Code.STATION_EXPIRED,
    )
