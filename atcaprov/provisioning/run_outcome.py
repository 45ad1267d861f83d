"""Keep what the server is told about a run: how its stages ended, how long they took, what became of the board."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from atcaprov.errors import AtcaProvError, Board, Code
from atcaprov.provisioning.board_report import BoardReport
from atcaprov.provisioning.preflight import Preflight
from atcaprov.stages import Stage, StageStatus
from atcaprov.wire.fields import MILLISECONDS_MAX, ReportedStage
from atcaprov.wire.messages import TIME_MAX, ReportRequest

_ENDS: Final = frozenset({StageStatus.SKIPPED, StageStatus.DONE, StageStatus.ERROR})


class RunOutcome:
    """Told of each stage of one run; makes its report."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = 0.0
        self._stages: list[ReportedStage] = []

    def notice(self, stage: Stage, status: StageStatus) -> None:
        """Take the progress of a stage."""
        now = self._clock()
        if status in _ENDS:
            spent = 0.0 if status is StageStatus.SKIPPED else now - self._begun
            milliseconds = min(max(0, round(spent * 1000)), MILLISECONDS_MAX)
            self._stages.append(ReportedStage(stage.value, str(status), milliseconds))
        self._begun = now

    def report(self, flight: Preflight, error: BaseException | None) -> BoardReport | None:
        """Return the report of a run that has ended, with `error` or well; None if the server wants none."""
        reply = flight.challenged
        if reply is None:
            return None
        fate, code = _fate(error)
        proof = flight.proof if error is None else None
        request = ReportRequest(
            flight.serial_number,
            hashlib.sha256(reply.device_certificate).digest(),
            reply.challenge,
            str(fate),
            tuple(self._stages),
            min(max(0, int(datetime.now(UTC).timestamp())), TIME_MAX),
            signature=b"" if proof is None else proof.signature,
            contents_sha256=b"" if proof is None else proof.contents_sha256,
            code=code,
            request_id=flight.details.request_id,
        )
        return BoardReport(request, reply.device_certificate, flight.challenged_by)


def _fate(error: BaseException | None) -> tuple[Board, str]:
    if error is None:
        return Board.GOOD, ""
    if isinstance(error, AtcaProvError):
        return error.board, error.code
    return Board.RETRY, str(Code.INTERRUPTED if isinstance(error, KeyboardInterrupt | SystemExit) else Code.INTERNAL)
