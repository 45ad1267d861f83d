"""What decides on stations, if the server takes TLS connections."""

from __future__ import annotations

import asyncio
from typing import Final

from atcaprov.errors import Code, UsageError
from provisioning_server.issuing.worker import IssuingWorker
from provisioning_server.parts.context import ServerContext
from provisioning_server.stations.served_address import keep_address, served_address
from provisioning_server.stations.server_names import usual_server_names
from provisioning_server.stations.server_tls import ServerTls
from provisioning_server.stations.station_authority import StationAuthority
from provisioning_server.stations.station_ca import StationCa

LOOK_SECONDS: Final = 1.0
"""Between two looks at what other servers on the ledger have decided."""


def station_authority(context: ServerContext, worker: IssuingWorker) -> StationAuthority | None:
    """Return the gate of the port; None without TLS. Raises AtcaProvError."""
    settings, data, log = context.settings, context.folder.path, context.log
    if not settings.tls:
        return None
    admitted = [each.admitted for each in context.ledger.administered.stations() if each.removed is None]
    ca = StationCa.open(data, context.now(), has_stations=bool(admitted))
    if context.signers.is_ca_key(ca.public_key):
        raise UsageError(
            "The key of the station CA is that of a signer or a root of products.",
            advice="Use a key for one of them only: move stations/station-ca.pem away, and the server makes a new one.",
            code=Code.KEY_FILE_INVALID,
        )
    for each in admitted:
        ca.require_issued(each.certificate)
    log.info(f"Station CA, SHA-256 {ca.sha256.hex()}.")
    tls = ServerTls(data, ca, settings.tls_names or usual_server_names(settings.bind), context.now, log)
    return StationAuthority(
        tls,
        context.ledger,
        lambda decide, done: worker.administer(decide, lambda outcome: done(outcome.written, outcome.error)),
        context.now,
        log,
        context.admission,
    )


async def follow_other_servers(authority: StationAuthority) -> None:
    """Look without end for stations that other servers on the ledger have admitted or removed."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        await authority.look()


def keep_served_address(context: ServerContext, listening: str) -> None:
    """Keep where stations reach the server, for their tokens; raises UsageError."""
    settings = context.settings
    port = int(listening.rpartition(":")[2])
    keep_address(context.folder.path, served_address(settings.bind, port, settings.tls_names))
