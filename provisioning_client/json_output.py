"""JSON lines for scripts: one object for each event."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

from atcaprov.chip.parts import part_name
from atcaprov.errors import AtcaProvError, Board
from atcaprov.provisioning.board_report import BoardReport
from atcaprov.provisioning.provision import Provisioned
from atcaprov.stages import Stage, StageStatus
from provisioning_client.output import Output, Write


class JsonOutput(Output):
    """One JSON object per line; readers ignore keys and events that they do not know."""

    VERSION: Final = 1

    def __init__(self, write: Write) -> None:
        self._write = write
        self._serial_number = ""
        self._request = ""
        self._server = ""
        self._station = ""
        self._step = ""

    def step_begins(self, text: str) -> None:
        """Keep the text for the end of the step."""
        self._step = text

    def step_ends(self, *, good: bool) -> None:
        """Write a `step` event."""
        self._event("step", text=self._step, status="ok" if good else "error")

    def escape_hint(self) -> None:
        """Write nothing."""

    def hint(self, error: AtcaProvError) -> None:
        """Write a `hint` event."""
        self._event("hint", code=error.code, message=error.what, advice=error.advice)

    def board_found(self, serial_number: bytes, url: str) -> None:
        """Write a `board` event."""
        self._serial_number, self._request = serial_number.hex().upper(), ""
        self._event("board", sn=self._serial_number, device=url)

    def run_begins(self, request_id: bytes) -> None:
        """Keep the id for what follows of the board."""
        self._request = request_id.hex()

    def server_used(self, server: str, station: str) -> None:
        """Keep both for the result."""
        self._server, self._station = server, station

    def server_busy(self, seconds: float, error: AtcaProvError) -> None:
        """Write a `busy` event."""
        asked = self._asked()
        self._event("busy", **asked, seconds=round(seconds, 1), code=error.code, message=error.what)

    def address_changes(self, address: int, url: str) -> None:
        """Write an `address` event."""
        self._event("address", sn=self._serial_number, address=f"0x{address:02X}", device=url)

    def stage(self, stage: Stage, status: StageStatus) -> None:
        """Write a `stage` event."""
        self._event(
            "stage", sn=self._serial_number, request=self._request, n=stage.value, stage=stage.name, status=str(status)
        )

    def board_good(self, result: Provisioned, *, software: bool | None = False) -> None:
        """Write a `result` event with result pass."""
        self._event(
            "result",
            **self._asked(),
            result="pass",
            board=str(Board.GOOD),
            software=software,
            done_before=result.was_done_before,
            part=part_name(result.revision),
            revision=result.revision.hex(),
            config_revision=result.config_revision.hex(),
        )

    def board_failed(self, error: AtcaProvError, *, software: bool | None = False) -> None:
        """Write a `result` event with result fail."""
        self._event(
            "result",
            **self._asked(),
            result="fail",
            board=str(error.board),
            software=software,
            code=error.code,
            message=error.what,
            advice=error.advice,
        )

    def warning(self, error: AtcaProvError) -> None:
        """Write a `warning` event."""
        self._event("warning", code=error.code, message=error.what, advice=error.advice)

    def report_recorded(self, report: BoardReport, *, proven: bool) -> None:
        """Write a `report` event with status recorded."""
        self._report(report, "recorded", proven=proven)

    def report_passed_over(self, report: BoardReport, error: AtcaProvError) -> None:
        """Write a `report` event with status other-server."""
        self._report(report, "other-server", code=error.code, message=error.what)

    def reports_wait(self, number: int, error: AtcaProvError) -> None:
        """Write a `reports` event."""
        self._event("reports", waiting=number, code=error.code, message=error.what)

    def _asked(self) -> dict[str, str]:
        return {
            "sn": self._serial_number,
            "request": self._request,
            "server": self._server,
            "station": self._station,
        }

    def _report(self, report: BoardReport, status: str, **fields: Any) -> None:
        self._event(
            "report",
            sn=report.serial_number.hex().upper(),
            status=status,
            request=report.request.request_id.hex(),
            fate=str(report.fate),
            **fields,
        )

    def board_removed(self) -> None:
        """Write a `removed` event."""
        self._event("removed", sn=self._serial_number)
        self._serial_number = ""

    def quit(self) -> None:
        """Write nothing: `summary` follows."""

    def cannot_begin(self, error: AtcaProvError) -> None:
        """Write an `error` event."""
        self._event("error", code=error.code, message=error.what, advice=error.advice)

    def ended(self, good: int, failed: int, *, software: int = 0) -> None:
        """Write the `summary` event."""
        self._event("summary", done=good, failed=failed, software=software)

    def _event(self, name: str, **fields: Any) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._write(json.dumps({"v": self.VERSION, "event": name, "ts": now, **fields}) + "\n")
