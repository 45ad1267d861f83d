"""A TCP client that keeps the newest checkpoint of its server's ledger, and refuses a server that is behind it."""

from __future__ import annotations

from pathlib import Path

from atcaprov.provisioning.board_report import Acknowledgement
from atcaprov.provisioning.tcp_client import TcpClient
from atcaprov.transparency.verifier_keys import VerifierKey
from provisioning_client.known_checkpoints import KnownCheckpoints


class CheckpointClient(TcpClient):
    """What a run and a plan share of their server's ledger."""

    def __init__(
        self, host: str, port: int, checkpoints: Path | None = None, log_key: VerifierKey | None = None
    ) -> None:
        """`checkpoints` is the folder that keeps them, if any does; `log_key` is what the log must be signed by."""
        super().__init__(host, port)
        self._known = (
            None if checkpoints is None else KnownCheckpoints(checkpoints, f"{host}:{port}", self.warning, log_key)
        )

    def connect(self) -> None:
        """Connect, perhaps to another server than before."""
        if self._known is not None:
            self._known.disconnected()
        super().connect()

    def known_checkpoint(self) -> bytes:
        """Return the newest checkpoint for a server that takes one."""
        return b"" if self._known is None else self._known.to_show()

    def ledger_seen(self, checkpoint: bytes, log_key: bytes) -> None:
        """Refuse a server that is behind; keep what is newer."""
        if self._known is not None:
            self._known.seen(checkpoint, log_key)

    def acknowledged(self, answer: Acknowledgement) -> None:
        """Keep the checkpoint that came with the acknowledgement of a report; raises nothing."""
        if self._known is not None:
            self._known.acknowledged(answer.checkpoint)
