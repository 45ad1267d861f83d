"""OpenSSL, GnuTLS and the broker mosquitto as judges of revocation lists."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.system_programs import require_program


def pem(certificate: bytes) -> str:
    return x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM).decode()


@dataclass(frozen=True)
class ChainFiles:
    """A root, a signer and a device (DER) in files for the judges."""

    folder: Path
    root: Path
    signer: Path
    device: Path

    @classmethod
    def write(cls, folder: Path, root: bytes, signer: bytes, device: bytes) -> ChainFiles:
        files = cls(folder, folder / "judge-root.pem", folder / "judge-signer.pem", folder / "judge-device.pem")
        for path, certificate in ((files.root, root), (files.signer, signer), (files.device, device)):
            path.write_text(pem(certificate))
        return files


def openssl_verdict(files: ChainFiles, crls: Sequence[Path], at: datetime, *options: str) -> str:
    """Return "OK", or the error that `openssl verify -crl_check` finds at a moment, as OpenSSL words it."""
    command = [require_program("openssl"), "verify", "-x509_strict", "-crl_check", *options]
    command += ["-attime", str(int(at.timestamp())), "-CAfile", str(files.root), "-untrusted", str(files.signer)]
    for crl in crls:
        command += ["-CRLfile", str(crl)]
    done = subprocess.run([*command, str(files.device)], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return "OK"
    return next(line.split(": ", 1)[1] for line in done.stderr.splitlines() if "lookup:" in line)


def certtool_accepts_crl(files: ChainFiles, crl: Path) -> bool:
    """Return whether GnuTLS verifies a CRL (PEM) under the signer's certificate today: certtool knows no other day."""
    command = [require_program("certtool"), "--verify-crl", "--infile", str(crl)]
    command += ["--load-ca-certificate", str(files.signer)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Verification output: " in done.stdout, done.stderr
    return "Verification output: Verified." in done.stdout


def certtool_finds_revoked(files: ChainFiles, crl: Path) -> bool:
    """Return whether GnuTLS finds the device revoked by a CRL (PEM) when it verifies the chain today."""
    chain = files.folder / "judge-chain.pem"
    chain.write_text("".join(path.read_text() for path in (files.device, files.signer, files.root)))
    command = [require_program("certtool"), "--verify", "--infile", str(chain), "--load-crl", str(crl)]
    command += ["--load-ca-certificate", str(files.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Chain verification output: " in done.stdout, done.stderr
    return "The certificate chain is revoked" in done.stdout


def certtool_shown(crl: Path) -> str:
    """Return what GnuTLS shows of a CRL (PEM)."""
    command = [require_program("certtool"), "--crl-info", "--infile", str(crl)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
