"""A data folder of an older version becomes a ledger: whole and true, or not at all, and the old files stay."""

from __future__ import annotations

import contextlib
import hashlib
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from dataclasses import astuple, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from atcaprov import AtcaProvError, Code
from atcaprov.certs.issued_record import COLUMNS, HEADER, IssuedRecord, Origin
from provisioning_server.folder_import import transfer
from provisioning_server.folder_import.import_folder import check_folder, import_folder, needs_import
from provisioning_server.folder_import.old_records import OldRecords
from provisioning_server.ledger.changes import ClockAccepted, FolderImported
from provisioning_server.ledger.entry_bodies import decode
from provisioning_server.ledger.open_ledger import FILE_NAME, open_ledger
from provisioning_server.ledger.store import Ledger
from provisioning_server.records.accepted_clocks import AcceptedClock, accept
from tests.support.cut_programs import ends_after
from tests.support.in_memory_signer import NOW, MemorySigner, SigningKey
from tests.support.old_data_folder import old_record, write_certificate_files, write_old_folder
from tests.support.server_parts import chip_serial

SIGNER = MemorySigner()
OTHER_SIGNER = MemorySigner()
FIRST = [old_record(SIGNER, 1), old_record(OTHER_SIGNER, 2, minutes=1)]
SECOND = [old_record(SIGNER, 3, minutes=2), old_record(SIGNER, 1, minutes=3)]
LATER = NOW + timedelta(days=1)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_old_folder(tmp_path, [SIGNER, OTHER_SIGNER], FIRST, SECOND)
    return tmp_path


@contextlib.contextmanager
def ledger_of(data: Path) -> Iterator[Ledger]:
    with contextlib.closing(open_ledger(data / FILE_NAME, LATER)) as ledger:
        yield ledger


