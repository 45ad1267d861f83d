"""The signers of a ledger and their lists, as rows for people and as fields for programs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.log_names import time_text
from provisioning_server.revocation.crl_state import CrlDue, CrlState, crl_state


@dataclass(frozen=True, slots=True)
class CrlRow:
    """A signer, how many of its certificates are revoked, and the state of its list."""

    name: str
    revoked: int
    state: CrlState

    def fields(self) -> dict[str, Any]:
        """Return it for programs: names are stable, new ones are added at the end."""
        newest = self.state.newest
        return {
            "signer_serial": self.state.signer_serial.hex().upper(),
            "signer_name": self.name,
            "revoked": self.revoked,
            "number": None if newest is None else newest.number,
            "this_update": None if newest is None else time_text(newest.this_update),
            "next_update": None if newest is None else time_text(newest.next_update),
            "due": None if self.state.due is CrlDue.NO else str(self.state.due),
        }

    def line(self) -> str:
        """Return it for people."""
        newest = self.state.newest
        valid = "no list" if newest is None else f"CRL {newest.number}, valid until {time_text(newest.next_update)}"
        due = "" if self.state.due is CrlDue.NO else f", due: {self.state.due}"
        return f"{self.state.signer_serial.hex().upper()}  {self.name}  revoked: {self.revoked}  {valid}{due}"


def crl_rows(ledger: SqlLedger, now: datetime) -> list[CrlRow]:
    """Return the signers that have issued certificates or signed lists."""
    names = {each.signer_serial: each.signer_name for each in ledger.by_signer()}
    serials = [*names, *(each.signer_serial for each in ledger.administered.newest_crls())]
    return [
        CrlRow(names.get(serial, "-"), len(ledger.administered.revocations(serial)), crl_state(ledger, serial, now))
        for serial in dict.fromkeys(serials)
    ]
