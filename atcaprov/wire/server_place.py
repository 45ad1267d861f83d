"""Where a server listens: `HOST:PORT`, an IPv6 address in brackets."""

from __future__ import annotations

from typing import NamedTuple, Self

from atcaprov.errors import Code, UsageError
from atcaprov.terminal.printable import printable

_NAME_MAX = 253
"""Characters of a host name (RFC 1035, section 2.3.4, without the last dot)."""


class ServerPlace(NamedTuple):
    """The name or address of a server's computer, and its port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, default_port: int | None = None) -> Self:
        """Read `HOST:PORT`; with a default port also `HOST`. Raises UsageError ADDRESS_FORM."""
        host, colon, port = text.rpartition(":")
        bracketed = text.startswith("[")
        if default_port is not None and (not colon or (bracketed and text.endswith("]"))):
            host, port = text, str(default_port)
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        digits = port.isascii() and port.isdigit() and len(port) <= len("65535")
        if not digits or not 1 <= int(port) <= 0xFFFF or not _is_host(bare) or (":" in bare) != bracketed:
            raise UsageError(
                f"'{printable(text[:_NAME_MAX])}' is not the address of a server.",
                advice="Write HOST:PORT or [IPV6]:PORT.",
                code=Code.ADDRESS_FORM,
            )
        return cls(bare, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _is_host(text: str) -> bool:
    return 0 < len(text) <= _NAME_MAX and text.isascii() and all(c.isalnum() or c in "-._:%" for c in text)
