"""What takes certificates back while the server runs: its commands, the lists of all signers, the factory's command."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from atcaprov.errors import AtcaProvError, Code, ProtocolError, UsageError
from provisioning_server.control.server import ControlServer
from provisioning_server.issuing.requests import CrlOrder, CrlOutcome
from provisioning_server.ledger.administration import CrlIssued
from provisioning_server.parts.context import ServerContext
from provisioning_server.parts.issuing_parts import IssuingParts
from provisioning_server.revocation.crl_keeper import CrlKeeper
from provisioning_server.revocation.crl_state import crl_state
from provisioning_server.revocation.published_crls import PublishedCrls
from provisioning_server.revocation.revoked_hook import RevokedHook


class RevocationParts:
    """Builds them, on the running loop."""

    def __init__(self, context: ServerContext, issuing: IssuingParts) -> None:
        settings, ledger = context.settings, context.ledger
        self._context = context
        self._issuing = issuing
        self.published = PublishedCrls(context.folder.crls)
        self._keeper = CrlKeeper(
            context.signers,
            ledger,
            self.published,
            self._signed,
            context.log,
            context.now,
            validity=settings.crl_validity,
            from_quota=settings.crl_from_quota,
        )
        self._hook = (
            RevokedHook(settings.on_revoked, context.folder.path, ledger, context.log) if settings.on_revoked else None
        )

    def warnings(self) -> list[str]:
        """Return which lists are due and not signed, for people."""
        return self._keeper.warnings

    def watched(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """Return what runs until the server stops."""
        return (self._keeper.run(), *(() if self._hook is None else (self._hook.run(),)))

    def handle_commands(self, control: ControlServer) -> None:
        """Answer what `crl publish` asks."""
        control.handle("crl signers", self._signers)
        control.handle("crl publish", self._publish)

    async def _signers(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"signers": await asyncio.to_thread(self._listed)}

    def _listed(self) -> list[dict[str, Any]]:
        context = self._context
        return [
            {
                "serial": signer.serial.hex(),
                "name": signer.name,
                "ready": context.signers.usable(signer),
                "remaining": signer.remaining,
                "due": str(crl_state(context.ledger, signer.serial, context.now()).due),
            }
            for signer in context.signers
        ]

    async def _publish(self, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            serial, by = bytes.fromhex(arguments["signer"]), str(arguments.get("by", ""))
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolError("The order for a list names no signer.", code=Code.BAD_FRAME) from error
        issued = await self._ordered(serial, by)
        try:
            await asyncio.to_thread(self._keeper.publish_new)
        except OSError as error:
            raise UsageError(
                f"CRL {issued.number} is signed and in the ledger, but its file cannot be written:"
                f" {error.strerror or error}.",
                advice="Make room on the disk of the data folder. The server writes the file within a minute.",
                code=Code.FILE_UNWRITABLE,
            ) from error
        return {"number": issued.number, "file": str(self._context.folder.crls / f"{serial.hex().upper()}.crl")}

    async def _signed(self, serial: bytes) -> CrlIssued:
        return await self._ordered(serial, "")

    async def _ordered(self, serial: bytes, by: str) -> CrlIssued:
        outcome: asyncio.Future[CrlOutcome] = asyncio.get_running_loop().create_future()
        self._issuing.worker.order_crl(CrlOrder(serial, _settle(outcome), by))
        found = await outcome
        if found.issued is None:
            raise found.error or AtcaProvError("The list was not signed.", code=Code.INTERNAL)
        return found.issued


def _settle(future: asyncio.Future[Any]) -> Callable[[Any], None]:
    """Return what sets a result that may come after no one waits any more."""

    def settle(result: Any) -> None:
        if not future.done():
            future.set_result(result)

    return settle
