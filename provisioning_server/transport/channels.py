"""What is between a connection's bytes and its messages: nothing, or TLS. Sans-IO: bytes in, bytes out.

TLS is done here, and not by the event loop, so that a connection is counted from its first byte, each handshake has its
deadline, and all loops behave alike.
"""

from __future__ import annotations

import contextlib
import ssl
from typing import Final, Protocol

from atcaprov.errors import AtcaProvError, Code, TransportError
from atcaprov.terminal.printable import printable

_READ: Final = 16 * 1024
"""The longest record (RFC 8446, section 5.1): a longer buffer would be made for each one, and be cut."""
_HANDSHAKE_RECORD: Final = 0x16
"""First byte of a TLS connection: the content type of a handshake record (RFC 8446, section 5.1)."""


class Channel(Protocol):
    """One connection as the server sees it."""

    certificate: bytes
    """The client's certificate (DER), which a CA of the context has signed; empty without one."""
    in_handshake: bool
    ended: bool
    """Whether the client has said that it sends nothing more."""

    def receive(self, data: bytes) -> bytes:
        """Take bytes of the wire; return those of messages, as far as they are complete.

        Raises TransportError TLS_FAILED, after which only `outgoing` may be called, or TLS_REQUIRED for a client that
        speaks the protocol without TLS.
        """

    def send(self, data: bytes) -> bytes:
        """Return messages as bytes of the wire."""

    def outgoing(self) -> bytes:
        """Return what is to be sent now, whether or not there is a message."""

    def end(self) -> bytes:
        """Return what says that nothing more is sent."""


class PlainChannel:
    """A connection without TLS."""

    certificate = b""
    in_handshake = False
    ended = False

    def receive(self, data: bytes) -> bytes:
        """Return the bytes as they are."""
        return data

    def send(self, data: bytes) -> bytes:
        """Return the bytes as they are."""
        return data

    def outgoing(self) -> bytes:
        """Return nothing."""
        return b""

    def end(self) -> bytes:
        """Return nothing: closing the connection says it."""
        return b""


class TlsChannel:
    """The server's end of one TLS connection."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.certificate = b""
        self.in_handshake = True
        self.ended = False
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._untouched = True
        self._broken = False

    def receive(self, data: bytes) -> bytes:
        """Take bytes of the wire; see `Channel`."""
        if self._untouched and data[0] != _HANDSHAKE_RECORD:
            self._broken = True
            raise _not_tls(data)
        self._untouched = False
        self._incoming.write(data)
        try:
            if self.in_handshake:
                self._tls.do_handshake()
                self.in_handshake = False
                self.certificate = self._tls.getpeercert(binary_form=True) or b""
            return self._decrypted()
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLError as error:
            self._broken = True
            raise self._failed(error) from None

    def send(self, data: bytes) -> bytes:
        """Return messages as TLS records; nothing after an error."""
        if not self._broken and not self.in_handshake:
            with contextlib.suppress(ssl.SSLError):  # the client has broken off: reading says why
                self._tls.write(data)
        return self._outgoing.read()

    def outgoing(self) -> bytes:
        """Return records of the handshake, alerts and answers to key updates."""
        return self._outgoing.read()

    def end(self) -> bytes:
        """Return the alert close_notify (RFC 8446, section 6.1), once."""
        if not self._broken and not self.in_handshake:
            self._broken = True
            with contextlib.suppress(ssl.SSLError):  # the client's close_notify is not awaited
                self._tls.unwrap()
        return self._outgoing.read()

    def _decrypted(self) -> bytes:
        parts = []
        while not self.ended:
            try:
                part = self._tls.read(_READ)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                part = b""
            self.ended = not part
            parts.append(part)
            if not self._incoming.pending:  # a read takes a whole record, so nothing of one is left
                break  # one call less that lets other threads run, which cost more than the decryption
        return b"".join(parts)

    def _failed(self, error: ssl.SSLError) -> AtcaProvError:
        when = "The TLS handshake failed" if self.in_handshake else "The TLS connection failed"
        verify = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else ""
        why = verify or (error.reason or "unknown error").lower().replace("_", " ")
        return TransportError(f"{when}: {printable(why)}.", code=Code.TLS_FAILED)


def _not_tls(data: bytes) -> AtcaProvError:
    if data[:1] == b"A":  # the magic of the protocol
        return TransportError(
            "This server takes connections with TLS only.",
            advice="Enrol this computer as a station, and update its client if that does not know TLS.",
            code=Code.TLS_REQUIRED,
        )
    return TransportError("The client does not speak TLS.", code=Code.TLS_FAILED)
