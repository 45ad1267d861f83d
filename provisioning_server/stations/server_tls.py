"""The server's side of TLS: its certificate, renewed in time, and the context of new connections."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from atcaprov.bounded_reading import status
from atcaprov.errors import AtcaProvError, UsageError
from atcaprov.log import Log
from atcaprov.web.tls import trust
from provisioning_server.stations.certificates import SERVER_DAYS, server_names
from provisioning_server.stations.key_and_certificate import KeyAndCertificate
from provisioning_server.stations.station_ca import FOLDER, StationCa

SERVER_FILE: Final = "server.pem"
_RENEWED_BEFORE_END: Final = timedelta(days=SERVER_DAYS // 3)
_TRY_AGAIN: Final = timedelta(minutes=10)
_CIPHERS: Final = "ECDHE+ECDSA+AESGCM:ECDHE+ECDSA+CHACHA20"
"""Of TLS 1.2; those of 1.3 are all good."""
_NO_CHECK_TIME: Final = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL: a station whose certificate has ended is to read why. `Admission` looks."""


class ServerTls:
    """Gives each new connection its context. Used on the event loop alone."""

    def __init__(
        self, data: Path, ca: StationCa, names: Sequence[str], clock: Callable[[], datetime], log: Log
    ) -> None:
        """Take the certificate of a data folder; make one if it is missing, for other names, or near its end.

        Raises:
            UsageError: FILE_UNREADABLE or FILE_UNWRITABLE.
        """
        self.names: Final = tuple(names)
        self._path = data / FOLDER / SERVER_FILE
        self.ca: Final = ca
        self._clock = clock
        self._log = log
        now = clock()
        own = self._stored()
        if own is None or set(server_names(own.certificate)) != set(names) or _is_due(own.certificate, now):
            own = self._new(now)
        self._certificate = own.certificate
        self._next_try = now
        self.trouble = ""
        """Why the certificate, which ends soon, could not be renewed; for people."""
        self._context = server_context(self._path, ca.certificate)

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection, with a certificate that was renewed if that was due."""
        now = self._clock()
        if _is_due(self._certificate, now) and not now < self._next_try <= now + _TRY_AGAIN:
            try:
                self._certificate = self._new(now).certificate
                self._context = server_context(self._path, self.ca.certificate)
                self.trouble = ""
                self._log.info(f"The server's TLS certificate is renewed, until {self._ends}.")
            except AtcaProvError as error:  # the old one is good for a while
                self._next_try = now + _TRY_AGAIN
                self.trouble = f"The server's TLS certificate ends on {self._ends}, and a new one failed: {error}"
                self._log.warning(self.trouble)
        return self._context

    @property
    def _ends(self) -> str:
        return f"{self._certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"

    def _stored(self) -> KeyAndCertificate | None:
        """Return what is stored if it can be used: whatever is wrong with it, a new one costs nothing."""
        if status(self._path) is None:
            return None
        try:
            found = KeyAndCertificate.read(self._path, advice="")
        except UsageError:
            return None
        return found if self.ca.has_issued(found.certificate) else None

    def _new(self, now: datetime) -> KeyAndCertificate:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.ca.certify_server(self.names, key.public_key(), now)
        own = KeyAndCertificate(key, x509.load_der_x509_certificate(certificate))
        own.write(self._path)
        return own


def server_context(key_and_certificate: Path, station_ca: bytes) -> ssl.SSLContext:
    """Return a context of TLS 1.2 or later that asks for a certificate of the station CA (DER), and trusts no other CA.

    There is no renegotiation, compression, ticket or early data. Raises UsageError or OSError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.set_ciphers(_CIPHERS)
    context.load_cert_chain(key_and_certificate)
    trust(context, station_ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VerifyFlags(_NO_CHECK_TIME)
    return context


def _is_due(certificate: x509.Certificate, now: datetime) -> bool:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return not begins <= now < ends - _RENEWED_BEFORE_END
