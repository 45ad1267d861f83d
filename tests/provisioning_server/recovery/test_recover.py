"""Certificates that a restored ledger lacks come back from stations and files: the true ones, once, and no others."""

from __future__ import annotations

import contextlib
import hashlib
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atcaprov import AtcaProvError
from atcaprov.certs.issued_record import HEADER, IssuedRecord
from atcaprov.certs.possession_proof import possession_digest
from atcaprov.provisioning.board_report import BoardReport
from atcaprov.wire.messages import CertificatesReply, CertificatesRequest, ReportRequest
from provisioning_server.cli import command
from provisioning_server.issuing.issuance import issue
from provisioning_server.ledger.changes import CertificatesRecovered, Changes, GivenChallenge, Issued
from provisioning_server.ledger.entry_bodies import decode
from provisioning_server.ledger.open_ledger import FILE_NAME, open_ledger
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.recovery.found_files import FoundFiles
from provisioning_server.recovery.recover import Recoverer, Recovery
from signer_module.on_files.signer_folder import SignerFolder
from tests.support.cut_programs import ends_after
from tests.support.in_memory_signer import NOW, MemorySigner, SigningKey
from tests.support.programs import Ended, run_in_process
from tests.support.server import WireClient, server_program
from tests.support.server_parts import chip_serial, config_zone
from tests.support.signer_folders import make_signer_folder

SIGNER = MemorySigner()
LATER = NOW + timedelta(days=1)
REASON = "machine lost"


@dataclass
class Unit:
    """A chip with its key and its certificate, as it left the line."""

    number: int
    key: SigningKey = field(default_factory=SigningKey)
    signer: MemorySigner = SIGNER
    minutes: int = 0

    def __post_init__(self) -> None:
        made = issue(self.signer, self.key.public_key, chip_serial(self.number), NOW + timedelta(minutes=self.minutes))
        self.record = replace(made, time=made.time.replace(microsecond=0), client="192.0.2.7:40003")

    @property
    def certificate(self) -> bytes:
        return self.record.certificate

    def report(self, challenge: bytes = b"\x11" * 32, *, proof: bool = True, fate: str = "good") -> BoardReport:
        digest = hashlib.sha256(self.certificate).digest()
        signature = self.key.sign(possession_digest(challenge, digest, bytes(32))) if proof else b""
        request = ReportRequest(
            chip_serial=chip_serial(self.number),
            certificate_sha256=digest,
            challenge=challenge,
            fate=fate,
            stages=(),
            finished=int(NOW.timestamp()),
            signature=signature,
            contents_sha256=bytes(32) if proof else b"",
        )
        return BoardReport(request, self.certificate)


KNOWN = Unit(1)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    with contextlib.closing(open_ledger(folder / FILE_NAME, NOW)) as ledger:
        ledger.commit(Changes(documents=[SIGNER.documents], events=[Issued(KNOWN.record, b"\x01" * 32)]))
    return folder


@pytest.fixture
def ledger(data: Path) -> Iterator[SqlLedger]:
    with contextlib.closing(open_ledger(data / FILE_NAME, NOW)) as opened:
        yield opened


@pytest.fixture
def station(tmp_path: Path) -> Path:
    folder = tmp_path / "station"
    (folder / "recorded").mkdir(parents=True)
    return folder


def keep(station: Path, *reports: BoardReport) -> Path:
    """Write reports as a station keeps them; return the last file."""
    path = station
    for report in reports:
        name = f"{report.serial_number.hex().upper()}-{report.request.challenge[:4].hex()}.json"
        path = station / "recorded" / name
        path.write_bytes(report.to_bytes())
    return path


def log_of(folder: Path, *records: IssuedRecord) -> Path:
    path = folder / "signing-20261121-103015.tsv"
    path.write_bytes(HEADER + b"".join(record.to_line() for record in records))
    return path


def pem_of(folder: Path, unit: Unit) -> Path:
    path = folder / f"{chip_serial(unit.number).hex().upper()}_device.pem"
    path.write_text(ssl.DER_cert_to_PEM_cert(unit.certificate))
    return path


def recover(ledger: SqlLedger, *paths: Path) -> Recovery:
    files = FoundFiles(ledger)
    files.read(paths)
    return Recoverer(ledger, REASON, LATER).recover(files)


