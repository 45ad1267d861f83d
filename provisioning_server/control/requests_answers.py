"""Requests and answers of the control channel as objects: a command with its arguments; its result, or its error."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any, Final

from atcaprov.errors import (
    AtcaProvError,
    Board,
    CertificateError,
    Code,
    DeviceError,
    ProtocolError,
    ProvisioningError,
    ServerRejected,
    TransportError,
    UsageError,
)
from provisioning_server.control.sealed_lines import Direction, seal, unseal

_CLASSES: Final = {
    each.exit_code: each
    for each in (
        AtcaProvError,
        UsageError,
        TransportError,
        ProtocolError,
        ProvisioningError,
        CertificateError,
        ServerRejected,
    )
}
_TEXTS: Final = ("code", "what", "advice", "board")


def _drawn() -> str:
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class ControlRequest:
    """A command by its name and arguments, which JSON can carry; the nonce binds the answer to it."""

    command: str
    arguments: dict[str, Any]
    nonce: str = field(default_factory=_drawn)


def request_line(secret: bytes, request: ControlRequest) -> bytes:
    """Return a request as a sealed line."""
    body = {"nonce": request.nonce, "command": request.command, "arguments": request.arguments}
    return seal(secret, Direction.REQUEST, body)


def parse_request(secret: bytes, line: bytes) -> ControlRequest:
    """Return the request in a line; raises ProtocolError as `unseal`."""
    body = unseal(secret, Direction.REQUEST, line)
    command, arguments, nonce = (body.get(name) for name in ("command", "arguments", "nonce"))
    if not isinstance(command, str) or not isinstance(arguments, dict) or not isinstance(nonce, str):
        raise _no("request")
    return ControlRequest(command, arguments, nonce)


def result_line(secret: bytes, nonce: str, result: dict[str, Any]) -> bytes:
    """Return the result of a command as a sealed line."""
    return seal(secret, Direction.ANSWER, {"nonce": nonce, "result": result})


def error_line(secret: bytes, nonce: str, error: AtcaProvError) -> bytes:
    """Return the error of a command as a sealed line; `nonce` is empty if no request could be read."""
    told = {
        "exit_code": error.exit_code,
        "code": error.code,
        "what": error.what,
        "advice": error.advice,
        "board": str(error.board),
        "details": list(error.details),
    }
    if isinstance(error, DeviceError):
        told |= {"chip_command": error.command, "status": error.status}
    return seal(secret, Direction.ANSWER, {"nonce": nonce, "error": told})


def parse_answer(secret: bytes, nonce: str, line: bytes) -> dict[str, Any]:
    """Return the result in a line, or raise the error in it as the server raised it.

    Raises:
        ProtocolError: as `unseal`; BAD_FRAME for the answer to another request.
        AtcaProvError: the command failed.
    """
    body = unseal(secret, Direction.ANSWER, line)
    if isinstance(error := body.get("error"), dict) and body.get("nonce") in (nonce, ""):
        raise _error(error)
    result = body.get("result")
    if body.get("nonce") != nonce or not isinstance(result, dict):
        raise _no("answer")
    return result


def _error(told: dict[str, Any]) -> AtcaProvError:
    code, what, advice, board = (told.get(name) for name in _TEXTS)
    details = told.get("details")
    if not isinstance(what, str) or not isinstance(details, list) or board not in list(Board):
        return _no("error")
    known: dict[str, Any] = {"code": str(code), "advice": str(advice), "board": Board(board)}
    if told.get("exit_code") == DeviceError.exit_code:
        status = told.get("status")
        command = str(told.get("chip_command"))
        error: AtcaProvError = DeviceError(
            what, command=command, status=status if isinstance(status, int) else 0, **known
        )
    else:
        exit_code = told.get("exit_code")
        kind = _CLASSES.get(exit_code, AtcaProvError) if isinstance(exit_code, int) else AtcaProvError
        error = kind(what, **known)
    error.details = tuple(map(str, details))
    return error


def _no(what: str) -> ProtocolError:
    return ProtocolError(f"A line of the control channel is invalid: no {what}.", code=Code.BAD_FRAME)
