"""A chip that was begun by a request is open: any use of it in between is found, and no key is lost."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from cryptography import x509

from atcaprov import Act, Device
from atcaprov.certs.keys import verify_digest
from atcaprov.device.key_authorization import AuthorizedUse
from signer_module.on_chip import slot_layout
from tests.support.external_cas import ExternalCas, openssl
from tests.support.programs import run_signer_module as run
from tests.support.signer_modules import CHEAP, SIGNER, locks, working_folder

DIGEST = hashlib.sha256(b"a device that does not exist").digest()
ORDER = ("--password-file", "password", "--quota", "3", *CHEAP)
REQUEST = ("signer", "request", "--device", SIGNER, "--signer-id", "0A0B", *ORDER)


@pytest.fixture
def cas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ExternalCas:
    working_folder(tmp_path, monkeypatch)
    cas = ExternalCas(tmp_path / "cas")
    cas.add("root", "p256")
    return cas


def bring(cas: ExternalCas, *more: object) -> int:
    given = ("--certificate", "signer.pem", "--chain", cas.pem("root"))
    return run("signer", "import", "--device", SIGNER, *given, *ORDER, *more)


def stolen_signatures(count: int) -> None:
    """What everybody can do who has the chip: an own authorization key, a higher limit, and signatures."""
    with Device.open(SIGNER) as device:
        with device.permit(Act.WRITE_DATA):
            device.write_slot_block(slot_layout.AUTHORIZATION_SLOT, 0, bytes(32))
            device.write_slot_block(slot_layout.LIMIT_SLOT, 0, (1 << 16).to_bytes(4, "little") * 2 + bytes(24))
        stolen, secret = AuthorizedUse(device, slot_layout.AUTHORIZATION_SLOT, device.serial_number()), bytes(32)
        key = stolen.get_pubkey(slot_layout.KEY_SLOT, secret)
        assert all(verify_digest(key, DIGEST, stolen.sign(slot_layout.KEY_SLOT, DIGEST, secret)) for _ in range(count))


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 40])
def test_signatures_made_between_request_and_import_are_found(
    cas: ExternalCas, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*REQUEST, "--out", "signer.csr") == 0
    said = capsys.readouterr().err
    assert "keep the chip locked away" in said
    assert "4. later, by 'signer import', its data zone is permanently locked" in said
    cas.certify("root", Path("signer.csr"), Path("signer.pem"))
    stolen_signatures(count)
    assert bring(cas) == 6
    said = capsys.readouterr().err
    assert "any other data that a program has written there is overwritten" in said
    assert "signed-unexpectedly" in said
    assert f"has counted {count + 1} signatures" in said
    assert locks(SIGNER) == (True, False)


@pytest.mark.slow
def test_a_key_that_a_ca_may_know_is_not_replaced(cas: ExternalCas, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*REQUEST, "--out", "signer.csr") == 0
    capsys.readouterr()
    for out in ("other.csr", "third.csr"):
        assert run(*REQUEST, "--out", out) == 2
        assert "--new-key" in capsys.readouterr().err
        assert not Path(out).exists()
    cas.certify("root", Path("signer.csr"), Path("signer.pem"))
    assert bring(cas) == 0


@pytest.mark.slow
def test_a_fault_of_the_chips_arithmetic_does_not_replace_the_key(
    cas: ExternalCas, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*REQUEST, "--out", "signer.csr") == 0
    Path("plan.toml").write_text('[[fault]]\nkind = "ecc-fault"\nopcode = "GenKey"\np1 = 0\ntimes = 30\n')
    again = [f"{SIGNER}?faults=plan.toml" if word == SIGNER else word for word in REQUEST]
    capsys.readouterr()
    assert run(*again, "--out", "signer.csr") == 5
    assert "status 05" in capsys.readouterr().err
    cas.certify("root", Path("signer.csr"), Path("signer.pem"))
    assert bring(cas) == 0


@pytest.mark.slow
def test_a_new_key_is_made_when_it_is_asked_for(cas: ExternalCas, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*REQUEST, "--out", "signer.csr") == 0
    first = x509.load_pem_x509_csr(Path("signer.csr").read_bytes()).public_key()
    cas.certify("root", Path("signer.csr"), Path("signer.pem"))
    capsys.readouterr()
    assert run(*REQUEST, "--out", "other.csr", "--new-key") == 0
    said = capsys.readouterr().err
    assert "an earlier request becomes worthless" in said
    assert "add --signatures 2 there" in said
    assert x509.load_pem_x509_csr(Path("other.csr").read_bytes()).public_key() != first
    assert bring(cas, "--signatures", 2) == 7
    cas.certify("root", Path("other.csr"), Path("signer.pem"))
    assert bring(cas, "--signatures", 2) == 0


@pytest.mark.slow
def test_the_request_of_another_chip_is_not_overwritten(cas: ExternalCas, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*REQUEST, "--out", "signer.csr") == 0
    asked = Path("signer.csr").read_bytes()
    other = "emulator:other.chip"
    again = ("signer", "request", "--device", other, "--signer-id", "0A0C", *ORDER, "--out", "signer.csr")
    capsys.readouterr()
    assert run(*again) == 2
    assert "signer.csr is the request for a key in another chip" in capsys.readouterr().err
    assert (Path("signer.csr").read_bytes(), locks(other)) == (asked, (False, False))
    assert run(*REQUEST, "--out", "signer.csr") == 0  # its own chip makes it again


@pytest.mark.parametrize(
    "key", ["ec -pkeyopt ec_paramgen_curve:P-384", "ec -pkeyopt ec_paramgen_curve:secp112r1", "ed25519"]
)
def test_a_request_for_a_key_of_another_kind_is_not_overwritten(cas: ExternalCas, key: str) -> None:
    done = openssl(
        "req", "-new", "-newkey", *key.split(), "-nodes", "-keyout", "tls.key", "-subj", "/CN=x", "-out", "tls.csr"
    )
    assert done.returncode == 0, done.stderr
    asked = Path("tls.csr").read_bytes()
    assert run(*REQUEST, "--out", "tls.csr") == 2
    assert (Path("tls.csr").read_bytes(), locks(SIGNER)) == (asked, (False, False))


def test_request_into_a_non_file_is_refused(cas: ExternalCas, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("pipe")
    assert run(*REQUEST, "--out", "pipe") == 2
    assert "file-unwritable" in capsys.readouterr().err