def stored(ledger: SqlLedger, number: int) -> list[tuple[bytes, bool, str]]:
    found = ledger.known([chip_serial(number)], []).of_chip(chip_serial(number))
    return [(each.record.certificate, each.proven is not None, each.fate) for each in found]


def test_certificate_of_each_kind_of_file_is_recovered(ledger: SqlLedger, station: Path) -> None:
    reported, logged, named = Unit(2), Unit(3, minutes=7), Unit(4)
    keep(station, reported.report())
    log_of(station, KNOWN.record, logged.record)
    pem_of(station, named)
    done = recover(ledger, station)
    assert (done.certificates, done.reports, done.known, done.refused) == (3, 1, 1, [])
    assert stored(ledger, 2) == [(reported.certificate, True, "good")]
    assert stored(ledger, 3) == [(logged.certificate, False, "")]
    assert stored(ledger, 4) == [(named.certificate, False, "")]
    (of_log,) = ledger.known([chip_serial(3)], []).of_chip(chip_serial(3))
    assert of_log.record == logged.record
    (of_report,) = ledger.known([chip_serial(2)], []).of_chip(chip_serial(2))
    hour = NOW.replace(minute=0, second=0, microsecond=0)
    assert of_report.record == replace(reported.record, time=hour, client="")
    tally = ledger.tally(SIGNER.serial)
    assert tally is not None
    assert tally.issued == 4


def test_recovery_is_an_entry_behind_its_certificates(ledger: SqlLedger, station: Path) -> None:
    keep(station, Unit(2).report(), Unit(3).report(b"\x12" * 32))
    recover(ledger, station)
    events = [decode(entry.body.decode()) for entry in ledger.entries(1, 10)]
    assert [type(event).__name__ for event in events] == [
        "Issued",
        "Issued",
        "CertificatesRecovered",
        "Reported",
        "Reported",
    ]
    assert events[2] == CertificatesRecovered(LATER.replace(microsecond=0), REASON, 2)


def test_second_recovery_finds_nothing_to_do(ledger: SqlLedger, station: Path) -> None:
    keep(station, Unit(2).report(), KNOWN.report(b"\x01" * 32))
    recover(ledger, station)
    size = ledger.head().size
    done = recover(ledger, station)
    assert (done.certificates, done.reports, done.known, done.refused) == (0, 0, 2, [])
    assert ledger.head().size == size


def test_report_and_log_of_one_certificate_are_one(ledger: SqlLedger, station: Path) -> None:
    unit = Unit(2, minutes=9)
    keep(station, unit.report())
    log_of(station, unit.record)
    assert recover(ledger, station).certificates == 1
    (found,) = ledger.known([chip_serial(2)], []).of_chip(chip_serial(2))
    assert found.record == unit.record
    assert found.proven is not None


def test_certificate_that_was_sent_twice_has_both_reports(ledger: SqlLedger, station: Path) -> None:
    unit = Unit(2)
    keep(station, unit.report(b"\x21" * 32, proof=False, fate="retry"), unit.report(b"\x22" * 32))
    done = recover(ledger, station)
    assert stored(ledger, 2) == [(unit.certificate, True, "good")]
    assert done.reports == 1
    assert len(done.refused) == 1, "no one can tell that its challenge was the server's"


def test_lost_proof_of_a_known_certificate_is_recovered(ledger: SqlLedger, station: Path) -> None:
    keep(station, KNOWN.report(b"\x31" * 32))  # it answers a challenge that was given after the backup
    done = recover(ledger, station)
    assert (done.certificates, done.reports, done.known) == (0, 1, 1)
    assert stored(ledger, 1) == [(KNOWN.certificate, True, "good")]


def _sends_challenge_again(ledger: SqlLedger, number: int, challenge: bytes) -> None:
    (stored_one,) = ledger.known([chip_serial(number)], []).of_chip(chip_serial(number))
    ledger.commit(Changes(challenges=[GivenChallenge(challenge, stored_one.index, NOW)]))


