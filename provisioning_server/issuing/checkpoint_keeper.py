"""Signs the newest checkpoint of the ledger's log for clients, and keeps it beside the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from atcaprov.errors import AtcaProvError, Code
from atcaprov.log import Log
from provisioning_server.audit.log_signer import LogSigner
from provisioning_server.ledger.checkpoint_file import CheckpointFile

KEPT_AFTER_SECONDS: Final = 5.0
"""So much of the newest entries may an older database lack without being noticed by the file."""


class CheckpointKeeper:
    """Writes the file every few seconds, unless the ledger is behind: then it keeps what shows that."""

    def __init__(self, signer: LogSigner, file: CheckpointFile, is_behind: Callable[[], bool], log: Log) -> None:
        self._signer = signer
        self._file = file
        self._is_behind = is_behind
        self._log = log
        self._trouble = ""

    def newest(self) -> bytes:
        """Return a recent checkpoint, as it is sent, the newest unless a chip signs them.

        Empty if that chip cannot be reached. From any thread; raises AtcaProvError as the ledger.
        """
        try:
            return self._signer.recent().to_bytes()
        except AtcaProvError as error:
            if error.code == Code.RECORDS_FAILED:
                raise
            self._say_once(error)  # the chip that signs them is away: boards need not wait for it
            return b""

    def log_key(self) -> bytes:
        """Return the verifier key that signs it, as it is sent; from any thread."""
        return str(self._signer.verifier_key).encode()

    async def run(self) -> None:
        """Keep the newest checkpoint until cancelled."""
        while True:
            await asyncio.to_thread(self.keep)
            await asyncio.sleep(KEPT_AFTER_SECONDS)

    def keep(self) -> None:
        """Keep the newest checkpoint now. What fails is logged once; the next time may succeed."""
        if self._is_behind():
            return
        try:
            self._file.write(self._signer.recent().to_bytes())
            self._trouble = ""
        except AtcaProvError as error:
            self._say_once(error)
            if error.code == Code.LEDGER_BEHIND:
                self._keep_seen()

    def _keep_seen(self) -> None:
        """Keep what the ledger was before it went back: the next start compares it with that."""
        try:
            self._file.write(self._signer.seen().to_bytes())
        except AtcaProvError as error:
            self._say_once(error)

    def _say_once(self, error: AtcaProvError) -> None:
        if str(error) != self._trouble:
            self._trouble = str(error)
            self._log.error(str(error))
