"""TLS to a server with the certificate of this station, and what its failures mean."""

from __future__ import annotations

import errno
import socket
import ssl
from pathlib import Path
from typing import Final

from atcaprov.errors import AtcaProvError, Code, TransportError
from atcaprov.provisioning.station_identity import StationIdentity
from atcaprov.terminal.printable import printable
from atcaprov.wire.server_place import ServerPlace

_WRONG_NAME: Final = frozenset({62, 64})
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL."""
_WRONG_TIME: Final = frozenset({9, 10})
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""
_FOREIGN: Final = frozenset({2, 7, 18, 19, 20, 21})
"""No issuer that is trusted, a wrong signature, or self-signed."""


def secured(plain: socket.socket, place: ServerPlace, station: Path) -> ssl.SSLSocket:
    """Return TLS over a connection: the server proves by the station CA that it has this name, the station who it is.

    The folder of the station is read each time, so that a renewed certificate is used at once.

    Raises:
        UsageError: the folder holds no usable identity, as `StationIdentity.load`.
        TransportError: the server does not prove who it is, or does not speak TLS (TLS_FAILED).
        OSError: the connection was lost.
    """
    context = StationIdentity.load(station).tls_context()
    try:
        return context.wrap_socket(plain, server_hostname=place.host)
    except ssl.SSLCertVerificationError as error:
        raise _unproved(place, error, station) from error
    except ssl.SSLError as error:
        if is_end(error):
            raise ConnectionAbortedError(errno.ECONNABORTED, "it was closed in the TLS handshake") from error
        raise tls_failed(place, error) from error


def is_end(error: OSError) -> bool:
    """Tell whether an error of TLS says only that the connection has ended."""
    return isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)


def tls_failed(place: ServerPlace, error: ssl.SSLError) -> AtcaProvError:
    """Return the error for TLS that failed for another reason than the server's certificate."""
    reason = (error.reason or "").upper()
    if "ALERT" in reason:
        return TransportError(
            f"The server at {place} refused the TLS connection of this station: {_words(error)}.",
            advice="Ask the supervisor for an enrolment token, and enrol this computer again.",
            code=Code.TLS_FAILED,
        )
    return TransportError(
        f"What listens at {place} does not speak TLS as a Provisioning Server does: {_words(error)}.",
        advice="Check host and port, and that the server is started with --tls. Nothing was sent without TLS.",
        code=Code.TLS_FAILED,
    )


def _unproved(place: ServerPlace, error: ssl.SSLCertVerificationError, station: Path) -> AtcaProvError:
    if error.verify_code in _WRONG_NAME:
        what = f"The server at {place} has a certificate for another name."
        advice = f"Write the name that it has, or have the server started with --tls-name {place.host}."
    elif error.verify_code in _WRONG_TIME:
        what = f"By this computer's clock, the certificate of the server at {place} is not valid now."
        advice = "Correct the clock that is wrong; if none is, have the server restarted, which renews it."
    elif error.verify_code in _FOREIGN:
        what = f"The server at {place} does not belong to the station CA by which this computer is enrolled."
        advice = f"Check that it is the right server. If it is, enrol this computer again; its folder is {station}."
    else:
        what = f"The server at {place} does not prove who it is: {printable(error.verify_message)}."
        advice = "Call the supervisor."
    return TransportError(what, advice=advice, code=Code.TLS_FAILED)


def _words(error: ssl.SSLError) -> str:
    return printable((error.reason or "unknown error").lower().replace("_", " "))
