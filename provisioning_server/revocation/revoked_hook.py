"""A command of the factory that is told of each revocation, such as to take a device out of a cloud.

It is called at least once for each, in the order of the log, one at a time, after the revocation is on the disk. It
cannot stop or slow the server: it runs beside it, within a time limit, and is tried again after a pause that grows.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from atcaprov import durable_files
from atcaprov.errors import AtcaProvError
from atcaprov.log import Log
from provisioning_server.ledger.administration import Revoked
from provisioning_server.ledger.store import Ledger
from provisioning_server.log_names import device_text

LOOK_SECONDS: Final = 2.0
CALL_SECONDS: Final = 60.0
PAUSES: Final = (1.0, 5.0, 30.0, 60.0, 300.0)
"""After the first error, the second, and so on; then the last one again and again."""
_CURSOR: Final = "on-revoked.json"
_MODE: Final = 0o640


class RevokedHook:
    """Calls a command with one JSON object on its standard input for each revocation of a ledger."""

    def __init__(
        self,
        command: Sequence[str],
        data: Path,
        ledger: Ledger,
        log: Log,
        *,
        pauses: Sequence[float] = PAUSES,
        call_seconds: float = CALL_SECONDS,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._command = command
        self._cursor = data / _CURSOR
        self._ledger = ledger
        self._log = log
        self._pauses = pauses
        self._call_seconds = call_seconds
        self._look_seconds = look_seconds
        self._looked_at = -1
        self._errors = 0

    async def run(self) -> None:
        """Tell of revocations again and again; a ledger that has failed is not looked at any more."""
        while not self._ledger.failed:
            try:
                await self.tell_new()
            except (AtcaProvError, OSError) as error:
                self._log.error(f"The command for revocations is not called: {error}")
                return
            await asyncio.sleep(self._look_seconds)

    async def tell_new(self) -> None:
        """Tell of what was revoked since the last call; raises AtcaProvError as the ledger, OSError of the cursor."""
        newest = await asyncio.to_thread(self._ledger.administered.newest)
        if newest == self._looked_at:
            return
        revocations = await asyncio.to_thread(self._ledger.administered.revocations)
        for told in range(self._told(), len(revocations)):
            await self._until_taken(revocations[told])
            await asyncio.to_thread(self._keep, told + 1)
        self._looked_at = newest

    async def _until_taken(self, revoked: Revoked) -> None:
        while (error := await self._call(revoked)) is not None:
            pause = self._pauses[min(self._errors, len(self._pauses) - 1)]
            self._errors += 1
            name = device_text(revoked.chip_serial)
            self._log.warning(f"The command for the revocation of {name} failed: {error}. It is tried again.")
            await asyncio.sleep(pause)
        self._errors = 0

    async def _call(self, revoked: Revoked) -> str | None:
        """Call the command once; return what was wrong, or None."""
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(*self._command, stdin=pipe, stdout=nothing, stderr=nothing)
        except OSError as error:
            return error.strerror or str(error)
        try:
            async with asyncio.timeout(self._call_seconds):
                await process.communicate(json.dumps(revoked_object(revoked)).encode() + b"\n")
        except TimeoutError:
            return f"it did not end within {self._call_seconds:g} s"
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        return None if process.returncode == 0 else f"it ended with {process.returncode}"

    def _told(self) -> int:
        """Return how many revocations of this ledger the command has taken."""
        try:
            kept = json.loads(self._cursor.read_text(encoding="utf-8"))
            return int(kept["told"]) if kept["ledger"] == self._ledger_id else 0
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return 0  # at least once: of an unknown place it begins again

    def _keep(self, told: int) -> None:
        text = json.dumps({"ledger": self._ledger_id, "told": told}) + "\n"
        durable_files.replace(self._cursor, text.encode(), _MODE)

    @property
    def _ledger_id(self) -> str:
        return self._ledger.identity.ledger_id.hex()


def revoked_object(revoked: Revoked) -> dict[str, str | int]:
    """Return a revocation as an object for other programs: names are stable, new ones are added at the end."""
    return {
        "event": "revoked",
        "time": f"{revoked.time.isoformat()[:19]}Z",
        "chip_serial": revoked.chip_serial.hex().upper(),
        "signer_serial": revoked.signer_serial.hex().upper(),
        "certificate_serial": revoked.certificate_serial.hex().upper(),
        "certificate_index": revoked.certificate_index,
        "reason": revoked.reason,
        "note": revoked.note,
        "by": revoked.by,
    }
