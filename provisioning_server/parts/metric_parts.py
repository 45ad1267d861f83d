"""What Prometheus is told of this server: the samples that are read, and how requests are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from atcaprov import durable_files
from atcaprov.errors import AtcaProvError, Code, UsageError
from atcaprov.missing_packages import extra_command
from provisioning_server.issuing.requests import Deliver, Reply, Request
from provisioning_server.operations.metrics_access import MetricsAccess
from provisioning_server.orders.rate_limits import RateLimits
from provisioning_server.parts.context import ServerContext
from provisioning_server.parts.health_parts import HealthParts
from provisioning_server.parts.issuing_parts import IssuingParts

if TYPE_CHECKING:
    from provisioning_server.operations.metrics import Sample, ServerMetrics
    from provisioning_server.transport.listener import Listener

Submit = Callable[[Request, Deliver, str, str], None]


@dataclass(frozen=True, slots=True)
class Metered:
    """The metrics of a server, and who gets them."""

    metrics: ServerMetrics
    access: MetricsAccess

    def submit(self, submit: Submit) -> Submit:
        """Return what submits a request and counts it and its reply."""
        metrics = self.metrics

        def counted(request: Request, deliver: Deliver, client: str, station: str) -> None:
            asked = metrics.asked()

            def delivered(reply: Reply) -> None:
                metrics.replied(request, reply, asked)
                deliver(reply)

            submit(request, delivered, client, station)

        return counted


def metered(
    context: ServerContext,
    issuing: IssuingParts,
    health: HealthParts,
    listener: Callable[[], Listener],
    rates: Callable[[], RateLimits],
) -> Metered | None:
    """Return the metrics, if they are wanted; raises UsageError when their package is missing."""
    access = context.settings.metrics
    if access is None:
        return None
    try:
        from provisioning_server.operations.metrics import ServerMetrics  # a server without them needs no package
    except ImportError as error:
        raise UsageError(
            f"The metrics need the Python package {error.name}, which is missing.",
            advice=f"Install it: {extra_command('metrics')}",
            code=Code.LIBRARY_MISSING,
        ) from error
    return Metered(
        ServerMetrics(lambda: [*_samples(context, issuing, health, listener()), *_warning_samples(health, rates())]),
        access,
    )


def _samples(
    context: ServerContext, issuing: IssuingParts, health: HealthParts, listener: Listener
) -> Iterator[Sample]:
    from provisioning_server.operations.metrics import Sample

    yield Sample("build_info", "The version of the program.", 1, (("version", version("atcaprov")),))
    yield Sample("ready", "1 if new boards should be sent here.", not health.readiness.look().why)
    yield Sample("healthy", "1 if it issues.", health.health.look().http_status == 200)
    yield Sample("connections", "Connections of clients.", len(listener.clients))
    yield Sample("stations_connected", "Stations that hold a connection.", len(set(listener.stations)))
    yield Sample("signing_queue_length", "Signatures that wait for a slow signer.", issuing.queue.length)
    yield from _signer_samples(context)
    free = durable_files.free_bytes(context.folder.path)
    if free is not None:
        yield Sample("disk_free_bytes", "Room on the disk of the data folder.", free)
    yield Sample("ledger_failed", "1 if the ledger has failed.", context.ledger.failed)
    try:
        yield from list(_ledger_samples(context))
    except AtcaProvError:
        return  # ledger_failed tells it; what was read before it failed would be misleading


def _warning_samples(health: HealthParts, rates: RateLimits) -> Iterator[Sample]:
    from provisioning_server.operations.metrics import Sample

    for code, number in Counter(warning.code for warning in health.warnings.now()).items():
        yield Sample("warnings", "Warnings that stand, by code.", number, (("code", code),))
    for kind, number in rates.refused.items():
        what = (("request", kind.name.lower()),)
        yield Sample("rate_refusals", "Requests refused as too many were asked for.", number, what, total=True)


def _signer_samples(context: ServerContext) -> Iterator[Sample]:
    from provisioning_server.operations.metrics import Sample

    for entry in context.signers.entries():
        signer = entry.signer
        labels = (("signer", signer.serial.hex().upper()), ("name", signer.name))
        ready = entry.trouble is None and signer.ready
        yield Sample("signer_ready", "1 if the signer signs.", ready, labels)
        if signer.remaining is not None:
            yield Sample("signer_quota_left", "Signatures left of a signer's quota.", signer.remaining, labels)


def _ledger_samples(context: ServerContext) -> Iterator[Sample]:
    from provisioning_server.operations.metrics import Sample

    ledger = context.ledger
    yield Sample("ledger_entries", "Entries of the log.", ledger.head().size)
    yield Sample("ledger_open_intents", "Certificates that are being signed.", len(ledger.open_intents()))
    if ledger.newest is not None:
        yield Sample("ledger_newest_timestamp_seconds", "Time of the newest record.", ledger.newest.timestamp())
    for entry in context.signers.entries():
        tally = ledger.tally(entry.signer.serial)
        labels = (("signer", entry.signer.serial.hex().upper()), ("name", entry.signer.name))
        issued = 0 if tally is None else tally.issued
        yield Sample("certificates_issued", "Certificates in the ledger, by signer.", issued, labels, total=True)
    unproven, revoked = ledger.administered.unproven_and_revoked()
    yield Sample("certificates_unproven", "Certificates whose chip has not proven its key.", unproven)
    yield Sample("certificates_revoked", "Revoked certificates.", revoked)
    for order in ledger.administered.orders():
        if order.closed is None and order.opened.count:
            order_labels = (("order", order.opened.order), ("product", order.opened.product))
            left = order.opened.count - order.issued
            yield Sample("order_certificates_left", "Certificates left of a work order.", left, order_labels)
