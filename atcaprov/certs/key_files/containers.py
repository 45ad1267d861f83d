"""Containers of keys that are recognised: which are read elsewhere, and how the others are converted.

Sources: RFC 7468 (labels of PEM), RFC 7292 (PKCS#12), the OpenSSH file PROTOCOL.key, the KeyStore classes of OpenJDK
(magic numbers FEEDFEED of JKS, CECECECE of JCEKS), the format notes of PuTTY (appendix C of its manual).
"""

from __future__ import annotations

import re
from typing import Final

from cryptography import x509

from atcaprov.certs.key_files.refusals import KeyFileError
from atcaprov.certs.key_files.text import is_der

_TO_PKCS12: Final = "keytool -importkeystore -srckeystore {source} -destkeystore {target} -deststoretype PKCS12"
_ONE_OF_MANY: Final = f"{_TO_PKCS12} -srcalias ALIAS"
TO_PKCS8: Final = "openssl pkcs8 -topk8 -provider legacy -provider default -in {source} -out {target}"
"""Converts a key with an encryption of the past. OpenSSL asks for the passwords."""

_PKCS12: Final = re.compile(rb"\x30(?:\x80|[\x05-\x7f]|\x81.|\x82..|\x83...)\x02\x01\x03\x30", re.DOTALL)
"""PFX: a SEQUENCE that begins with the version 3 and a SEQUENCE; browsers wrote it with lengths left open (BER)."""
_KEY_BAGS: Final = (bytes.fromhex("060b2a864886f70d010c0a0101"), bytes.fromhex("060b2a864886f70d010c0a0102"))

OTHER_LABELS: Final = {
    b"CERTIFICATE": KeyFileError("is a certificate, not a private key"),
    b"TRUSTED CERTIFICATE": KeyFileError("is a certificate, not a private key"),
    b"CERTIFICATE REQUEST": KeyFileError("is a certificate request, not a private key"),
    b"NEW CERTIFICATE REQUEST": KeyFileError("is a certificate request, not a private key"),
    b"PKCS7": KeyFileError("holds certificates (PKCS#7), not a private key"),
    b"PUBLIC KEY": KeyFileError("holds a public key, not the private one"),
    b"OPENSSH PRIVATE KEY": KeyFileError(
        "is in the format of OpenSSH", "install -m 600 {source} {target} && ssh-keygen -p -m PKCS8 -f {target}"
    ),
    b"EC PARAMETERS": KeyFileError("holds the parameters of a curve and no key"),
}
"""What the file with a PEM block of this label is, if it holds no private key."""
_STARTS: Final = {
    b"\xfe\xed\xfe\xed": KeyFileError("is a Java keystore (JKS)", _TO_PKCS12, ending=".p12"),
    b"\xce\xce\xce\xce": KeyFileError("is a Java keystore (JCEKS)", f"{_TO_PKCS12} -srcstoretype JCEKS", ending=".p12"),
    b"PuTTY-User-Key-File": KeyFileError("is in the format of PuTTY; export it in PuTTYgen as an OpenSSH key"),
}


def refuse_other_container(content: bytes) -> None:
    """Raise KeyFileError if the bytes are a container that is known and not read."""
    for start, error in _STARTS.items():
        if content.startswith(start):
            raise error
    if is_der(content):
        _refuse_certificate(content)


def _refuse_certificate(content: bytes) -> None:
    for label, load in (
        (b"CERTIFICATE", x509.load_der_x509_certificate),
        (b"CERTIFICATE REQUEST", x509.load_der_x509_csr),
    ):
        try:
            load(content)
        except ValueError:
            continue
        raise OTHER_LABELS[label]


def is_pkcs12(content: bytes) -> bool:
    """Tell whether the bytes begin as PKCS#12 does."""
    return _PKCS12.match(content) is not None


def require_one_key(content: bytes) -> None:
    """Raise KeyFileError if a PKCS#12 holds several keys: libraries take any of them."""
    count = sum(content.count(bag) for bag in _KEY_BAGS)
    if count > 1:
        what = f"holds {count} private keys; it must hold one"
        raise KeyFileError(f"{what}. ALIAS is its name as keytool -list shows it", _ONE_OF_MANY, ending=".p12")