def files(data: Path) -> dict[str, tuple[bytes, int]]:
    """Return contents and times of all files but the ledger's."""
    found = (path for path in data.rglob("*") if path.is_file() and not path.name.startswith(FILE_NAME))
    return {str(path.relative_to(data)): (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


def log_of(data: Path, number: int = 0) -> Path:
    return sorted((data / "logs").iterdir())[number]


def test_everything_is_taken_over_and_the_old_files_stay(data: Path) -> None:
    before = files(data)
    imported = import_folder(data, LATER)
    assert (imported.certificates, imported.documents) == (4, 2)
    with ledger_of(data) as ledger:
        known = ledger.known([chip_serial(number) for number in (1, 2, 3, 4)], [FIRST[0].public_key])
        assert [stored.record for stored in known.of_chip(chip_serial(1))] == [_seconds(FIRST[0]), _seconds(SECOND[1])]
        assert [stored.record for stored in known.of_chip(chip_serial(2))] == [_seconds(FIRST[1])]
        assert known.of_chip(chip_serial(4)) == ()
        assert known.chip_of(FIRST[0].public_key) == chip_serial(1)
        assert {each.document_id for each in ledger.known_documents()} == {
            SIGNER.documents.document_id,
            OTHER_SIGNER.documents.document_id,
        }
        tally = ledger.tally(SIGNER.serial)
        assert tally is not None
        assert (tally.issued, tally.chip_serial) == (3, chip_serial(1))
        assert ledger.newest == _seconds(SECOND[1]).time
    assert files(data) == before


def _seconds(record: IssuedRecord) -> IssuedRecord:
    return replace(record, time=record.time.replace(microsecond=0))


def test_last_entry_names_each_log_with_its_digest_and_count(data: Path) -> None:
    import_folder(data, LATER)
    with ledger_of(data) as ledger:
        entries = ledger.entries(0, 10)
    assert [entry.kind for entry in entries] == ["issued"] * 4 + ["folder-imported"]
    logs = tuple(
        (path.name, hashlib.sha256(path.read_bytes()).hexdigest(), 2) for path in (log_of(data), log_of(data, 1))
    )
    assert decode(entries[-1].body.decode()) == FolderImported(LATER.replace(microsecond=0), logs)


def test_accepted_clock_comes_before_the_records_of_its_start(data: Path) -> None:
    accepted = AcceptedClock(NOW - timedelta(days=30), NOW, log_of(data, 1).name, "was a month ahead")
    accept(data, accepted)
    log_of(data, 1).write_bytes(HEADER)
    for number in (3, 1):
        for path in (data / "certs").glob(f"{chip_serial(number).hex().upper()}*"):
            path.unlink()
    write_certificate_files(data, FIRST[0], 1, SIGNER.documents.signer_certificate)
    import_folder(data, LATER)
    with ledger_of(data) as ledger:
        events = [decode(entry.body.decode()) for entry in ledger.entries(0, 10)]
        assert events[2] == ClockAccepted(_whole(accepted.time), _whole(NOW), "was a month ahead")
        assert ledger.newest == _whole(accepted.time)
    assert isinstance(events[-1], FolderImported)
    assert events[-1].logs[-1][0::2] == ("clock-accepted.tsv", 1)


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


@pytest.mark.parametrize("known", range(10))
def test_log_of_a_version_with_fewer_columns_is_imported(tmp_path: Path, known: int) -> None:
    origin = ("station", "order", "product", "unit", "label", "request")
    added = ("client", "revision", "config_revision", *origin)
    record = replace(FIRST[0], origin=Origin("line-3", "2026-117", "gateway", "0004A3", "7", bytes(range(16))))
    write_old_folder(tmp_path, [SIGNER], [record])
    text = "\t".join(record.to_line().decode().split("\t")[: -1 - len(added) + known]).encode()
    header = "\t".join(column for column in COLUMNS if column not in added[known:]).encode()
    log_of(tmp_path).write_bytes(b"%s\n%s\t%08X\n" % (header, text, zlib.crc32(text)))
    import_folder(tmp_path, LATER)
    with ledger_of(tmp_path) as ledger:
        (stored,) = ledger.known([record.chip_serial], []).of_chip(record.chip_serial)
    found, wrote = (
        [each.client, each.revision, each.config_revision, *astuple(each.origin)] for each in (stored.record, record)
    )
    assert found == [value if place < known else type(value)() for place, value in enumerate(wrote)]


def test_last_line_that_was_cut_is_not_a_record(data: Path) -> None:
    with log_of(data, 1).open("ab") as log:
        log.write(old_record(SIGNER, 9).to_line()[:-1])
    assert import_folder(data, LATER).certificates == 4


def test_documents_that_no_record_names_are_kept(data: Path) -> None:
    documents = MemorySigner().documents
    (data / "signers" / f"{documents.document_id}.cbor").write_bytes(documents.to_bytes())
    import_folder(data, LATER)
    with ledger_of(data) as ledger:
        assert documents in ledger.known_documents()


def test_folder_is_imported_once(data: Path) -> None:
    assert needs_import(data)
    import_folder(data, LATER)
    assert not needs_import(data)
    with pytest.raises(AtcaProvError, match="were imported before"):
        import_folder(data, LATER)


def test_folder_whose_ledger_is_gone_is_not_imported_again(data: Path) -> None:
    import_folder(data, LATER)
    (data / "server-id").write_text("00112233aabbccdd\n")
    (data / FILE_NAME).unlink()
    with pytest.raises(AtcaProvError, match="was there before") as caught:
        needs_import(data)
    assert caught.value.code == Code.RECORD_MISSING


def test_folder_without_records_needs_no_import(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "server-20261121-103015.log").write_text("Provisioning Server started.\n")
    assert not needs_import(tmp_path)
    with pytest.raises(AtcaProvError, match="no records of an older version"):
        import_folder(tmp_path, LATER)


def test_check_writes_nothing(data: Path) -> None:
    before = sorted(data.rglob("*"))
    assert check_folder(data, LATER).certificates == 4
    assert sorted(data.rglob("*")) == before


def _change_line(data: Path, old: bytes, new: bytes) -> None:
    """Edit the second line of the first log, and make its check fit."""
    header, line, *rest = log_of(data).read_bytes().splitlines(keepends=True)
    text = line.rpartition(b"\t")[0]
    assert old in text
    text = text.replace(old, new, 1)
    log_of(data).write_bytes(b"".join((header, b"%s\t%08X\n" % (text, zlib.crc32(text)), *rest)))


def _flip_a_bit(data: Path) -> None:
    content = bytearray(log_of(data).read_bytes())
    content[len(HEADER) + 30] ^= 1
    log_of(data).write_bytes(content)


def _other_chip(data: Path) -> None:
    _change_line(data, chip_serial(1).hex().upper().encode(), chip_serial(7).hex().upper().encode())


def _other_key(data: Path) -> None:
    _change_line(data, FIRST[0].public_key.hex().upper().encode(), SigningKey().public_key.hex().upper().encode())


def _other_signature(data: Path) -> None:
    forged = replace(FIRST[0], compressed=bytes([FIRST[0].compressed[0] ^ 1]) + FIRST[0].compressed[1:])
    _change_line(data, FIRST[0].compressed.hex().upper().encode(), forged.compressed.hex().upper().encode())


def _signature_of_another_key(data: Path) -> None:
    """A whole certificate, its compressed form too, that another key has signed in the name of this signer."""
    impostor = MemorySigner()
    impostor.documents = SIGNER.documents
    with pytest.raises(AtcaProvError):
        old_record(impostor, 1, key=FIRST[0].public_key)  # no server would have written it
    true = FIRST[0].certificate
    place = true.rindex(b"\x02") + 3
    forged = true[:place] + bytes([true[place] ^ 1]) + true[place + 1 :]
    compressed = bytearray(FIRST[0].compressed)
    at = compressed.index(true[place : place + 8])
    compressed[at] ^= 1
    line = replace(FIRST[0], certificate=forged, compressed=bytes(compressed)).to_line()
    log_of(data).write_bytes(HEADER + line + FIRST[1].to_line())


def _short_serial(data: Path) -> None:
    _change_line(data, SIGNER.serial.hex().upper().encode(), b"00")


def _local_time(data: Path) -> None:
    _change_line(data, b"Z\t", b"+01:00\t")


def _other_signer_id(data: Path) -> None:
    _change_line(data, b"\t0034\t", b"\t0035\t")


def _other_certificate_serial(data: Path) -> None:
    serial = FIRST[0].certificate_serial
    _change_line(data, serial.hex().upper().encode(), bytes(len(serial)).hex().encode())


def _foreign_header(data: Path) -> None:
    log_of(data).write_bytes(b"time\tserial\n")


LINES: list[tuple[Callable[[Path], None], int, str]] = [
    (_flip_a_bit, 2, "is damaged"),
    (_other_chip, 2, "does not verify"),
    (_other_key, 2, "does not verify"),
    (_other_signature, 2, "give another certificate"),
    (_signature_of_another_key, 2, "signature of the certificate does not verify"),
    (_short_serial, 2, "signer_serial has 1 bytes, not 9"),
    (_local_time, 2, "not in UTC"),
    (_other_signer_id, 2, "another signer id"),
    (_other_certificate_serial, 2, "another serial number"),
    (_foreign_header, 1, "is damaged"),
]


@pytest.mark.parametrize(("edit", "line", "says"), LINES, ids=lambda value: getattr(value, "__name__", ""))
def test_edited_line_is_named_and_nothing_is_imported(
    data: Path, edit: Callable[[Path], None], line: int, says: str
) -> None:
    edit(data)
    before = files(data)
    with pytest.raises(AtcaProvError, match=says) as caught:
        import_folder(data, LATER)
    assert caught.value.code == Code.FILE_INVALID
    assert caught.value.what.startswith(f"Line {line} of the signing log {log_of(data)}")
    assert not list(data.glob(f"{FILE_NAME}*"))
    assert files(data) == before


def _log_lost(data: Path) -> Path:
    log_of(data).unlink()
    return data / "certs"


def _last_line_lost(data: Path) -> Path:
    log = log_of(data, 1)
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
    return data / "certs"


def _documents_lost(data: Path) -> Path:
    path = data / "signers" / f"{SIGNER.documents.document_id}.cbor"
    path.unlink()
    return path


@pytest.mark.parametrize("lose", [_log_lost, _last_line_lost, _documents_lost])
def test_lost_part_of_the_record_is_named_and_nothing_is_imported(data: Path, lose: Callable[[Path], Path]) -> None:
    place = lose(data)
    with pytest.raises(AtcaProvError) as caught:
        import_folder(data, LATER)
    assert caught.value.code == Code.RECORD_MISSING
    assert str(place) in caught.value.what
    assert not list(data.glob(f"{FILE_NAME}*"))


def test_files_that_are_not_of_a_certificate_are_ignored(data: Path) -> None:
    for name in ("README", "root.pem", f"{chip_serial(9).hex().upper()}_device.pem.bak"):
        (data / "certs" / name).write_text("not ours")
    assert import_folder(data, LATER).certificates == 4


def test_changed_documents_are_named(data: Path) -> None:
    path = data / "signers" / f"{SIGNER.documents.document_id}.cbor"
    path.write_bytes(OTHER_SIGNER.documents.to_bytes())
    with pytest.raises(AtcaProvError, match="damaged or were changed") as caught:
        import_folder(data, LATER)
    assert str(path) in caught.value.what


def test_documents_with_the_certificate_of_another_signer_are_named(data: Path) -> None:
    mixed = replace(SIGNER.documents, signer_certificate=OTHER_SIGNER.documents.signer_certificate)
    path = data / "signers" / f"{mixed.document_id}.cbor"
    path.write_bytes(mixed.to_bytes())
    with pytest.raises(AtcaProvError, match="is for another key") as caught:
        import_folder(data, LATER)
    assert str(path) in caught.value.what


def test_copy_of_a_log_is_refused(data: Path) -> None:
    (data / "logs" / "signing-20261121-103015 (copy).tsv").write_bytes(log_of(data).read_bytes())
    with pytest.raises(AtcaProvError, match="stands twice") as caught:
        import_folder(data, LATER)
    assert caught.value.code == Code.FILE_INVALID
    assert not list(data.glob(f"{FILE_NAME}*"))


def test_damaged_accepted_clocks_are_named(data: Path) -> None:
    (data / "clock-accepted.tsv").write_text("nonsense\n")
    with pytest.raises(AtcaProvError, match=r"clock-accepted\.tsv is damaged"):
        import_folder(data, LATER)


def test_log_that_changes_during_the_import_is_noticed(data: Path, tmp_path: Path) -> None:
    with ledger_of(data) as ledger:
        transfer.write(OldRecords(data), ledger, LATER)
        with log_of(data, 1).open("ab") as log:
            log.write(old_record(SIGNER, 9).to_line())
        with pytest.raises(AtcaProvError, match="not the records of the files") as caught:
            transfer.compare(OldRecords(data), ledger)
    assert caught.value.code == Code.RECORDS_FAILED


CUT = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from provisioning_server.folder_import import import_folder, transfer
transfer.STEP = 1
import_folder.import_folder(Path(sys.argv[1]), datetime(2026, 11, 22, tzinfo=UTC))
"""
STEPS = ("provisioning_server.ledger.sql.sql_ledger.SqlLedger.commit", "pathlib.Path.rename")


@pytest.mark.slow
@pytest.mark.parametrize("steps", [0, 1, 4, 6, 7])
def test_import_that_was_cut_starts_again(data: Path, steps: int) -> None:
    """Documents, four certificates, the end, the file's name: the program ends without a word before one of them."""
    before = files(data)
    assert ends_after(steps, STEPS, CUT, data) == (steps < 7)
    assert needs_import(data) == (steps < 7)
    if steps < 7:
        assert import_folder(data, LATER).certificates == 4
    with ledger_of(data) as ledger:
        assert ledger.head().size == 5
    assert [path.name for path in data.glob(f"{FILE_NAME}*")] == [FILE_NAME]
    assert files(data) == before


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "STEP", 100)
    peaks = []
    for count in (1100, 2100):  # the caches of what was parsed are full by then
        folder = tmp_path / str(count)
        write_old_folder(folder, [SIGNER], [old_record(SIGNER, number) for number in range(1, count + 1)])
        tracemalloc.start()
        import_folder(folder, LATER)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1_000_000  # the difference has 1.5 MB as text alone
