"""The names by which stations reach a server, for its certificate."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import Final

from atcaprov.errors import UsageError
from atcaprov.terminal.printable import printable

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
"""Always certified: a tunnel ends at these. Only this computer reaches a server by them."""
_LABEL: Final = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_NAME_MAX: Final = 253


def is_server_name(name: str) -> bool:
    """Tell whether a certificate can have it: a host name (RFC 1123, section 2.1) or an address; no wildcard."""
    try:
        return not ipaddress.ip_address(name).is_unspecified
    except ValueError:
        return len(name) <= _NAME_MAX and _NAME.fullmatch(name) is not None


def require_server_name(name: str) -> None:
    """Raise UsageError unless a certificate can have the name."""
    if not is_server_name(name):
        raise UsageError(
            f"'{printable(name[:_NAME_MAX])}' is not a host name or address.",
            advice="Give --tls-name as stations write it after --host, without a port.",
        )


def usual_server_names(bind: str) -> tuple[str, ...]:
    """Return the name of this computer, the address that the server listens on, and those of loopback."""
    found = (socket.gethostname(), bind, *LOOPBACK)
    return tuple(dict.fromkeys(name for name in found if is_server_name(name)))