def test_report_with_a_challenge_of_another_chip_is_refused_alone(ledger: SqlLedger, station: Path) -> None:
    """Its chip has truly signed the challenge of another chip, which the ledger knows."""
    confused, true = Unit(2), Unit(50)
    ledger.commit(Changes(events=[Issued(confused.record, b"\x02" * 32)]))
    _sends_challenge_again(ledger, 1, b"\x51" * 32)
    wrong = keep(station, confused.report(b"\x51" * 32))
    keep(station, true.report(b"\x77" * 32), KNOWN.report(b"\x51" * 32))
    done = recover(ledger, station)
    assert len(done.refused) == 1
    assert wrong.name in done.refused[0]
    assert (done.certificates, done.reports) == (1, 2)
    assert stored(ledger, 50) == [(true.certificate, True, "good")]
    assert stored(ledger, 1) == [(KNOWN.certificate, True, "good")]
    assert stored(ledger, 2) == [(confused.certificate, False, "")]
    assert not ledger.failed


@pytest.mark.parametrize("known", [True, False])
def test_two_reports_with_one_challenge_are_not_both_believed(ledger: SqlLedger, station: Path, known: bool) -> None:
    units = [Unit(2), Unit(3)]
    if known:
        ledger.commit(Changes(events=[Issued(unit.record, bytes([unit.number]) * 32) for unit in units]))
    paths = [keep(station, unit.report(b"\x61" * 32)) for unit in units]
    done = recover(ledger, station)
    assert [each.startswith(f"{paths[1]}: Its challenge is that") for each in done.refused] == [True]
    assert stored(ledger, 2) == [(units[0].certificate, True, "good")]
    assert known or stored(ledger, 3) == [(units[1].certificate, False, "")], "its certificate is true"
    assert not ledger.failed


def test_refused_report_is_named_by_its_own_file(ledger: SqlLedger, station: Path) -> None:
    unit = Unit(2)
    keep(station, unit.report(b"\x21" * 32))
    wrong = keep(station, unit.report(b"\x22" * 32, proof=False, fate="retry"))
    (refused,) = recover(ledger, station).refused
    assert wrong.name in refused


@pytest.mark.slow
def test_certificate_of_a_signer_that_is_named_is_recovered(data: Path, station: Path, tmp_path: Path) -> None:
    """The signer came after the backup; the key is not needed."""
    folder = make_signer_folder(tmp_path)
    served = tmp_path / "served"
    issued_of = issued_by_server(folder, served, 7, 8)
    (log,) = (served / "logs").glob("signing-*.tsv")
    pem = station / f"{chip_serial(7).hex().upper()}_device.pem"
    pem.write_text(ssl.DER_cert_to_PEM_cert(issued_of[0].device_certificate))
    (folder.path / "key.pem").unlink()
    done = run_recover(data, pem, "--reason", REASON)
    assert done.code == 1
    assert "of a signer that has issued nothing in this ledger, nor is named" in done.out
    done = run_recover(data, pem, log, "--reason", REASON, "--signer", folder.path)
    assert (done.code, done.err) == (0, ""), done.out
    assert done.out.startswith("Recovered: 2 certificates")


@pytest.mark.parametrize("place", ["nowhere", "emulator:", "{station}", ""])
def test_signer_that_cannot_be_read_changes_nothing(data: Path, station: Path, place: str) -> None:
    keep(station, Unit(2).report())
    done = run_recover(data, station, "--reason", REASON, "--signer", place.format(station=station))
    assert done.code == (6 if place == "emulator:" else 2)
    assert done.out == ""
    with contextlib.closing(open_ledger(data / FILE_NAME, NOW)) as ledger:
        assert ledger.head().size == 1


def _wrong_proof(station: Path) -> Path:
    true = Unit(1, KNOWN.key).report(b"\x41" * 32)
    forged = replace(KNOWN.report(b"\x42" * 32).request, signature=true.request.signature)
    return keep(station, BoardReport(forged, KNOWN.certificate))


def _wrong_digest(station: Path) -> Path:
    unit = Unit(2)
    return keep(station, BoardReport(replace(unit.report().request, certificate_sha256=bytes(32)), unit.certificate))


