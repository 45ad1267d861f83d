"""Where others reach the server: the port for clients, the web page, the control channel of commands."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Collection
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from atcaprov.errors import Code, UsageError
from atcaprov.missing_packages import extra_command
from atcaprov.web.login_links import ConsoleLinks, LinkFile
from provisioning_server.control.actions import ACTIONS, Administrator
from provisioning_server.control.server import ControlServer
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.ledger.open_ledger import open_for_reading
from provisioning_server.operations.signs_of_life import give_signs_of_life
from provisioning_server.operations.standing_warnings import Subject
from provisioning_server.orders.rate_limits import RateLimits
from provisioning_server.parts.context import ServerContext
from provisioning_server.parts.health_parts import HealthParts
from provisioning_server.parts.issuing_parts import IssuingParts
from provisioning_server.parts.metric_parts import Metered, metered
from provisioning_server.parts.revocation_parts import RevocationParts
from provisioning_server.parts.signer_parts import SignerParts
from provisioning_server.parts.station_parts import follow_other_servers, keep_served_address, station_authority
from provisioning_server.revocation.published_crls import PublishedCrls
from provisioning_server.server_status import ServerStatus, StatusSources
from provisioning_server.startup_checks import permission_warnings
from provisioning_server.transport.listener import Listener

REFUSED_SECONDS: Final = 2.0
"""For clients to read that their request is refused, when the time of a drain is over."""

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from provisioning_server.web.acts import RunCommand
    from provisioning_server.web.monitoring import Monitoring
    from provisioning_server.web.page import WebPage


class Endpoints:
    """Builds them, on the running loop; raises UsageError when the page is wanted and cannot be made."""

    def __init__(
        self,
        context: ServerContext,
        issuing: IssuingParts,
        signers: SignerParts,
        health: HealthParts,
        revocation: RevocationParts,
    ) -> None:
        self._context = context
        self._issuing = issuing
        self._health = health
        self._metered = metered(context, issuing, health, lambda: self._listener, lambda: self._rates)
        self._page = self._made_page(signers, revocation)
        self._rates = RateLimits(context.settings.rates, time.monotonic, context.log)
        self._stations = station_authority(context, issuing.worker)
        self._listener = self._made_listener()
        self._status = ServerStatus(self._status_sources(signers), context.now)
        self.administrator = Administrator(context.folder.path, context.now, issuing.worker.administer)
        self._control = ControlServer(context.folder.path, context.log)
        self._handle_commands(revocation)
        self._add_warnings(revocation)
        if self._stations is not None:
            self._stations.changed = self._listener.check_admissions
            self.administrator.followers.append(self._stations.refresh)

    def _add_warnings(self, revocation: RevocationParts) -> None:
        warnings, stations = self._health.warnings, self._stations
        warnings.add(Code.CRL_DUE, Subject.CERTIFICATES, revocation.warnings)
        if stations is not None:
            warnings.add(Code.TLS_CERTIFICATE_ENDS, Subject.SERVER, lambda: [stations.tls.trouble])
        warnings.add(Code.SERVER_BUSY, Subject.STATIONS, lambda: [self._rates.sentence], degrades=False)

    def _made_page(self, signers: SignerParts, revocation: RevocationParts) -> WebPage | None:
        context, health = self._context, self._health
        monitoring = functools.partial(_monitoring, health, self._metered)
        page = _web_page(context, signers, health, self._run, lambda: self._listener.stations, monitoring)
        if page is not None:
            page.add_public(functools.partial(_with_crls, revocation.published, context.now))
        return page

    def _made_listener(self) -> Listener:
        context, metered, submit = self._context, self._metered, self._issuing.worker.submit
        counted = submit if metered is None else metered.submit(submit)
        refused = None if metered is None else metered.metrics.refused
        return Listener(context.settings.limits, self._rates, counted, context.log, self._stations, refused)

    def _status_sources(self, signers: SignerParts) -> StatusSources:
        context, health = self._context, self._health
        return StatusSources(
            context.signers,
            context.ledger,
            health.health,
            health.readiness,
            lambda: self._listener.clients,
            lambda: self._listener.stations,
            functools.partial(_warnings, context, signers, health),
        )

    def _handle_commands(self, revocation: RevocationParts) -> None:
        control = self._control
        control.handle("status", self._status.answer)
        control.handle("reload", self._context.reload.answer)
        control.handle("drain", self._context.drain.answer)
        control.handle("web-link", self._web_link)
        for name, action in ACTIONS.items():
            control.handle(name, functools.partial(self.administrator.run, action))
        revocation.handle_commands(control)

    async def _run(self, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do what a command does, for the page."""
        return await self._control.run(command, arguments)

    async def _web_link(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Answer the command `web-link`."""
        if self._page is None:
            raise UsageError("This server has no web page.", advice="Start it with --web.")
        return self._page.answer_link(arguments)

    async def start(self) -> None:
        """Open them all; raises AtcaProvError."""
        log, settings, status = self._context.log, self._context.settings, self._status
        await self._control.start()
        if self._page is not None:
            status.web = await self._page.start()
            log.info(f"Web page at {status.web}.")
        status.addresses = await self._listener.start(settings.bind, settings.port)
        if self._stations is not None:
            keep_served_address(self._context, status.addresses[0])
        for address in status.addresses:
            log.info(f"Server listening on {address}.")

    async def follow_stations(self) -> None:
        """Follow what other servers on the ledger decide about stations, without end."""
        if self._stations is not None:
            await follow_other_servers(self._stations)

    async def signs_of_life(self) -> None:
        """Tell the service manager how the server is, without end."""
        await give_signs_of_life(self._context.manager, self._issuing.worker.answers, self._status.line)

    async def drain(self, seconds: float) -> int:
        """Accept no more clients, and let those with an open request get their reply; return how many have none."""
        self._health.readiness.draining()
        return await self._listener.drain(seconds)

    async def stop_requests(self) -> None:
        """Close what is left of the connections of clients and browsers."""
        stopping = [self._listener.stop(REFUSED_SECONDS)]
        await asyncio.gather(*stopping, *([self._page.stop()] if self._page is not None else []))

    async def stop_commands(self) -> None:
        """Accept no more commands; open ones end."""
        await self._control.stop()


def _web_page(
    context: ServerContext,
    signers: SignerParts,
    health: HealthParts,
    run: RunCommand,
    connected: Callable[[], Collection[str]],
    monitoring: Callable[[], Monitoring],
) -> WebPage | None:
    """Return the page, if it is wanted, which does not listen yet; raises UsageError."""
    address, log = context.settings.web, context.log
    if address is None:
        return None
    links = LinkFile(context.folder.path, log) if context.console is None else ConsoleLinks(log.say)
    try:
        from provisioning_server.web.page import WebPage  # a server without the page needs no packages for it
    except ImportError as error:
        raise UsageError(
            f"The web page needs the Python package {error.name}, which is missing.",
            advice=f"Install it: {extra_command('web')}",
            code=Code.LIBRARY_MISSING,
        ) from error
    data = context.folder.path
    place = LedgerPlace(data, context.settings.ledger)
    opened = functools.partial(open_for_reading, place.ledger, check=False)
    unlock_service = signers.lifecycle.unlock_service
    return WebPage(
        address, health.overview, unlock_service, health.health, log, links, opened, data, run, connected, monitoring()
    )


def _warnings(context: ServerContext, signers: SignerParts, health: HealthParts) -> list[str]:
    """Return what someone should look at, for the status; what is about a signer stands there."""
    unusable = [f"{url} cannot be used: {why}" for url, why in signers.watcher.unusable().items()]
    standing = [warning.text for warning in health.warnings.now()]
    return [*standing, *permission_warnings(context.settings, context.folder), *unusable]


def _monitoring(health: HealthParts, metered: Metered | None) -> Monitoring:
    """Return the pages for programs; with the page's packages only."""
    from provisioning_server.web.monitoring import MetricsPage, Monitoring

    page = None
    if metered is not None:
        from provisioning_server.operations.metrics import CONTENT_TYPE

        page = MetricsPage(metered.metrics.page, CONTENT_TYPE, metered.access.token)
    return Monitoring(health.health, health.readiness.look, page)


def _with_crls(published: PublishedCrls, now: Callable[[], datetime], application: ASGIApp) -> ASGIApp:
    """Return what gives lists of revoked certificates to anyone, and hands on the rest to the page."""
    from provisioning_server.web.crl_route import CrlRoute  # a server without the page needs no packages for it

    return CrlRoute(application, published, now)
