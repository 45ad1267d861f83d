"""`provisioning-server audit` as a user runs it."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from provisioning_server.audit.log_key import open_log_key
from provisioning_server.audit.log_signer import LogSigner
from provisioning_server.cli import command
from provisioning_server.ledger.changes import Intent, Lost
from provisioning_server.ledger.open_ledger import FILE_NAME, open_ledger
from provisioning_server.ledger.store import Ledger
from tests.provisioning_server.audit.true_ledger import SIGNER, certificate, fill, report, write
from tests.support.in_memory_signer import NOW
from tests.support.programs import Ended, run_in_process
from tests.support.server_parts import chip_serial

RunAudit = Callable[..., Ended]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Ledger]:
    """The ledger as a running server has it open: three chips, of which the last never reported."""
    data = tmp_path / "data"
    data.mkdir()
    with contextlib.closing(open_ledger(data / FILE_NAME, NOW)) as ledger:
        LogSigner(ledger, open_log_key(data, ledger))
        fill(ledger, 2)
        write(ledger, certificate(3))
        yield ledger


@pytest.fixture
def audit(served: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunAudit:
    monkeypatch.chdir(tmp_path)
    return lambda *words: run_in_process(command, "--data", "data", "audit", *map(str, words))


def key_in(ended: Ended) -> str:
    return ended.out.strip().rpartition(": ")[2]


def test_export_then_verify(audit: RunAudit, served: Ledger) -> None:
    first = audit("export", "log")
    assert first.code == 0
    assert first.out.startswith("Entries in log: 5, 5 of them new.\n")
    key = key_in(first)
    Path("old").write_bytes(Path("log/checkpoint").read_bytes())
    write(served, report(4, certificate(3), 3))
    assert audit("export", "log").out.startswith("Entries in log: 6, 1 of them new.\n")
    for place in (["log"], []):
        ended = audit("verify", *place, "--key", key, "--since", "old")
        assert ended.code == 0
        assert "Checked: The log continues the older checkpoint of 5 entries" in ended.out
        assert "Certificates: 3, each signed" in ended.out
        assert ended.out.endswith("No findings.\n")


def test_verify_without_a_key_says_what_that_is_worth(audit: RunAudit) -> None:
    audit("export", "log")
    assert "Give --key, or anyone may have made it" in audit("verify", "log").out
    assert "Give --key, or anyone may have made it" in audit("verify").out


def test_findings_have_their_index_and_an_exit_code(audit: RunAudit) -> None:
    key = key_in(audit("export", "log"))
    bundle = Path("log/tile/entries/000.p/5")
    bundle.write_bytes(bundle.read_bytes().replace(b'"good"', b'"GOOD"', 1))
    ended = audit("verify", "log", "--key", key)
    assert ended.code == 1
    assert "Found [entry-changed] entry 1: " in ended.out
    assert "\nFindings: " in ended.out
    found = json.loads(audit("verify", "log", "--key", key, "--json").out)
    assert {"code": "entry-changed", "index": 1} in [
        {name: one[name] for name in ("code", "index")} for one in found["findings"]
    ]
    assert found["found"] == len(found["findings"])


def test_birth_record_by_chip_and_by_certificate(audit: RunAudit) -> None:
    key = key_in(audit("export", "log"))
    serial = chip_serial(1).hex()
    ended = audit("proof", "--chip", serial, "-o", "unit.json")
    assert (ended.code, ended.out) == (
        0,
        f"unit.json has 2 entries of chip {serial.upper()}, proven in the log of 5 entries.\n",
    )
    der = certificate(1).record.certificate
    Path("unit.pem").write_bytes(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM))
    Path("unit.der").write_bytes(der)
    for file in ("unit.pem", "unit.der"):
        assert json.loads(audit("proof", "--certificate", file).out)["chip_serial"] == serial
    found = audit("verify", "unit.json", "--key", key)
    assert found.code == 0
    assert "Proofs that the chip has the key of its certificate: 1." in found.out
    Path("unit.json").write_text(Path("unit.json").read_text().replace("good", "GOOD"))
    assert audit("verify", "unit.json", "--key", key).code == 1


def test_witness_cosigns_and_the_proof_carries_it(audit: RunAudit, served: Ledger) -> None:
    key = key_in(audit("export", "log"))
    words = ("witness", "log", "--state", "witness", "--name", "witness.example.com/hall-2")
    refused = audit(*words)
    assert refused.code == 2
    assert "[witness-refused]" in refused.err
    cosigned = audit(*words, "--trust", key)
    assert cosigned.out.startswith("Cosigned 5 entries of atcaprov.ledger/")
    witness = key_in(cosigned)
    assert audit("verify", "log", "--key", key, "--witness", witness).code == 0
    write(served, report(4, certificate(3), 3))
    proof = audit(
        "proof", "--chip", chip_serial(3).hex(), "--checkpoint", "log/checkpoint", "--witness", witness, "-o", "3.json"
    )
    assert proof.out.endswith("has 1 entry of chip 0123000000000003EE, proven in the log of 5 entries.\n")
    found = audit("verify", "3.json", "--key", key, "--witness", witness)
    assert found.code == 0
    assert "Cosigned by witness.example.com/hall-2" in found.out
    # After the next export the cosigned checkpoint is kept, and the log is checked against it.
    audit("export", "log")
    assert "continues the older checkpoint of 5 entries" in audit("verify", "log", "--key", key).out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["verify", "missing"], 2, "[file-unreadable]: There is no folder missing"),
        (["verify", "--key", "nonsense"], 2, "[log-invalid]"),
        (["verify", "--since", "missing"], 2, "[file-unreadable]"),
        (["proof"], 2, "Give either --chip or --certificate."),
        (["proof", "--chip", "00"], 2, "'00' is not a serial number"),
        (["proof", "--chip", "ff" * 9], 2, "[record-missing]: The log has no entry of chip FFFFFFFFFFFFFFFFFF"),
        (
            ["proof", "--certificate", "data/log-key.pem"],
            2,
            "[file-invalid]: data/log-key.pem is not a device certificate",
        ),
        (["witness", "missing", "--state", "w", "--name", "a+b"], 2, "[file-unreadable]"),
        (["reconcile", "--counter", "00=1"], 2, "'00' is not a serial number"),
        (["reconcile", "--counter", "00" * 9], 2, "= and a number"),
        (["reconcile", "--module", "emulator:?image=atecc608a"], 6, "[not-a-module]"),
    ],
)
def test_bad_input_is_a_typed_error(audit: RunAudit, words: list[str], code: int, says: str) -> None:
    ended = audit(*words)
    assert ended.code == code
    assert says in " ".join(ended.err.split())


def test_no_ledger_is_a_typed_error(tmp_path: Path) -> None:
    for words in (["verify"], ["export", "log"], ["proof", "--chip", "00" * 9], ["reconcile"]):
        ended = run_in_process(command, "--data", str(tmp_path / "none"), "audit", *words)
        assert ended.code == 2
        assert "There is no ledger" in ended.err


def test_key_is_made_for_a_ledger_that_never_served(tmp_path: Path) -> None:
    open_ledger(tmp_path / FILE_NAME, NOW).close()
    ended = run_in_process(command, "--data", str(tmp_path), "audit", "export", str(tmp_path / "log"))
    assert ended.code == 0
    assert (tmp_path / "log-key.pem").exists()


def lost(chip: int, *, signed: bool | None) -> Lost:
    record = certificate(chip).record
    intent = Intent(
        record.chip_serial, record.public_key, record.signer_serial, SIGNER.documents.signer_public_key,
        record.documents, NOW, b"unsigned", "00" * 8,
    )  # fmt: skip
    return Lost(intent, NOW, signed, "the server was stopped")


def test_reconcile_compares_chips_and_counters(audit: RunAudit, served: Ledger) -> None:
    write(served, report(2, certificate(2), 2, fate="scrap"))
    write(served, lost(4, signed=True))
    serial = SIGNER.serial.hex().upper()
    ended = audit("reconcile", "--chips-in", "5")
    assert ended.code == 0
    assert "Chips with a certificate: 3 = 1 good + 1 scrap + 1 open\n  open, not reported: 1\n" in ended.out
    assert "Chips delivered: 5; without a certificate: 2\n" in ended.out
    assert "4 = 3 certificates + 0 CRLs + 1 lost + 0 accepted; its counter was not read" in ended.out
    short = audit("reconcile", "--chips-in", "2")
    assert short.code == 1
    assert "Chips delivered: 2; too few by 1\n" in short.out
    found = json.loads(audit("reconcile", "--json").out)
    assert (found["chips"]["good"], found["chips"]["scrap"], found["chips"]["open"]) == (1, 1, 1)
    assert found["signers"][0]["signer_serial"] == serial
    assert (found["signers"][0]["certificates"], found["signers"][0]["lost"]) == (3, 1)
    assert "where it began is unknown" in audit("reconcile", "--counter", f"{serial}=9").out


def test_damaged_ledger_is_audited_as_it_is(audit: RunAudit, served: Ledger) -> None:
    with contextlib.closing(sqlite3.connect(f"data/{FILE_NAME}")) as connection:
        connection.execute("DELETE FROM entries WHERE idx = 3")
        connection.commit()
    ended = audit("verify")
    assert ended.code == 1
    assert "Found [entry-changed] entry 3: " in ended.out
    assert "[ledger-damaged]" in audit("export", "log").err
