"""Why the chip refused a command: for people and tests; it is never sent."""

from __future__ import annotations

from atcaprov.chip.commands import Status


class Refusal(Exception):  # noqa: N818 - it is the chip's answer, not an error of the program
    """One refused command: the status byte that goes out, and the reason that stays in.

    `rule` says in words why the command is not allowed; `slot` and `bit` name the slot and the configuration bit
    that decided, if there is one.
    """

    def __init__(self, status: int, rule: str, *, slot: int | None = None, bit: str | None = None) -> None:
        super().__init__(status, rule, slot, bit)
        self.status = status
        self.rule = rule
        self.slot = slot
        self.bit = bit

    def __str__(self) -> str:
        place = "" if self.slot is None else f" (slot {self.slot})"
        cause = "" if self.bit is None else f" [{self.bit}]"
        return f"{self.status:02X}: {self.rule}{place}{cause}"


def illegal(rule: str) -> Refusal:
    """Return a parse error (03): the opcode, a parameter or the length is illegal in every state."""
    return Refusal(Status.PARSE_ERROR, rule)


def denied(rule: str, *, slot: int | None = None, bit: str | None = None) -> Refusal:
    """Return an execution error (0F): legal, but not now or not by this configuration."""
    return Refusal(Status.EXECUTION_ERROR, rule, slot=slot, bit=bit)


def mismatch(rule: str, *, slot: int | None = None) -> Refusal:
    """Return the answer 01 of CheckMac, Verify and SecureBoot: the proof is not the expected one."""
    return Refusal(Status.MISMATCH, rule, slot=slot)
