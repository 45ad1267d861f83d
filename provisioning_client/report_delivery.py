"""Send the reports that wait on this station. What fails here never changes the fate of a board."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from atcaprov.errors import AtcaProvError, Code, ServerRejected, UsageError
from atcaprov.provisioning.board_report import Acknowledgement, BoardReport
from atcaprov.provisioning.server_choice import in_order
from atcaprov.provisioning.server_exchange import send_report
from atcaprov.provisioning.tcp_client import REPORT_SECONDS, TcpClient
from provisioning_client.output import Output
from provisioning_client.report_spool import DAMAGED, REFUSED, ReportSpool

ROUND_SECONDS: Final = 1.0
"""How long reports are sent in a row before the station looks for boards again; the last one may take longer."""
_NEVER: Final = frozenset({Code.REPORT_MISMATCH, Code.REPORT_DIFFERS, Code.PROOF_INVALID})
"""The server's codes for a report that it will never take."""
_LOG: Final = logging.getLogger(__name__)


def _ignore(_: Acknowledgement) -> None:
    """Take no notice."""


class ReportDelivery:
    """Sends waiting reports over the connections of a client to its servers."""

    def __init__(
        self,
        spool: ReportSpool,
        functions: TcpClient,
        output: Output,
        acknowledged: Callable[[Acknowledgement], None] = _ignore,
    ) -> None:
        """`acknowledged` is called for each report that the server has recorded, before its file is taken out."""
        self._spool = spool
        self._functions = functions
        self._output = output
        self._acknowledged = acknowledged
        self._passed_over: set[str] = set()
        """Names of reports that this server did not send the challenge of, or that cannot be read."""
        self._pointless_with: int | None = None
        """The server takes no reports at all; how many had been kept when it said so."""

    def deliver(self) -> None:
        """Send what waits, the oldest first, until the server fails; what is left waits for the next call.

        It returns within about three seconds, whatever the server does: no board stands still for reports.
        """
        if self._pointless_with == self._spool.kept:
            return  # an older server, which has sent no challenge since
        try:
            waiting = [path for path in self._spool.waiting() if path.name not in self._passed_over]
        except UsageError as error:
            self._output.warning(error)
            return
        failed: dict[str, AtcaProvError] = {}
        end, handled = time.monotonic() + ROUND_SECONDS, 0
        for path in waiting:
            handled += self._deliver(path, failed)
            if time.monotonic() >= end or len(failed) >= len(self._functions.servers):
                break
        for failure in failed.values():
            _LOG.info("%d reports wait: %s", len(waiting) - handled, failure)
            self._output.reports_wait(len(waiting) - handled, failure)
            return

    def _deliver(self, path: Path, failed: dict[str, AtcaProvError]) -> bool:
        """Send one report; return whether it needs no further try in this round.

        `failed` gets the error for which it has to wait, under its server: others of that server wait as well.
        """
        report = self._read(path)
        if report is None:
            return True
        if report.server in failed:
            return False
        failure = self._handled(path, report)
        if failure is not None:
            failed[report.server] = failure
        return failure is None

    def _handled(self, path: Path, report: BoardReport) -> AtcaProvError | None:
        """Send one report and take it out; return the error for which it has to wait."""
        try:
            with self._functions.limited_to(REPORT_SECONDS):
                answer = self._sent(report)
        except ServerRejected as error:
            return self._rejected(path, report, error)
        except AtcaProvError as error:
            return error
        self._take_out(path)
        _LOG.info("The server has recorded the report on chip %s.", report.serial_number.hex().upper())
        self._output.report_recorded(report, proven=answer.proven)
        return None

    def _sent(self, report: BoardReport) -> Acknowledgement:
        """Send a report to the server that issued the certificate; if that is away, to the others: one may be on its
        ledger. Raises as `send_report`; the error of the first server if no other one takes it."""
        functions, first_error = self._functions, None
        before = functions.server
        try:
            for server in self._servers_for(report):
                functions.use_server(server)
                try:
                    answer = send_report(functions, report)
                    self._acknowledged(answer)
                    return answer
                except AtcaProvError as error:
                    first_error = first_error or error
                    if isinstance(error, ServerRejected) and error.code != Code.CHALLENGE_UNKNOWN:
                        raise
            assert first_error is not None, "there is always a server"
            raise first_error
        finally:
            functions.use_server(before)

    def _servers_for(self, report: BoardReport) -> tuple[str, ...]:
        order = in_order(self._functions)
        own = [server for server in order if server == report.server]
        return *own, *(server for server in order if server not in own)

    def _take_out(self, path: Path) -> None:
        try:
            self._spool.recorded(path)
        except (OSError, UsageError) as error:  # it is sent again at the next start, and recorded once
            self._passed_over.add(path.name)
            _LOG.warning("%s is recorded, but stays: %s", path, error)

    def _read(self, path: Path) -> BoardReport | None:
        """Return a report; set a damaged one aside, and pass over one that cannot be read."""
        try:
            return self._spool.read(path)
        except UsageError as error:
            if error.code == Code.FILE_INVALID:
                error.what = f"{path.name} in {path.parent}: {error.what}"
                self._set_aside(path, DAMAGED, error)
            elif path.exists():
                self._passed_over.add(path.name)
                self._output.warning(error)
            return None  # gone: another client of this station has sent it

    def _rejected(self, path: Path, report: BoardReport, error: ServerRejected) -> AtcaProvError | None:
        if error.code in _NEVER:
            self._set_aside(path, REFUSED, error)
        elif error.code == Code.CHALLENGE_UNKNOWN:
            self._passed_over.add(path.name)
            self._output.report_passed_over(report, error)
        else:
            if error.code == Code.UNEXPECTED_MESSAGE:
                self._pointless_with = self._spool.kept
            return error
        return None

    def _set_aside(self, path: Path, ending: str, error: AtcaProvError) -> None:
        try:
            aside = self._spool.set_aside(path, ending)
        except OSError as failure:
            self._passed_over.add(path.name)
            error.advice = f"It cannot be set aside: {failure.strerror or failure}."
        else:
            error.advice = f"It is set aside as {aside.name} and not sent again. Boards are not affected."
        self._output.warning(error)
