"""OpenSSL as the judge of a chain."""

from __future__ import annotations

import subprocess
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.system_programs import require_program


def verify_with_openssl(folder: Path, leaf: bytes, *issuers: bytes, strict: bool = True) -> None:
    """Let `openssl verify` verify a chain of DER certificates, the last of which is the trusted root."""
    names = []
    for number, der in enumerate((leaf, *issuers)):
        names.append(folder / f"{number}.pem")
        names[-1].write_bytes(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM))
    between = [word for name in names[1:-1] for word in ("-untrusted", str(name))]
    options = ["-x509_strict"] if strict else []
    command = [require_program("openssl"), "verify", *options, "-CAfile", str(names[-1]), *between, str(names[0])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
