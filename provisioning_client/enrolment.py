"""Enrol this computer as a station: make a key, check whom it talks to, ask for a certificate, keep both.

Nothing but the certification request and the token's secret leaves the computer. A run that was cut at any point is
repeated with the same token: the key that it has made waits in the folder, and the server gives the same key the same
certificate again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from atcaprov import durable_files
from atcaprov.bounded_reading import is_file, read_bytes
from atcaprov.certs.certificate_files import UNREADABLE
from atcaprov.certs.key_files.private_key import read_private_key
from atcaprov.errors import AtcaProvError, CertificateError, Code, TransportError, UsageError
from atcaprov.provisioning.station_identity import (
    PENDING_KEY_FILE,
    PRIVATE,
    StationIdentity,
    is_enrolled,
    make_station_folder,
    server_authentication,
    write_identity,
)
from atcaprov.wire.enrolment_token import EnrolmentToken
from atcaprov.wire.messages import EnrolReply, EnrolRequest
from atcaprov.wire.server_place import ServerPlace
from provisioning_client.enrolment_exchange import ask_server, unauthenticated

_Ask = Callable[[ServerPlace], EnrolReply]
_TRY_ELSEWHERE: Final = frozenset({Code.SERVER_UNREACHABLE, Code.SERVER_DROPPED})


def enrol(token: EnrolmentToken, folder: Path, servers: Sequence[ServerPlace] = ()) -> StationIdentity:
    """Enrol this computer by a token; `servers` are asked in place of the token's.

    Raises:
        UsageError: STATION_CA_OTHER if the server is not the token's, TOKEN_EXPIRED, FILE_UNWRITABLE, or the folder has
            a station.
        TransportError, ServerRejected, ProtocolError: as `ask_server`.
    """
    if is_enrolled(folder):
        found = StationIdentity.load(folder)
        raise UsageError(
            f"This computer is enrolled as the station {found.name} already, in {folder}.",
            advice="Move the folder away, or name another one with --station.",
        )
    places = tuple(servers) or token.servers
    key = _pending_key(folder)

    def ask(place: ServerPlace) -> EnrolReply:
        ca = _station_ca(place, token.ca_sha256)
        return ask_server(place, server_authentication(ca), EnrolRequest(_request(key, token.station), token.secret))

    reply = _first_answer(places, ask)
    return _keep(folder, key, reply, places)


def renew(folder: Path, servers: Sequence[ServerPlace] = ()) -> StationIdentity:
    """Get a new certificate for a new key, over a connection with the one that this computer has.

    Raises as `enrol`, and UsageError STATION_NOT_ENROLLED.
    """
    station = StationIdentity.load(folder)
    places = tuple(servers) or station.servers
    if not places:
        raise UsageError(f"{folder} names no server.", advice="Give one with --server.")
    key = _pending_key(folder)
    context = station.tls_context()
    request = EnrolRequest(_request(key, station.name))
    reply = _first_answer(places, lambda place: ask_server(place, context, request))
    if reply.ca_certificate != station.ca_certificate:
        raise _other_ca("The server has another station CA than the one that this computer was enrolled by.")
    return _keep(folder, key, reply, station.servers)


def _first_answer(places: Sequence[ServerPlace], ask: _Ask) -> EnrolReply:
    """Ask one server after the other until one answers; its answer counts, whatever it is."""
    for place in places[:-1]:
        try:
            return ask(place)
        except TransportError as error:
            if error.code not in _TRY_ELSEWHERE:
                raise
    return ask(places[-1])


def _station_ca(place: ServerPlace, sha256: bytes) -> bytes:
    """Return the certificate (DER) of the server's station CA, if it is the token's; nothing secret was sent."""
    ca = ask_server(place, unauthenticated(), EnrolRequest()).ca_certificate
    if hashlib.sha256(ca).digest() != sha256:
        raise _other_ca(f"The station CA of the server at {place} is not the one that the token was made for.")
    return ca


def _other_ca(what: str) -> AtcaProvError:
    return UsageError(
        f"{what} The token's secret was not sent.",
        advice="Check that it is the right server, and that no other computer has its address.",
        code=Code.STATION_CA_OTHER,
    )


def _pending_key(folder: Path) -> ec.EllipticCurvePrivateKey:
    """Return the key of an enrolment that was cut, or a new one, which is on the disk then."""
    path = folder / PENDING_KEY_FILE
    if is_file(path):
        return read_private_key(read_bytes(path), None, str(path))
    key = ec.generate_private_key(ec.SECP256R1())
    try:
        make_station_folder(folder)
        durable_files.replace(path, _pem(key), PRIVATE)
    except OSError as error:
        raise _unwritable(path, error) from error
    return key


def _request(key: ec.EllipticCurvePrivateKey, station: str) -> bytes:
    """Return the certification request (PKCS#10, DER); the server decides on the name itself."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, station)])
    request = x509.CertificateSigningRequestBuilder(name).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.DER)


def _keep(
    folder: Path, key: ec.EllipticCurvePrivateKey, reply: EnrolReply, places: Sequence[ServerPlace]
) -> StationIdentity:
    _require_certificate(key, reply)
    try:
        write_identity(
            folder,
            key=_pem(key),
            certificate=reply.certificate,
            ca_certificate=reply.ca_certificate,
            servers=places,
        )
    except OSError as error:
        raise _unwritable(folder, error) from error
    return StationIdentity.load(folder)


def _require_certificate(key: ec.EllipticCurvePrivateKey, reply: EnrolReply) -> None:
    """Raise CertificateError unless a reply has the certificate for a key, by its station CA."""
    try:
        certificate = x509.load_der_x509_certificate(reply.certificate)
        certificate.verify_directly_issued_by(x509.load_der_x509_certificate(reply.ca_certificate))
        good = certificate.public_key() == key.public_key()
    except (*UNREADABLE, InvalidSignature):
        good = False
    if not good:
        raise CertificateError(
            "The server sent a certificate that is not for the key of this computer, or not by its station CA.",
            advice="Call the supervisor.",
            code=Code.CERTIFICATE_MISMATCH,
        )
    if datetime.now(UTC) > certificate.not_valid_after_utc:
        raise CertificateError(
            f"By this computer's clock, the new certificate ended on {certificate.not_valid_after_utc:%Y-%m-%d}.",
            advice="Correct the clock of this computer, and run the same command again.",
            code=Code.CLOCK_WRONG,
        )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _unwritable(path: Path, error: OSError) -> AtcaProvError:
    return UsageError(
        f"{path} cannot be written: {error.strerror}.",
        advice="Make room, check the permissions, and run the same command again: the token is still good.",
        code=Code.FILE_UNWRITABLE,
    )
