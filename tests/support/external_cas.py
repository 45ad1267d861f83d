"""External CAs, made by OpenSSL: a root with a key of any kind, intermediate CAs, an issuing CA on P-256."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.support.system_programs import require_program

KEYS: Final = {
    "p256": ("EC", "ec_paramgen_curve:P-256"),
    "p384": ("EC", "ec_paramgen_curve:P-384"),
    "rsa2048": ("RSA", "rsa_keygen_bits:2048"),
    "rsa4096": ("RSA", "rsa_keygen_bits:4096"),
    "ed25519": ("ED25519", None),
}
_CA: Final = (
    "basicConstraints = critical, CA:true{path}",
    "keyUsage = critical, keyCertSign, cRLSign",
    "subjectKeyIdentifier = hash",
)


def openssl(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run OpenSSL and return the result with its output."""
    command = [require_program("openssl"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _done(*arguments: str | Path) -> None:
    done = openssl(*arguments)
    assert done.returncode == 0, done.stderr


class ExternalCas:
    """The CAs of one organisation in a folder: `NAME.key` and `NAME.pem` of each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def pem(self, name: str) -> Path:
        """Return the certificate of a CA."""
        return self.folder / f"{name}.pem"

    def add(
        self, name: str, kind: str, issuer: str | None = None, *, extensions: tuple[str, ...] = (), days: int = 3650
    ) -> Path:
        """Make a CA, a root if `issuer` is missing, and return its certificate; `extensions` replace those of a CA."""
        algorithm, option = KEYS[kind]
        key = self.folder / f"{name}.key"
        _done("genpkey", "-algorithm", algorithm, *(("-pkeyopt", option) if option else ()), "-out", key)
        config = self.folder / f"{name}.cnf"
        lines = extensions or tuple(line.format(path="") for line in _CA)
        if issuer is not None:
            lines += ("authorityKeyIdentifier = keyid",)
        config.write_text("[req]\ndistinguished_name = dn\n[dn]\n[ca]\n" + "\n".join(lines) + "\n")
        # Short: the signature of an RSA root of 4096 bits all but fills a module, and compresses differently each time.
        subject = ("-subj", f"/O=House/CN={name}")
        new = (
            "req",
            "-x509",
            "-new",
            "-config",
            config,
            "-extensions",
            "ca",
            *subject,
            "-key",
            key,
            "-days",
            str(days),
        )
        signed_by = () if issuer is None else ("-CA", self.pem(issuer), "-CAkey", self.folder / f"{issuer}.key")
        _done(*new, *signed_by, "-out", self.pem(name))
        return self.pem(name)

    def certify(self, issuer: str, request: Path, out: Path, *more_extensions: str) -> None:
        """Make the certificate that a signer requests, valid from this hour on without end."""
        config = self.folder / "signer.cnf"
        config.write_text(
            f"[ca]\ndefault_ca = house\n[house]\nnew_certs_dir = {self.folder}\ndatabase = {self.folder}/index.txt\n"
            f"serial = {self.folder}/serial.txt\ndefault_md = sha256\npolicy = any\npreserve = yes\n"
            "unique_subject = no\nx509_extensions = signer\n"
            "[any]\norganizationName = optional\ncommonName = supplied\n[signer]\n"
            "basicConstraints = critical, CA:true, pathlen:0\n"
            "keyUsage = critical, digitalSignature, keyCertSign, cRLSign\n"
            "subjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n" + "\n".join(more_extensions)
        )
        (self.folder / "index.txt").write_text("")
        (self.folder / "serial.txt").write_text("4455667788990011223344556677889900AABB\n")
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        dates = ("-startdate", f"{hour:%Y%m%d%H%M%SZ}", "-enddate", "99991231235959Z")
        by = ("-cert", self.pem(issuer), "-keyfile", self.folder / f"{issuer}.key")
        _done("ca", "-batch", "-config", config, "-in", request, "-out", out, "-notext", *by, *dates)
