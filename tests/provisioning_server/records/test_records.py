from __future__ import annotations

import dataclasses
import os
import ssl
import subprocess
import sys
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import AtcaProvError, Code, UsageError
from atcaprov.certs.issued_record import COLUMNS, IssuedRecord
from provisioning_server.issuing.issuance import certificates_reply, issue
from provisioning_server.records.certificate_files import pem
from provisioning_server.records.signer_documents import SignerDocuments
from provisioning_server.records.signing_log import SigningLog
from tests.support.in_memory_signer import NOW, MemorySigner
from tests.support.server_parts import CHIP_KEY, OTHER_KEY, chip_serial, open_records

SIGNER = MemorySigner()
RECORD = issue(SIGNER, CHIP_KEY, chip_serial(1), NOW)
LINE = RECORD.to_line()


def _record(number: int, key: bytes = CHIP_KEY) -> IssuedRecord:
    return issue(SIGNER, key, chip_serial(number), NOW)


def test_a_line_holds_all_of_the_record() -> None:
    assert IssuedRecord.from_line(LINE) == dataclasses.replace(RECORD, time=NOW.replace(microsecond=0))
    assert LINE.count(b"\t") == len(COLUMNS) - 1
    assert LINE.startswith(b"2026-11-21T10:30:15Z\t0123000000000001EE\t")


@given(
    st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2200, 1, 1)),
    st.text(max_size=40),
    st.binary(min_size=1, max_size=20),
)
def test_any_record_can_be_read_again(time: datetime, name: str, serial: bytes) -> None:
    record = dataclasses.replace(
        RECORD, time=time.replace(microsecond=0, tzinfo=UTC), signer_name=name, certificate_serial=serial
    )
    line = record.to_line()
    assert line.count(b"\n") == 1
    assert IssuedRecord.from_line(line) == dataclasses.replace(record, signer_name=" ".join(name.split()))


@given(st.integers(0, len(LINE) * 8 - 1))
def test_a_flipped_bit_is_seen(position: int) -> None:
    changed = bytearray(LINE)
    changed[position // 8] ^= 1 << position % 8
    try:
        record = IssuedRecord.from_line(bytes(changed))
    except ValueError:
        return
    assert record == IssuedRecord.from_line(LINE)  # only the case of a hex digit of the check, or its line end


@given(st.binary(max_size=300))
def test_garbage_is_not_a_record(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"unpack|invalid literal|check|decode"):
        IssuedRecord.from_line(line)


def test_records_are_known_after_a_restart(tmp_path: Path) -> None:
    records = open_records(tmp_path)
    records.keep_documents(SIGNER.documents)
    kept = [_record(1), _record(2), _record(1, OTHER_KEY)]
    records.append(kept[:2])
    records.close()
    records = open_records(tmp_path, "signing-2.tsv")
    records.keep_documents(SIGNER.documents)
    records.append(kept[2:])
    records.close()
    again = open_records(tmp_path, "signing-3.tsv")
    assert again.find(chip_serial(1)) == [kept[0], kept[2]]
    assert again.find(chip_serial(2)) == [kept[1]]
    assert again.find(chip_serial(3)) == []
    documents = again.documents(kept[0].documents)
    assert certificates_reply(again.find(chip_serial(1))[0], documents) == certificates_reply(kept[0], SIGNER.documents)
    again.close()


def test_certificate_files_are_named_by_chip_and_made_again_if_missing(tmp_path: Path) -> None:
    records = open_records(tmp_path)
    records.keep_documents(SIGNER.documents)
    records.append([_record(1), _record(2), _record(1, OTHER_KEY)])
    records.close()
    folder = tmp_path / "certs"
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    names = ["0123000000000001EE", "0123000000000001EE-2", "0123000000000002EE"]
    assert sorted(files) == sorted(f"{name}_{role}.pem" for name in names for role in ("device", "signer"))
    assert all(path.stat().st_mode & 0o777 == 0o444 for path in folder.iterdir())
    remove(folder / "0123000000000001EE-2_device.pem")
    remove(folder / "0123000000000002EE_signer.pem")
    cut = folder / "0123000000000001EE_device.pem"
    remove(cut)
    cut.write_bytes(files[cut.name][:100])
    again = open_records(tmp_path, "signing-2.tsv")
    assert again.restored_files == 3
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    again.close()


def remove(read_only: Path) -> None:
    """Delete a file as an operator would on any system: Windows deletes nothing that is read-only."""
    if sys.platform == "win32":
        read_only.chmod(0o600)
    read_only.unlink()


def test_certificate_files_with_other_bytes_of_the_same_size_are_made_again(tmp_path: Path) -> None:
    records = open_records(tmp_path)
    records.keep_documents(SIGNER.documents)
    records.append([_record(1), _record(2)])
    records.close()
    files = {path: path.read_bytes() for path in (tmp_path / "certs").iterdir()}
    for path, content in files.items():
        if "2EE" in path.name:
            remove(path)
            path.write_bytes(b"x" * len(content))
    again = open_records(tmp_path, "signing-2.tsv")
    assert again.restored_files == 1
    assert {path: path.read_bytes() for path in files} == files
    again.close()


def test_foreign_files_in_the_certs_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "certs").mkdir()
    for name in ("README", "root.pem", "0123000000000001EE_device.pem.bak"):
        (tmp_path / "certs" / name).write_text("not ours")
    open_records(tmp_path).close()
    assert {path.read_text() for path in (tmp_path / "certs").iterdir()} == {"not ours"}


