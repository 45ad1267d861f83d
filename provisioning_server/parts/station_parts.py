"""What decides on stations, if the server takes TLS connections."""

from __future__ import annotations

from provisioning_server.parts.context import ServerContext
from provisioning_server.stations.admission import Admission
from provisioning_server.stations.server_names import usual_server_names
from provisioning_server.stations.server_tls import ServerTls
from provisioning_server.stations.station_ca import StationCa


def admission(context: ServerContext) -> Admission | None:
    """Return the gate of the port; None without TLS. Raises UsageError."""
    settings, data = context.settings, context.folder.path
    if not settings.tls:
        return None
    ca = StationCa.open(data, context.now())
    context.log.info(f"Station CA, SHA-256 {ca.sha256.hex()}.")
    names = settings.tls_names or usual_server_names(settings.bind)
    return Admission(ServerTls(data, ca, names, context.now, context.log), context.now)
