"""A TCP client that keeps the newest checkpoint of each server's ledger, and refuses a server that is behind it."""

from __future__ import annotations

from pathlib import Path

from atcaprov.provisioning.board_report import Acknowledgement
from atcaprov.provisioning.server_access import ServerAccess
from atcaprov.provisioning.tcp_client import TcpClient
from atcaprov.transparency.ledger_checkpoint import LedgerIdentity
from atcaprov.transparency.verifier_keys import VerifierKey
from provisioning_client.known_checkpoints import KnownCheckpoints


class CheckpointClient(TcpClient):
    """What a run and a plan share of their servers' ledgers."""

    def __init__(
        self,
        access: ServerAccess,
        checkpoints: Path | None = None,
        log_key: VerifierKey | None = None,
    ) -> None:
        """`checkpoints` is the folder that keeps them, if any does; `log_key` is what the log must be signed by."""
        super().__init__(servers=access.servers, station=access.station)
        self._known = (
            {}
            if checkpoints is None
            else {server: KnownCheckpoints(checkpoints, server, self.warning, log_key) for server in self.servers}
        )

    def connect(self) -> None:
        """Connect, perhaps to another server than before."""
        if self._known:
            self._known[self.server].disconnected()
        super().connect()

    def known_checkpoint(self) -> bytes:
        """Return the newest checkpoint for a server that takes one."""
        return self._known[self.server].to_show() if self._known else b""

    def known_ledger(self, server: str) -> LedgerIdentity | None:
        """Return the ledger of which a server has sent checkpoints, also to earlier runs of this station."""
        return self._known[server].ledger() if self._known else None

    def ledger_seen(self, checkpoint: bytes, log_key: bytes) -> None:
        """Refuse a server that is behind; keep what is newer."""
        if self._known:
            self._known[self.server].seen(checkpoint, log_key)

    def acknowledged(self, answer: Acknowledgement) -> None:
        """Keep the checkpoint that came with the acknowledgement of a report; raises nothing."""
        if self._known:
            self._known[self.server].acknowledged(answer.checkpoint)
