"""What decides on requests, signs and writes: the authority, its thread, and the threads of slow signers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from provisioning_server.issuing.authority import Authority
from provisioning_server.issuing.proof_deadline import ProofDeadline
from provisioning_server.issuing.signing_queue import SigningQueue
from provisioning_server.issuing.signing_thread import SigningThreads
from provisioning_server.issuing.worker import IssuingWorker
from provisioning_server.parts.context import ServerContext
from provisioning_server.products.product_reader import ProductReader
from provisioning_server.products.product_reload import ProductReload
from provisioning_server.products.served_products import ServedProducts
from provisioning_server.records.server_id import server_id


@dataclass(frozen=True, slots=True)
class IssuingParts:
    """The products, what watches for late proofs, the queue and threads of slow signers, the thread that issues."""

    products: ServedProducts
    deadline: ProofDeadline
    queue: SigningQueue
    threads: SigningThreads
    worker: IssuingWorker


def issuing_parts(context: ServerContext) -> IssuingParts:
    """Build them, on the running loop; the thread that issues runs from here on. Raises AtcaProvError."""
    reader = ProductReader(context.settings.products, context.log)
    products = ServedProducts(reader.read())
    context.reload.add(ProductReload(products, reader))
    within, rules = context.settings.proof_within, products.proof_rules
    deadline = ProofDeadline(context.ledger, within, context.now, context.log, rules)
    queue = SigningQueue(context.signers, lambda event: worker.tell(event))
    worker = IssuingWorker(_authority(context, products, deadline, queue), asyncio.get_running_loop(), context.fail)
    return IssuingParts(
        products, deadline, queue, SigningThreads(context.signers, queue, context.log, context.now), worker
    )


def _authority(
    context: ServerContext, products: ServedProducts, deadline: ProofDeadline, queue: SigningQueue
) -> Authority:
    settings, keeper = context.settings, context.watch.keeper
    return Authority(
        context.signers,
        context.ledger,
        context.log,
        context.now,
        server=server_id(context.folder.path),
        alone=settings.ledger is None,
        slow_signers=queue,
        listener=context.writer,
        guard=context.watch.guard,
        checkpoint=keeper.newest,
        log_key=keeper.log_key,
        allow_rekey=settings.allow_rekey,
        stations=context.admission,
        products=products,
        proofs=deadline,
        crl_validity=settings.crl_validity,
        require_order=settings.require_order,
    )