def _flipped(station: Path) -> Path:
    unit = Unit(2)
    certificate = bytearray(unit.certificate)
    certificate[len(certificate) // 2] ^= 1
    return keep(station, BoardReport(unit.report().request, bytes(certificate)))


def _not_a_certificate(station: Path) -> Path:
    return keep(station, BoardReport(Unit(2).report().request, b"garbage"))


def _other_signer(station: Path) -> Path:
    return keep(station, Unit(2, signer=MemorySigner()).report())


def _other_signer_in_a_log(station: Path) -> Path:
    return log_of(station, Unit(2, signer=MemorySigner()).record)


def _edited_log(station: Path) -> Path:
    return log_of(station, replace(Unit(2).record, chip_serial=chip_serial(7)))


def _damaged_log(station: Path) -> Path:
    path = log_of(station, Unit(2).record)
    path.write_bytes(path.read_bytes().replace(b"192.0", b"193.0"))
    return path


def _damaged_report(station: Path) -> Path:
    path = keep(station, Unit(2).report())
    path.write_bytes(path.read_bytes()[:-30])
    return path


def _unnamed_certificate(station: Path) -> Path:
    return pem_of(station, Unit(2)).rename(station / "device.pem")


def _certificate_of_another_chip(station: Path) -> Path:
    return pem_of(station, Unit(2)).rename(station / f"{chip_serial(9).hex().upper()}_device.pem")


def _same_key_again(station: Path) -> Path:
    return pem_of(station, Unit(1, KNOWN.key, minutes=120))


def _key_of_another_chip(station: Path) -> Path:
    return pem_of(station, Unit(2, KNOWN.key))


def _older_certificate(station: Path) -> Path:
    return pem_of(station, Unit(1, minutes=-120))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_wrong_proof, "challenge"),
        (_wrong_digest, "certificate"),
        (_flipped, "is of a signer that has issued nothing"),
        (_not_a_certificate, "is of a signer that has issued nothing"),
        (_other_signer, "is of a signer that has issued nothing"),
        (_other_signer_in_a_log, "is of a signer that has issued nothing"),
        (_edited_log, "does not verify"),
        (_damaged_log, "is damaged"),
        (_damaged_report, "is damaged"),
        (_unnamed_certificate, "Name a certificate by its chip"),
        (_certificate_of_another_chip, "is of a signer that has issued nothing"),
        (_same_key_again, "has another certificate for the same key"),
        (_key_of_another_chip, "its key has a certificate for another chip"),
        (_older_certificate, "has a newer certificate, for another key"),
    ],
)
def test_what_is_not_true_or_not_wanted_is_named_and_left_out(
    ledger: SqlLedger, station: Path, make: Callable[[Path], Path], says: str
) -> None:
    path = make(station)
    good = keep(station, Unit(50).report(b"\x77" * 32))
    done = recover(ledger, path, good)
    assert len(done.refused) == 1
    assert path.name in done.refused[0]
    assert says in done.refused[0]
    assert stored(ledger, 50)[0][1], "the others are recovered"
    assert stored(ledger, 1) == [(KNOWN.certificate, False, "")]
    assert sum(len(stored(ledger, number)) for number in (2, 7, 9)) <= (make is _wrong_digest)


def test_lines_that_the_ledger_has_are_not_kept_in_memory(ledger: SqlLedger, station: Path) -> None:
    lost = Unit(2)
    files = FoundFiles(ledger)
    files.read([log_of(station, KNOWN.record, lost.record)])
    assert list(files.certificates) == [lost.certificate]
    assert files.known == 1


def test_two_certificates_of_one_key_are_not_both_recovered(ledger: SqlLedger, station: Path) -> None:
    first = Unit(2)
    second = Unit(2, first.key, minutes=1)
    log_of(station, first.record, second.record)
    done = recover(ledger, station)
    assert stored(ledger, 2) == [(first.certificate, False, "")]
    assert len(done.refused) == 1


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_in_a_file_are_refused(ledger: SqlLedger, tmp_path: Path, content: bytes) -> None:
    for name in ("x.json", "signing-1.tsv", f"{chip_serial(2).hex().upper()}_device.pem"):
        path = tmp_path / name
        path.write_bytes(content)
        files = FoundFiles(ledger)
        files.read([path])
        assert not files.certificates
        assert len(files.unreadable) == 1 or name.endswith("tsv")


PROGRAM = """
import contextlib, sys
from datetime import UTC, datetime
from pathlib import Path
from provisioning_server.ledger.open_ledger import open_ledger
from provisioning_server.recovery import recover
from provisioning_server.recovery.found_files import FoundFiles
recover.STEP = 1
now = datetime(2026, 11, 22, tzinfo=UTC)
with contextlib.closing(open_ledger(Path(sys.argv[1]), now)) as ledger:
    files = FoundFiles(ledger)
    files.read([Path(sys.argv[2])])
    recover.Recoverer(ledger, "cut", now).recover(files)
"""


