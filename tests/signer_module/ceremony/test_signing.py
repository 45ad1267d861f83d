"""The root's computer: every check before the key is used, the same answer for the same bundle, cuts anywhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov import CertificateError, Code, UsageError
from atcaprov.certs.descriptions.description import default_text
from signer_module.ceremony.bundle import Bundle
from signer_module.ceremony.signed_bundle import SignedBundle
from signer_module.ceremony.signing import check_bundle, signed_before
from signer_module.on_files.key_file import SoftwareKey, load_key
from signer_module.on_files.root_folder import RootFolder
from tests.signer_module.ceremony.conftest import NOW, bundle_of, request_of
from tests.support.cut_programs import ends_after
from tests.support.openssl import verify_with_openssl

Run = Callable[..., int]
PEOPLE = ("--witness", "A. Berg", "--witness", "C. Dahl", "--place", "Room 12", "--reason", "second line")


def confirm_of(bundle: Bundle) -> str:
    return bundle.digest.hex()[-16:]


@pytest.fixture
def bundle(here: Path) -> Bundle:
    made = bundle_of(request_of("C48B"), request_of("0034"))
    (here / "bundle.json").write_text(made.encode())
    return made


def sign(run: Run, bundle: Bundle, *more: str, people: tuple[str, ...] = PEOPLE, out: str = "signed.json") -> int:
    confirm = ("--confirm", confirm_of(bundle))
    return run("ceremony", "sign", "bundle.json", "--root", "root", "--out", out, *people, *confirm, *more)


def test_certificates_are_verified_by_openssl(run: Run, root: RootFolder, bundle: Bundle, here: Path) -> None:
    assert sign(run, bundle) == 0
    assert run("ceremony", "show", "signed.json", "--root-certificate", "root/root.pem") == 0
    assert run("ceremony", "import", "signed.json", "--root-certificate", "root/root.pem", "--out", "in") == 0
    assert sorted(path.name for path in (here / "in").iterdir()) == [
        "record.json", "root.pem", "signer-0034.pem", "signer-C48B.pem",
    ]  # fmt: skip
    for request in bundle.requests:
        path = here / "in" / f"signer-{request.signer_id.hex().upper()}.pem"
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        verify_with_openssl(here, certificate.public_bytes(Encoding.DER), root.certificate)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        assert (constraints.ca, constraints.path_length) == (True, 0)
    assert root.register.issued().keys() == {"C48B", "0034"}


def test_same_bundle_gets_the_same_answer(
    run: Run, root: RootFolder, bundle: Bundle, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sign(run, bundle) == 0
    assert sign(run, bundle, out="again.json", people=("--place", "elsewhere", "--reason", "lost")) == 0
    assert "nothing is signed again" in capsys.readouterr().err
    assert (here / "again.json").read_bytes() == (here / "signed.json").read_bytes()


def test_changed_bundle_is_not_confirmed(
    run: Run, root: RootFolder, bundle: Bundle, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = bundle_of(request_of("C48B"), request_of("0035"))
    (here / "bundle.json").write_text(other.encode())
    assert sign(run, bundle) == 2
    assert "bundle-changed" in capsys.readouterr().err
    assert not root.register.issued()
    assert run("ceremony", "show", "bundle.json") == 0  # as the advice says: compare the digest
    assert " ".join(other.digest.hex().upper()[place : place + 4] for place in range(0, 32, 4)) in (
        capsys.readouterr().out
    )


def test_no_one_confirms_without_a_terminal(
    run: Run, root: RootFolder, bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("ceremony", "sign", "bundle.json", "--root", "root", "--out", "signed.json", *PEOPLE) == 2
    assert "--confirm" in capsys.readouterr().err
    assert not root.register.issued()
    assert sign(run, bundle, "--confirm", confirm_of(bundle)) == 0


@pytest.mark.parametrize("people", [(), ("--witness", "A. Berg"), ("--witness", "A", "--witness", "A")])
def test_one_person_is_not_enough(run: Run, root: RootFolder, bundle: Bundle, people: tuple[str, ...]) -> None:
    where = ("--place", "Room 12", "--reason", "second line")
    assert sign(run, bundle, people=(*people, *where)) == 2
    assert not root.register.issued()
    assert sign(run, bundle, "--alone", people=("--witness", "A. Berg", *where)) == 0


@pytest.mark.parametrize("away", [timedelta(hours=-2), timedelta(days=32), timedelta(days=-3000)])
def test_clock_that_is_far_off_is_accepted_only_with_a_reason(
    run: Run, root: RootFolder, away: timedelta, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = bundle_of(request_of("C48B"), made=NOW - away)
    (here / "bundle.json").write_text(made.encode())
    assert sign(run, made) != 0
    assert "--accept-clock" in capsys.readouterr().err
    assert not root.register.issued()
    assert sign(run, made, "--accept-clock", "radio clock compared") == 0
    assert "radio clock compared" in capsys.readouterr().out


def test_root_that_is_not_valid_now_signs_nothing(root: RootFolder) -> None:
    with pytest.raises(CertificateError) as raised:
        check_bundle(root, bundle_of(request_of("C48B")), NOW - timedelta(days=1), "accepted")
    assert raised.value.code == Code.CHAIN_INVALID


def test_id_and_key_stay_together(run: Run, root: RootFolder, here: Path) -> None:
    key = SoftwareKey.generate()
    first = bundle_of(request_of("C48B", key))
    (here / "bundle.json").write_text(first.encode())
    assert sign(run, first) == 0
    root_key = load_key((here / "root" / "key.pem").read_bytes(), None, "key.pem")
    for request in (request_of("C48B"), request_of("0034", key), request_of("0035", root_key)):
        with pytest.raises((UsageError, CertificateError)) as raised:
            check_bundle(root, bundle_of(request), NOW, "")
        assert raised.value.code == Code.KEY_MISMATCH
    renewed = bundle_of(request_of("C48B", key), made=NOW + timedelta(seconds=1))
    check_bundle(root, renewed, NOW, "")  # the same signer may be certified again
    assert signed_before(root, renewed) is None


def test_folder_that_cannot_be_written_is_found_before_the_key_is_used(
    root: RootFolder, bundle: Bundle, here: Path
) -> None:
    (here / "root" / "ceremonies").write_text("in the way")
    with pytest.raises(UsageError) as raised:
        check_bundle(root, bundle, NOW, "")
    assert raised.value.code == Code.FILE_UNWRITABLE
    assert not root.register.issued()


def test_bundle_of_another_root_is_not_imported(run: Run, root: RootFolder, bundle: Bundle, here: Path) -> None:
    assert sign(run, bundle) == 0
    assert run("root", "create", "--out", "other", "--no-password") == 0
    assert run("ceremony", "import", "signed.json", "--root-certificate", "other/root.pem", "--out", "in") != 0
    assert not (here / "in").exists()


def request(run: Run, *more: str, out: str = "request.pem") -> int:
    order = ("--signer-id", "C48B", "--no-password", "--quota", "20", "--yes")
    return run("signer", "request", "--device", "emulator:chip.json", "--out", out, *order, *more)


@pytest.mark.slow
def test_signer_is_finished_as_the_import_says(
    run: Run, root: RootFolder, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert request(run) == 0
    assert run("ceremony", "export", "--request", "request.pem", "--out", "bundle.json") == 0
    bundle = Bundle.decode((here / "bundle.json").read_text())
    assert sign(run, bundle) == 0
    assert run("ceremony", "import", "signed.json", "--root-certificate", "root/root.pem", "--out", "in") == 0
    line = capsys.readouterr().out.splitlines()[-1]
    words = line.replace("URL", "emulator:chip.json").split()[1:]
    assert words[:2] == ["signer", "import"]
    assert words[2::2] == ["--certificate", "--chain", "--device"]
    assert run(*words, "--no-password", "--quota", "20", "--yes") == 0
    assert run("verify", "--device", "emulator:chip.json") == 0


@pytest.mark.slow
def test_request_of_another_description_is_made_again(
    run: Run, root: RootFolder, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "signer.toml").write_text(default_text("signer").replace("Example Organization", "Example Works"))
    assert request(run) == 0
    export = ("ceremony", "export", "--signer-description", "signer.toml", "--out", "bundle.json")
    assert run(*export, "--request", "request.pem") != 0
    assert "'signer-module signer request', with the same --signer-description" in capsys.readouterr().err
    assert not (here / "bundle.json").exists()
    assert request(run, "--signer-description", "signer.toml", out="again.pem") != 0  # a request keeps its file
    assert request(run, "--signer-description", "signer.toml") == 0
    assert run(*export, "--request", "request.pem") == 0


_SIGN = """
import sys
from tests.signer_module.ceremony.conftest import NOW
from signer_module import cli
from signer_module.commands import options
options.now = lambda: NOW
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_cut_run_can_be_repeated(root: RootFolder, bundle: Bundle, here: Path) -> None:
    arguments = ("ceremony", "sign", "bundle.json", "--root", "root", "--out", "signed.json", *PEOPLE)
    steps, cuts = 0, ("os.fsync", "os.replace")
    while ends_after(steps, cuts, _SIGN, *arguments, "--confirm", confirm_of(bundle)):
        steps += 1
        if (here / "signed.json").exists():
            SignedBundle.decode((here / "signed.json").read_text())
        assert set(root.register.issued()) <= {"C48B", "0034"}
    assert steps > 4
    SignedBundle.decode((here / "signed.json").read_text()).require_root(root.public_key)
    assert root.register.issued().keys() == {"C48B", "0034"}
