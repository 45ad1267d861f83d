"""The composition root: builds the parts of the server, runs them until it is stopped, and stops them cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from atcaprov.errors import AtcaProvError, Code, UsageError
from atcaprov.missing_packages import extra_command
from atcaprov.program.signals import stopped_by_signals
from atcaprov.terminal.console import Console
from atcaprov.terminal.keys import Key
from atcaprov.web.login_links import ConsoleLinks, LinkFile
from atcaprov.wire.messages import ErrorReply
from provisioning_server import rejections
from provisioning_server.audit.chip_log_key import opened_log_key
from provisioning_server.control.server import ControlServer
from provisioning_server.guide_files.writer import GuideFilesWriter
from provisioning_server.internal_error import internal_error
from provisioning_server.issuing.authority import Authority
from provisioning_server.issuing.proof_deadline import ProofDeadline
from provisioning_server.issuing.rollback_guard import RollbackGuard
from provisioning_server.issuing.server_clock import ServerClock, check_clock
from provisioning_server.issuing.signing_queue import SigningQueue
from provisioning_server.issuing.signing_thread import SigningThreads
from provisioning_server.issuing.worker import IssuingWorker
from provisioning_server.ledger.store import Ledger, SignerTally
from provisioning_server.lifecycle.module_watcher import ModuleWatcher
from provisioning_server.lifecycle.signer_lifecycle import SignerLifecycle
from provisioning_server.lifecycle.signer_sources import (
    ModuleFolder,
    NamedHsms,
    NamedModules,
    PluggedKits,
    SignerSource,
    open_signer,
)
from provisioning_server.passwords.automatic_unlock import require_all_ready
from provisioning_server.passwords.console_prompt import PasswordPrompt
from provisioning_server.passwords.given_passwords import GivenPasswords
from provisioning_server.passwords.password_choice import PasswordChoice
from provisioning_server.passwords.unlock_service import UnlockService
from provisioning_server.program_log import ProgramLog
from provisioning_server.records.data_folder import DataFolder
from provisioning_server.records.server_id import server_id
from provisioning_server.records.signer_documents import SignerDocuments
from provisioning_server.server_status import ServerStatus, StatusSources
from provisioning_server.settings import Settings
from provisioning_server.signers.hsm import HsmSigner
from provisioning_server.signers.module_pins import ModulePins
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.startup_checks import permission_warnings
from provisioning_server.stored_records import guide_files_writer, open_or_import
from provisioning_server.transport.listener import Listener
from provisioning_server.watched_ledger import LedgerWatch, watch_ledger
from provisioning_server.web.health import HealthCheck
from provisioning_server.web.views import SignerOverview

if TYPE_CHECKING:
    from provisioning_server.web.page import WebPage


class ProvisioningServer:
    """A Provisioning Server: signers, a data folder, with or without a console."""

    def __init__(
        self, settings: Settings, signers: SignerRegistry, folder: DataFolder, log: ProgramLog, console: Console | None
    ) -> None:
        self._settings = settings
        self._signers = signers
        self._folder = folder
        self._log = log
        self._console = console
        self._stop = asyncio.Event()
        self._fault: AtcaProvError | None = None

    async def run(self) -> None:
        """Serve until ESC, a signal or `stop`.

        Raises:
            AtcaProvError: it could not start, a key file turned out to be damaged, or a part of the server failed that
                cannot be restarted.
        """
        if self._console is not None:
            self._log.say("Press ESC to quit.")
        self._log.info("Provisioning Server started.")
        with (
            contextlib.closing(open_or_import(self._folder, _now(), self._log, self._settings.ledger)) as ledger,
            opened_log_key(self._folder.path, ledger, self._settings.log_chip) as key,
        ):
            watch = watch_ledger(ledger, self._folder, key, self._signers, self._log, _now)
            writer = self._guide_files_writer(ledger, watch.guard)
            try:
                with stopped_by_signals(self.stop):
                    await self._serve(ledger, writer, watch)
            finally:
                await asyncio.to_thread(writer.stop)
                watch.keeper.keep()
        self._log.info("Provisioning Server stopped.")
        if self._fault is not None:
            raise self._fault

    def stop(self) -> None:
        """Stop cleanly; on the loop of `run`."""
        self._stop.set()

    def _guide_files_writer(self, ledger: Ledger, guard: RollbackGuard) -> GuideFilesWriter:
        try:
            writer = guide_files_writer(self._folder, ledger, self._log)
        except UsageError as error:
            if error.code == Code.RECORD_MISSING:
                guard.compare_files(error)
            raise
        guard.compare_files(None)
        return writer

    async def _serve(self, ledger: Ledger, writer: GuideFilesWriter, watch: LedgerWatch) -> None:
        clock = ServerClock(_now, lambda: ledger.newest)
        self._say_what_was_found(ledger, clock)
        writer.start()
        self._log.info("Signer Manager started.")
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._log_fault)
        queue = SigningQueue(self._signers, lambda event: worker.tell(event))
        authority = Authority(
            self._signers,
            ledger,
            self._log,
            _now,
            server=server_id(self._folder.path),
            alone=self._settings.ledger is None,
            slow_signers=queue,
            listener=writer,
            guard=watch.guard,
            checkpoint=watch.keeper.newest,
            log_key=watch.keeper.log_key,
            allow_rekey=self._settings.allow_rekey,
            zones=self._settings.config_zones,
        )
        worker = IssuingWorker(authority, loop, self._fail)
        threads = SigningThreads(self._signers, queue, self._log, _now)
        lifecycle = SignerLifecycle(self._signers, threads, self._log, _now, self._password_choice())
        pins = ModulePins(self._folder.modules)
        watcher = ModuleWatcher(
            self._sources(), self._signers, lifecycle, self._log, functools.partial(open_signer, pins=pins)
        )
        trouble = functools.partial(_trouble, ledger, clock, watch.guard)
        deadline = ProofDeadline(ledger, self._settings.proof_within, _now, self._log)
        overview = SignerOverview(
            self._signers,
            lifecycle.unlock_service,
            functools.partial(_tally, ledger),
            watcher.unusable,
            trouble,
            lambda: deadline.sentence,
        )
        health = HealthCheck(self._signers, trouble, lambda: writer.trouble, lambda: deadline.sentence)
        page = self._web_page(overview, lifecycle.unlock_service, health)
        listener = Listener(self._settings.limits, worker.submit, self._log)
        control = ControlServer(self._folder.path, self._log)
        status = ServerStatus(StatusSources(self._signers, ledger, health, lambda: listener.clients), _now)
        control.handle("status", status.answer)
        try:
            self._log.info("Server starting...")
            await control.start()
            if page is not None:
                status.web = await page.start()
                self._log.info(f"Web page at {status.web}.")
            for address in await listener.start(self._settings.bind, self._settings.port):
                status.addresses.append(address)
                self._log.info(f"Server listening on {address}.")
            await self._until_stopped(lifecycle, watcher, watch.keeper.run(), deadline.watch())
            self._log.info("Server stopping...")
        finally:
            bay_stopped = asyncio.create_task(watcher.stop())
            queue.stop()  # what waits for a module is refused now, what a module is at gets its reply
            await asyncio.gather(listener.stop(), *([page.stop()] if page is not None else []))
            await bay_stopped
            await lifecycle.stop()
            await control.stop()
            await worker.stop()

    def _say_what_was_found(self, ledger: Ledger, clock: ServerClock) -> None:
        """Log what is wrong with the files and the clock; raises AtcaProvError as `check_clock`."""
        for warning in permission_warnings(self._settings, self._folder):
            self._log.warning(warning)
        check_clock(clock, ledger, self._settings.accept_clock, self._log)

    def _password_choice(self) -> PasswordChoice:
        settings = self._settings
        places = len(settings.modules) + sum(HsmSigner.is_at(folder) for folder in settings.signer_folders)
        return PasswordChoice(GivenPasswords(settings.passwords, settings.credentials), places)

    def _web_page(self, overview: SignerOverview, unlock_service: UnlockService, health: HealthCheck) -> WebPage | None:
        """Return the page, if it is wanted, which does not listen yet; raises UsageError."""
        if self._settings.web is None:
            return None
        links = LinkFile(self._folder.path, self._log) if self._console is None else ConsoleLinks(self._log.say)
        try:
            from provisioning_server.web.page import WebPage  # a server without the page needs no packages for it
        except ImportError as error:
            raise UsageError(
                f"The web page needs the Python package {error.name}, which is missing.",
                advice=f"Install it: {extra_command('web')}",
                code=Code.LIBRARY_MISSING,
            ) from error
        return WebPage(self._settings.web, overview, unlock_service, health, self._log, links)

    def _log_fault(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log an exception that no one handles, such as that of a callback."""
        self._log.error(f"Internal error: {context.get('message')} {context.get('exception')!r}")

    async def _until_stopped(
        self, lifecycle: SignerLifecycle, watcher: ModuleWatcher, *besides: Coroutine[Any, Any, None]
    ) -> None:
        parts = [self._look_after_signers(lifecycle, watcher), *besides]
        if self._console is not None:
            parts.append(self._read_keys(self._console, lifecycle.prompt))
        work = asyncio.create_task(run_all(*parts))
        work.add_done_callback(self._work_ended)
        await self._stop.wait()
        work.cancel()
        await asyncio.wait([work])

    def _work_ended(self, work: asyncio.Task[None]) -> None:
        if not work.cancelled() and (error := work.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Stop, and let `run` raise the first error; on the loop."""
        if not isinstance(error, AtcaProvError):
            self._log.error(f"The server stops: {internal_error(error)}")
        self._fault = self._fault or internal_error(error)
        self.stop()

    async def _look_after_signers(self, lifecycle: SignerLifecycle, watcher: ModuleWatcher) -> None:
        """Get the signers ready and go on looking for modules."""
        await lifecycle.start()
        await watcher.scan()
        if self._console is not None:
            await run_all(lifecycle.ask(), watcher.run())
            return
        await run_all(watcher.run(), self._require_all_ready(watcher, lifecycle))

    async def _require_all_ready(self, watcher: ModuleWatcher, lifecycle: SignerLifecycle) -> None:
        await watcher.looked_at_first()
        if self._settings.web is None:
            require_all_ready(self._signers, lifecycle.postponed)

    def _sources(self) -> list[SignerSource]:
        settings = self._settings
        sources: list[SignerSource] = []
        if settings.modules:
            sources.append(NamedModules(settings.modules))
        if settings.module_folder is not None:
            sources.append(ModuleFolder(settings.module_folder))
        if settings.scan:
            sources.append(PluggedKits())
        hsms = [folder for folder in settings.signer_folders if HsmSigner.is_at(folder)]
        if hsms:
            sources.append(NamedHsms(hsms))
        return sources

    async def _read_keys(self, console: Console, prompt: PasswordPrompt) -> None:
        async with contextlib.aclosing(console.keys()) as keys:
            async for press in keys:
                if press.key in (Key.ESC, Key.INTERRUPT):
                    self.stop()
                prompt.press(press)


def _trouble(
    ledger: Ledger, clock: ServerClock, guard: RollbackGuard, documents: SignerDocuments | None
) -> ErrorReply | None:
    """Return why a signer that is ready issues nothing; without documents why none does."""
    try:
        if not ledger.has_room():
            return rejections.DISK_FULL
    except AtcaProvError as error:
        return rejections.LEDGER_BEHIND if error.code == Code.LEDGER_BEHIND else rejections.RECORDS_FAILED
    return rejections.LEDGER_BEHIND if guard.is_behind else clock.doubt(documents)


def _tally(ledger: Ledger, signer_serial: bytes) -> SignerTally | None:
    """Return what the page shows of a signer; nothing of a ledger that has failed."""
    try:
        return ledger.tally(signer_serial)
    except AtcaProvError:
        return None


def _now() -> datetime:
    return datetime.now(UTC)


async def run_all(*work: Coroutine[Any, Any, None]) -> None:
    """Run until all have ended or one fails; then the others are cancelled, and its error is raised."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
