"""Text from outside never controls the terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from atcaprov import UsageError
from atcaprov.program.exit_codes import error_text
from atcaprov.terminal.printable import folded, printable, printable_lines
from signer_module.on_files import root_folder as root
from signer_module.on_files.key_file import SoftwareKey
from tests.support.programs import run_signer_module as run
from tests.support.signer_modules import CHEAP, SIGNER, working_folder


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Example Straße", "Example Straße"),
        ("\x1b[31mred\x07", "?[31mred?"),
        ("a\nb\rc\td\x7f\x85\u2028\u202e", "a?b?c?d????"),
        ("", ""),
    ],
)
def test_unprintable_characters_become_question_marks(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable_lines(f"{text.replace(chr(10), '?')}\nnext") == f"{shown}\nnext"


def test_error_texts_are_printable() -> None:
    assert error_text(UsageError("no \x1b[2Jscreen", advice="try\x07")) == "Error [usage]: no ?[2Jscreen\ntry?"


@pytest.mark.parametrize(
    ("text", "columns", "indent", "shown"),
    [
        ("one two three", None, "  ", "  one two three"),
        ("one two three", 9, "", "one two\nthree"),
        ("one two three", 13, "", "one two three"),
        ("one two three", 9, "  ", "  one two\n  three"),
        ("one\n  two three", 8, "", "one\n  two\n  three"),
        ("see /a/long-path/of/one: good", 10, "", "see\n/a/long-path/of/one:\ngood"),
        ("one two", 1, "    ", "    one\n    two"),
        ("", 10, "", ""),
    ],
)
def test_lines_break_between_words(text: str, columns: int | None, indent: str, shown: str) -> None:
    assert folded(text, columns, indent) == shown


def root_with_a_name(name: str) -> None:
    """Make a root on files, as another program might."""
    key = SoftwareKey.generate()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    public = key.cryptography_key.public_key()
    certificate = (
        x509.CertificateBuilder(subject, subject, public, 7, begin, begin.replace(year=begin.year + 30, day=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key.cryptography_key, hashes.SHA256())
    )
    folder = Path("root")
    folder.mkdir()
    (folder / root.CERTIFICATE_FILE).write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / root.KEY_FILE).write_bytes(key.encode(None))
    (folder / "signers.tsv").write_text("signer_id\tkey_id\tname\tissued\n")


@pytest.mark.slow
def test_names_on_a_module_are_shown_printable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    working_folder(tmp_path, monkeypatch)
    root_with_a_name("R\x1b[31mRED\x07 root")
    assert run("signer", "create", "--root", "root", "--device", SIGNER, "--no-password", *CHEAP) == 0
    assert run("info", "--device", SIGNER) == 0
    assert run("info", "root") == 0
    assert run("info", "root", "--json") == 0
    shown = capsys.readouterr()
    assert "root: R?[31mRED? root\n" in shown.out
    assert "a signer certificate from R?[31mRED? root" in shown.err
    assert printable_lines(shown.out + shown.err) == shown.out + shown.err
