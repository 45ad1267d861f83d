"""The station CA of a server: made at first need, in `stations/` of its data folder.

Servers that share a ledger share it: the file is copied from the first one to the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov.bounded_reading import status
from atcaprov.certs.keys import raw_public_key
from atcaprov.errors import Code, UsageError
from provisioning_server.records.data_folder import STATION_CA, STATIONS
from provisioning_server.stations.certificates import ca_certificate, server_certificate, station_certificate
from provisioning_server.stations.key_and_certificate import KeyAndCertificate

FOLDER: Final = STATIONS
CA_FILE: Final = STATION_CA
_ADVICE: Final = "Put the file back from a backup, or copy it from another server on the same ledger."


class StationCa:
    """The CA of stations and servers. Its key signs nothing for signers or products."""

    def __init__(self, own: KeyAndCertificate) -> None:
        self._own = own
        self.certificate: Final = own.certificate.public_bytes(Encoding.DER)
        """DER."""
        self.sha256: Final = hashlib.sha256(self.certificate).digest()

    def __repr__(self) -> str:
        return f"StationCa({self.sha256.hex()})"

    @classmethod
    def open(cls, data: Path, now: datetime, *, has_stations: bool = False) -> Self:
        """Return the CA of a data folder; make it if there is none, unless the ledger `has_stations` already.

        Raises:
            UsageError: KEY_FILE_INVALID, FILE_UNREADABLE, FILE_UNWRITABLE or STATION_CA_OTHER.
        """
        path = data / FOLDER / CA_FILE
        if status(path) is not None:
            return cls(KeyAndCertificate.read(path, advice=_ADVICE))
        if has_stations:
            raise _other_ca()
        key = ec.generate_private_key(ec.SECP256R1())
        own = KeyAndCertificate(key, x509.load_der_x509_certificate(ca_certificate(key, now)))
        own.write(path)
        return cls(own)

    @staticmethod
    def is_in(data: Path) -> bool:
        """Tell whether a data folder has a station CA; raises UsageError FILE_UNREADABLE."""
        return status(data / FOLDER / CA_FILE) is not None

    @cached_property
    def public_key(self) -> bytes:
        """X and Y, 64 bytes."""
        return raw_public_key(self._own.key.public_key())

    def certify_station(self, name: str, key: ec.EllipticCurvePublicKey, now: datetime) -> bytes:
        """Return a new certificate (DER) of a station."""
        return station_certificate(self._own.certificate, self._own.key, name, key, now)

    def certify_server(self, names: Sequence[str], key: ec.EllipticCurvePublicKey, now: datetime) -> bytes:
        """Return a new certificate (DER) of a server."""
        return server_certificate(self._own.certificate, self._own.key, names, key, now)

    def has_issued(self, certificate: x509.Certificate) -> bool:
        """Tell whether a certificate is one of this CA."""
        try:
            certificate.verify_directly_issued_by(self._own.certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    def require_issued(self, certificate: bytes) -> None:
        """Raise UsageError STATION_CA_OTHER unless a station's certificate (DER) is one of this CA."""
        if not self.has_issued(x509.load_der_x509_certificate(certificate)):
            raise _other_ca()


def _other_ca() -> UsageError:
    return UsageError(
        "The stations of this ledger were admitted by another station CA than that of this data folder.",
        advice=f"Copy {FOLDER}/{CA_FILE} from the first server on this ledger, or from a safe place."
        " If it is lost, remove all stations and enrol them again.",
        code=Code.STATION_CA_OTHER,
    )
