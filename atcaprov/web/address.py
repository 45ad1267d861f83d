"""The address of a page: TLS is required wherever other computers reach it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from atcaprov.errors import UsageError

DEFAULT_HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class WebAddress:
    """Host and port to listen on; `certificate` and `key` are PEM files, both or none."""

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise UsageError("--web-cert and --web-key belong together.", advice="Give both --web-cert and --web-key.")
        if not self.tls and not is_loopback(self.host):
            raise UsageError(
                f"Passwords typed on a page at {self.host} could be read by everyone on that network.",
                advice="Give a certificate with --web-cert and --web-key, or leave the host out: then the page is for "
                "this computer only.",
            )

    @classmethod
    def parse(cls, text: str, certificate: Path | None = None, key: Path | None = None) -> Self:
        """Read `[HOST:]PORT`; an IPv6 address stands in brackets. Raises UsageError."""
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]") if host.startswith("[") and host.endswith("]") else host
        bare_ipv6 = ":" in host and not text.startswith("[")
        if not (port.isascii() and port.isdigit() and int(port) <= 0xFFFF) or (colon and not host) or bare_ipv6:
            raise UsageError(
                f"'{text}' is not an address for the page.", advice="Write PORT, HOST:PORT or [IPV6]:PORT after --web."
            )
        return cls(host or DEFAULT_HOST, int(port), certificate, key)

    @property
    def tls(self) -> bool:
        """Return whether connections are encrypted."""
        return self.certificate is not None


def is_loopback(address: str) -> bool:
    """Return whether only this computer reaches an address; of host names, only localhost counts."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