@pytest.mark.slow
@pytest.mark.parametrize("steps", [0, 1, 2, 3, 4])
def test_recovery_that_was_cut_is_repeated(data: Path, station: Path, steps: int) -> None:
    units = [Unit(2), Unit(3)]
    keep(station, *(unit.report(bytes([unit.number]) * 32) for unit in units))
    place = ("provisioning_server.ledger.sql.sql_ledger.SqlLedger.commit",)
    assert ends_after(steps, place, PROGRAM, data / FILE_NAME, station) == (steps < 4)
    with contextlib.closing(open_ledger(data / FILE_NAME, NOW)) as ledger:
        recover(ledger, station)
        for unit in units:
            assert stored(ledger, unit.number) == [(unit.certificate, True, "good")]


def run_recover(data: Path, *words: object) -> Ended:
    return run_in_process(command, "ledger", "recover", "--data", str(data), *map(str, words))


def test_command_says_what_was_recovered_and_what_was_not(data: Path, station: Path) -> None:
    keep(station, Unit(2).report())
    done = run_recover(data, station, "--reason", REASON)
    assert (done.code, done.err) == (0, "")
    assert done.out == "Recovered: 1 certificate, 1 report. In the ledger before: 0 certificates.\n"
    (station / "broken.json").write_text("{}")
    done = run_recover(data, station, "--reason", REASON)
    assert done.code == 1
    assert done.out.startswith(f"Not recovered: {station / 'broken.json'}: The report is damaged")


@pytest.mark.parametrize(
    "words", [(), ("missing.json", "--reason", REASON), ("{station}", "--reason", " "), ("{station}",)]
)
def test_wrong_words_change_nothing(data: Path, station: Path, words: tuple[str, ...]) -> None:
    keep(station, Unit(2).report())
    assert run_recover(data, *(word.format(station=station) for word in words)).code == 2
    with contextlib.closing(open_ledger(data / FILE_NAME, NOW)) as ledger:
        assert ledger.head().size == 1


def test_folder_without_a_ledger_gets_none(tmp_path: Path, station: Path) -> None:
    keep(station, Unit(2).report())
    done = run_recover(tmp_path, station, "--reason", REASON)
    assert done.code == 2
    assert "There is no ledger" in done.err
    assert not (tmp_path / FILE_NAME).exists()


def test_path_that_does_not_exist_is_an_error(ledger: SqlLedger, tmp_path: Path) -> None:
    with pytest.raises(AtcaProvError, match="nowhere does not exist"):
        FoundFiles(ledger).read([tmp_path / "nowhere"])


@pytest.mark.slow
def test_older_ledger_gets_its_certificates_back_from_the_signing_logs(tmp_path: Path) -> None:
    """On the machine itself: a backup is restored over a newer ledger, and the server goes on with all certificates."""
    signer, data, backups = make_signer_folder(tmp_path), tmp_path / "data", tmp_path / "backups"

    def ledger_command(*words: object) -> Ended:
        done = run_in_process(command, "--data", str(data), "ledger", *map(str, words))
        assert done.code == 0, done.err
        return done

    first = issued_by_server(signer, data, 1)
    ledger_command("backup", backups)
    more = issued_by_server(signer, data, 2, 3)
    (backup,) = backups.iterdir()
    ledger_command("restore", backup, "--replace", "damaged")
    with server_program("--signer", signer.path, "--data", data) as server:
        assert server.finish() == 2
    assert "[record-missing]" in server.errors
    assert ledger_command("recover", data / "logs", "--reason", "damaged").out.startswith("Recovered: 2 certificates")
    ledger_command("accept-rollback", "--reason", "damaged")
    assert issued_by_server(signer, data, 1, 2, 3) == first + more
    assert len(ledger_command("search", "--json").out.splitlines()) == 3


KEYS = {number: SigningKey().public_key for number in (1, 2, 3, 7, 8)}


def issued_by_server(signer: SignerFolder, data: Path, *numbers: int) -> list[CertificatesReply]:
    with server_program("--signer", signer.path, "--data", data) as server, WireClient(server.address()) as client:
        chips = [CertificatesRequest(config_zone(number), KEYS[number], signer.public_key) for number in numbers]
        replies = [client.certificates(chip) for chip in chips]
        assert server.stop() == 0
    return replies