@given(der=st.binary(min_size=1, max_size=200))
def test_a_pem_file_is_the_one_that_others_write(der: bytes) -> None:
    assert pem(der).decode() == ssl.DER_cert_to_PEM_cert(der)


@pytest.mark.parametrize("cut", [1, 10, len(LINE) - 1])
def test_last_line_that_was_cut_is_ignored(tmp_path: Path, cut: int) -> None:
    records = open_records(tmp_path)
    records.keep_documents(SIGNER.documents)
    records.append([_record(1)])
    records.close()
    with (tmp_path / "logs" / "signing-1.tsv").open("ab") as file:
        file.write(_record(2).to_line()[:cut])
    again = open_records(tmp_path, "signing-2.tsv")
    assert len(again.find(chip_serial(1))) == 1
    assert not again.find(chip_serial(2))
    again.close()


def test_a_damaged_line_stops_the_start_and_is_named(tmp_path: Path) -> None:
    records = open_records(tmp_path)
    records.keep_documents(SIGNER.documents)
    records.append([_record(1), _record(2)])
    records.close()
    path = tmp_path / "logs" / "signing-1.tsv"
    path.write_bytes(path.read_bytes().replace(b"0123000000000001EE", b"0123000000000009EE"))
    with pytest.raises(UsageError, match=r"Line 2 of the signing log .*signing-1\.tsv is damaged") as caught:
        open_records(tmp_path, "signing-2.tsv")
    assert caught.value.code == Code.FILE_INVALID


ADDED = ("client", "revision", "config_revision")


@pytest.mark.parametrize("known", range(len(ADDED) + 1))
def test_a_log_of_a_version_with_fewer_columns_is_read(tmp_path: Path, known: int) -> None:
    records = open_records(tmp_path)
    records.keep_documents(SIGNER.documents)
    records.close()
    text = "\t".join(LINE.decode().split("\t")[: -1 - len(ADDED) + known]).encode()
    header = "\t".join(column for column in COLUMNS if column not in ADDED[known:])
    line = b"%s\n%s\t%08X\n" % (header.encode(), text, zlib.crc32(text))
    (tmp_path / "logs" / "signing-1.tsv").write_bytes(line)
    again = open_records(tmp_path, "signing-2.tsv")
    assert again.find(chip_serial(1)) == [IssuedRecord.from_line(LINE)]
    new = dataclasses.replace(
        _record(2), client="192.0.2.7:40003", revision=b"\0\0\x60\x03", config_revision=b"\0\0\x60\x02"
    )
    again.append([new])
    assert again.find(chip_serial(2)) == [new]
    again.close()


def test_changed_or_missing_signer_documents_stop_the_start(tmp_path: Path) -> None:
    records = open_records(tmp_path)
    records.keep_documents(SIGNER.documents)
    records.append([_record(1)])
    records.close()
    (path,) = (tmp_path / "signers").iterdir()
    path.write_bytes(MemorySigner().documents.to_bytes())
    with pytest.raises(UsageError, match="were changed"):
        open_records(tmp_path, "signing-2.tsv")
    path.write_bytes(b"garbage")
    with pytest.raises(UsageError, match="damaged"):
        open_records(tmp_path, "signing-2.tsv")
    path.unlink()
    with pytest.raises(AtcaProvError) as caught:
        open_records(tmp_path, "signing-2.tsv")
    assert caught.value.code == Code.RECORDS_FAILED


@given(st.binary(max_size=200))
def test_garbage_is_not_signer_documents(data: bytes) -> None:
    with pytest.raises(UsageError):
        SignerDocuments.from_bytes(data)


def test_a_full_disk_fails_the_append_and_all_that_follow(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    records = open_records(tmp_path)
    records.keep_documents(SIGNER.documents)
    records._log = SigningLog(os.open("/dev/full", os.O_WRONLY))
    for _ in range(2):
        with pytest.raises(AtcaProvError) as caught:
            records.append([_record(1)])
        assert caught.value.code == Code.RECORDS_FAILED
    assert records.failed
    assert not records.find(chip_serial(1))
    records.close()


WRITE_UNTIL_FULL = """
import resource, signal, sys
from pathlib import Path
from atcaprov.errors import AtcaProvError
from provisioning_server.records.file_records import FileRecords
from tests.provisioning_server.records.test_records import SIGNER, _record
data = Path(sys.argv[1])
(data / "logs").mkdir()
records = FileRecords(data, data / "logs" / "signing-1.tsv")
records.keep_documents(SIGNER.documents)
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
for number in range(1, 100):
    try:
        records.append([_record(number)])
    except AtcaProvError as error:
        print(number, error.code)
        break
"""


@pytest.mark.slow
def test_records_before_a_full_disk_are_kept(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITE_UNTIL_FULL, str(tmp_path)]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root)
    failed_at, code = done.stdout.split()
    assert code == Code.RECORDS_FAILED
    assert int(failed_at) > 1
    again = open_records(tmp_path, "signing-2.tsv")
    for number in range(1, int(failed_at)):
        assert again.find(chip_serial(number))
    assert not again.find(chip_serial(int(failed_at)))
    again.close()


def test_what_a_signer_has_certified_is_counted_over_all_starts(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        records = open_records(tmp_path, f"signing-{number}.tsv")
        before = records.tally(SIGNER.serial)
        assert (before.issued if before else 0) == number - 1
        records.keep_documents(SIGNER.documents)
        records.append([_record(number)])
        records.close()
        tally = records.tally(SIGNER.serial)
        assert tally is not None
        assert (tally.issued, tally.chip_serial) == (number, chip_serial(number))
    assert records.tally(bytes(9)) is None
