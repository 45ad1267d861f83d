"""TLS of a page: the names in its certificate, its dates, the context of its connections."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from atcaprov.bounded_reading import read_bytes
from atcaprov.errors import Code, UsageError
from atcaprov.web.address import WebAddress, is_loopback

LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")


def host_names(address: WebAddress) -> list[str]:
    """Return the names by which a browser may call the page, in lower case, IPv6 in brackets; the best one first.

    A browser that reaches it by another name (DNS rebinding) is refused. With TLS they stand in the certificate.

    Raises:
        UsageError: FILE_UNREADABLE, or FILE_INVALID for a certificate that names no host.
    """
    if address.certificate is None:
        own = f"[{address.host}]" if ":" in address.host else address.host
        return list(dict.fromkeys((own.lower(), *LOOPBACK_NAMES)))
    names = _certified_names(address.certificate)
    if not names:
        raise _bad(address.certificate, "it names no host")
    return list(dict.fromkeys((*names, *(LOOPBACK_NAMES if is_loopback(address.host) else ()))))


def trust(context: ssl.SSLContext, certificate: bytes) -> None:
    """Let a context trust a CA's certificate (DER); raises ssl.SSLError if it is none.

    Python's ssl looks at OpenSSL's list of errors, in which other code in this thread, such as the library of an HSM,
    may have left one. Its first look empties the list, so the second try tells the truth.
    """
    try:
        context.load_verify_locations(cadata=certificate)
    except ssl.SSLError:
        context.load_verify_locations(cadata=certificate)


def tls_context(address: WebAddress) -> ssl.SSLContext:
    """Return the server's side of TLS 1.2 or later; raises UsageError FILE_UNREADABLE or FILE_INVALID."""
    assert address.certificate is not None
    assert address.key is not None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(address.certificate, address.key, password="")
    except ssl.SSLError as error:
        raise _bad(address.key, "it has a password, or it is not the key of the certificate") from error
    except OSError as error:
        raise _unreadable(Path(error.filename or address.key), error) from error
    return context


def date_warning(address: WebAddress, now: datetime) -> str:
    """Return a warning if browsers refuse the page's certificate by its dates at the moment `now` (UTC), or "".

    Raises UsageError as `host_names`.
    """
    if address.certificate is None:
        return ""
    certificate = _certificate(address.certificate)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    says = f"The clock says {now:%Y-%m-%d %H:%M} UTC"
    if now < begin:
        return f"{says}, but the certificate of the web page begins on {begin:%Y-%m-%d %H:%M} UTC. Correct the clock."
    if now > end:
        return f"{says}, but the certificate of the web page ended on {end:%Y-%m-%d %H:%M} UTC. Get a new one."
    return ""


def _certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(read_bytes(path))
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValueError as error:
        raise _bad(path, "it is not a certificate in PEM") from error


def _certified_names(path: Path) -> list[str]:
    try:
        names = _certificate(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    except ValueError as error:
        raise _bad(path, "it is not a certificate in PEM") from error
    dns = [name.lower() for name in names.get_values_for_type(x509.DNSName) if "*" not in name]
    return dns + [_in_url(address) for address in names.get_values_for_type(x509.IPAddress)]


def _in_url(address: object) -> str:
    return f"[{address}]" if isinstance(address, ipaddress.IPv6Address) else str(address)


def _bad(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path} is not usable for the web page: {why}.",
        advice="Check --web-cert and --web-key; the certificate must list the host's name (subject alternative name).",
        code=Code.FILE_INVALID,
    )


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"{path} cannot be read: {error.strerror}.", advice="Check --web-cert and --web-key.", code=Code.FILE_UNREADABLE
    )
