"""The composition root: builds the parts of the server, runs them until it is stopped, and stops them cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime
from typing import Any

from atcaprov.errors import AtcaProvError, Code, UsageError
from atcaprov.program.signals import called_at_hangup, stopped_by_signals
from atcaprov.terminal.console import Console
from atcaprov.terminal.keys import Key
from provisioning_server.audit.chip_log_key import opened_log_key
from provisioning_server.control.drain import Drain
from provisioning_server.control.reload import Reload, TakeOver
from provisioning_server.guide_files.writer import GuideFilesWriter
from provisioning_server.internal_error import internal_error
from provisioning_server.issuing.rollback_guard import RollbackGuard
from provisioning_server.issuing.server_clock import ServerClock, check_clock
from provisioning_server.ledger.store import Ledger
from provisioning_server.operations.service_manager import ServiceManager
from provisioning_server.parts.context import ServerContext
from provisioning_server.parts.endpoints import Endpoints
from provisioning_server.parts.health_parts import health_parts
from provisioning_server.parts.issuing_parts import issuing_parts
from provisioning_server.parts.revocation_parts import RevocationParts
from provisioning_server.parts.signer_parts import SignerParts, signer_parts
from provisioning_server.passwords.automatic_unlock import require_all_ready
from provisioning_server.passwords.console_prompt import PasswordPrompt
from provisioning_server.products.signer_watch import watch_signers
from provisioning_server.program_log import ProgramLog
from provisioning_server.records.data_folder import DataFolder
from provisioning_server.settings import Settings
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.startup_checks import permission_warnings
from provisioning_server.stations.admission import Admission
from provisioning_server.stored_records import guide_files_writer, open_or_import
from provisioning_server.watched_ledger import LedgerWatch, watch_ledger


class ProvisioningServer:
    """A Provisioning Server: signers, a data folder, with or without a console."""

    def __init__(
        self,
        settings: Settings,
        signers: SignerRegistry,
        folder: DataFolder,
        log: ProgramLog,
        console: Console | None,
        manager: ServiceManager | None = None,
    ) -> None:
        """`manager` is told how the server is, if a service manager started it."""
        self._settings = settings
        self._signers = signers
        self._folder = folder
        self._log = log
        self._console = console
        self._manager = manager or ServiceManager()
        self._reload = Reload(log, self._manager)
        self._reload.add(self._reopened_log)
        self._stop = asyncio.Event()
        self._drain = Drain(self.stop, settings.limits.stop_seconds)
        self._fault: AtcaProvError | None = None

    async def run(self) -> None:
        """Serve until ESC, a signal or `stop`. Without a console a SIGHUP reloads the settings.

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
                with self._signals_heeded():
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

    @contextlib.contextmanager
    def _signals_heeded(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            if self._console is None:
                stack.enter_context(called_at_hangup(self._reload.soon))
                stack.enter_context(stopped_by_signals(self.stop, signal.SIGINT, signal.SIGTERM))
            else:
                stack.enter_context(stopped_by_signals(self.stop))
            yield

    def _reopened_log(self) -> TakeOver:
        """Go on in a new file at a reload, if the program log was renamed: no setting changes by that."""

        def take_over() -> list[str]:
            self._log.reopen()
            return []

        return take_over

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
        """Build all parts, run them until the end, and stop them."""
        clock = ServerClock(_now, lambda: ledger.newest)
        self._say_what_was_found(ledger, clock)
        writer.start()
        self._log.info("Signer Manager started.")
        asyncio.get_running_loop().set_exception_handler(self._log_fault)
        context = ServerContext(
            self._settings, self._folder, self._log, self._console, _now, self._manager, self._reload, self._drain,
            self._signers, ledger, watch, writer, clock, self._fail, Admission(_now),
        )  # fmt: skip
        issuing = issuing_parts(context)
        signers = signer_parts(context, issuing.threads)
        health = health_parts(context, signers, issuing.deadline)
        revocation = RevocationParts(context, issuing)
        endpoints = Endpoints(context, issuing, signers, health, revocation)
        try:
            self._log.info("Server starting...")
            await endpoints.start()
            self._manager.ready()
            watched = (
                watch.keeper.run(),
                health.deadline.watch(),
                health.alarm.watch(),
                health.ready_when(signers),
                endpoints.signs_of_life(),
                endpoints.follow_stations(),
                watch_signers(issuing.products, self._signers, self._log),
                *revocation.watched(),
            )
            await self._until_stopped(signers, *watched)
            self._log.info("Server stopping...")
        finally:
            self._manager.stopping()
            watcher_stopped = asyncio.create_task(signers.watcher.stop())
            self._drain.ended(await endpoints.drain(self._drain.seconds))
            issuing.queue.stop()  # what still waits for a module is refused, what a module is at gets its reply
            await endpoints.stop_requests()
            await watcher_stopped
            await signers.lifecycle.stop()
            await endpoints.stop_commands()
            await issuing.worker.stop()

    def _say_what_was_found(self, ledger: Ledger, clock: ServerClock) -> None:
        """Log what is wrong with the files and the clock; raises AtcaProvError as `check_clock`."""
        for warning in permission_warnings(self._settings, self._folder):
            self._log.warning(warning)
        check_clock(clock, ledger, self._settings.accept_clock, self._log)

    def _log_fault(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log an exception that no one handles, such as that of a callback."""
        self._log.error(f"Internal error: {context.get('message')} {context.get('exception')!r}")

    async def _until_stopped(self, signers: SignerParts, *besides: Coroutine[Any, Any, None]) -> None:
        parts = [self._look_after_signers(signers), *besides]
        if self._console is not None:
            parts.append(self._read_keys(self._console, signers.lifecycle.prompt))
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

    async def _look_after_signers(self, signers: SignerParts) -> None:
        """Get the signers ready and go on looking for modules."""
        lifecycle, watcher = signers.lifecycle, signers.watcher
        await lifecycle.start()
        await watcher.scan()
        if self._console is not None:
            await run_all(lifecycle.ask(), watcher.run())
            return
        await run_all(watcher.run(), self._require_all_ready(signers))

    async def _require_all_ready(self, signers: SignerParts) -> None:
        await signers.watcher.looked_at_first()
        if self._settings.web is None:
            require_all_ready(self._signers, signers.lifecycle.postponed)

    async def _read_keys(self, console: Console, prompt: PasswordPrompt) -> None:
        async with contextlib.aclosing(console.keys()) as keys:
            async for press in keys:
                if press.key in (Key.ESC, Key.INTERRUPT):
                    self.stop()
                prompt.press(press)


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
