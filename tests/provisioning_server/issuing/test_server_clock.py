"""A server whose clock cannot be right: with a clock that the test sets, and as a program with a changed clock."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from atcaprov import Code, Device, UsageError
from atcaprov.certs.descriptions.description import default_description
from atcaprov.certs.descriptions.template import device_definition
from atcaprov.chip.maker_tables import TFLXTLS_TABLE
from atcaprov.wire.messages import CertificatesReply, CertificatesRequest, ErrorReply, SignerReply, SignerRequest
from provisioning_server.issuing.authority import Authority
from provisioning_server.issuing.requests import Request
from provisioning_server.issuing.server_clock import ServerClock, check_clock
from provisioning_server.ledger.changes import ClockAccepted
from provisioning_server.ledger.entry_bodies import decode
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.settings import Settings
from provisioning_server.signers.registry import SignerRegistry
from tests.support.in_memory_signer import NOW, MemorySigner
from tests.support.issuing_without_sockets import IssuingLine, SlowSigner, refused
from tests.support.ledgers import ledger_in, records_of
from tests.support.programs import program, run
from tests.support.server import ServerAddress, WireClient, server_environment, server_program
from tests.support.server_parts import (
    CHIP_KEY,
    OTHER_KEY,
    RememberingLog,
    answer,
    asked,
    chip_serial,
    config_zone,
    request,
)
from tests.support.signer_folders import make_signer_folder
from tests.support.system_programs import require_program

YEAR = timedelta(days=365)


def _signer(signer_years: int = 10) -> MemorySigner:
    """Made at NOW, 2026-11-21 10:30; its certificate begins at 10:00, its definition ends with 2031."""
    signer = dataclasses.replace(default_description("signer"), expire_years=signer_years)
    device = dataclasses.replace(default_description("device"), expire_years=1)
    return MemorySigner(device=device_definition(device, signer=signer, at=NOW), description=signer, made=NOW)


SIGNER = _signer()


class Shift:
    """A server between its starts, in one folder, with a clock that the test sets."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.now = NOW
        self.log = RememberingLog()
        self.starts = 0
        self.records: SqlLedger | None = None
        self.start()

    def start(self, accept_clock: str | None = None, signers: Sequence[MemorySigner] = (SIGNER,)) -> None:
        self.stop()
        self.starts += 1
        records = self.records = ledger_in(self.data)
        clock = ServerClock(lambda: self.now, lambda: records.newest)
        check_clock(clock, records, accept_clock, self.log)
        self.authority = Authority(SignerRegistry(signers), records, self.log, lambda: self.now)

    def stop(self) -> None:
        if self.records is not None:
            self.records.close()

    def ask(self, message: Request) -> SignerReply | CertificatesReply | ErrorReply:
        (reply,) = answer(self.authority, asked(message))
        assert isinstance(reply, SignerReply | CertificatesReply | ErrorReply)
        return reply

    def refusal(self, number: int = 9) -> ErrorReply | None:
        """Ask for a signer and a certificate; return why neither is given, None if both are."""
        replies = [self.ask(SignerRequest(SIGNER.documents.signer_public_key)), self.ask(request(SIGNER, number))]
        if isinstance(replies[0], ErrorReply):
            assert replies[0] == replies[1]
            return replies[0]
        assert isinstance(replies[1], CertificatesReply), replies[1]
        return None

    def certify(self, number: int = 1) -> CertificatesReply:
        reply = self.ask(request(SIGNER, number))
        assert isinstance(reply, CertificatesReply), reply
        return reply


@pytest.fixture
def shift(tmp_path: Path) -> Iterator[Shift]:
    made = Shift(tmp_path)
    yield made
    made.stop()


@pytest.mark.parametrize(
    ("now", "says"),
    [
        (datetime(1970, 1, 1, 0, 3, tzinfo=UTC), "certificate begins on 2026-11-21 10:00 UTC. Correct the clock"),
        (datetime(2020, 5, 1, tzinfo=UTC), "certificate begins on 2026-11-21 10:00 UTC"),
        (datetime(2026, 11, 21, 9, 58, tzinfo=UTC), "certificate begins on 2026-11-21 10:00 UTC"),
        (datetime(2026, 11, 21, 9, 59, tzinfo=UTC), ""),
        (NOW, ""),
        (NOW + 5 * YEAR, ""),
        (datetime(2032, 1, 1, tzinfo=UTC), "definition is for the years 2000 to 2031. Correct the clock; if it is"),
        (datetime(2060, 1, 1, tzinfo=UTC), "certificate ended on 2036-11-21 10:00 UTC. Correct the clock; if it is"),
    ],
)
def test_a_clock_outside_the_signers_dates_refuses_before_a_chip_is_touched(
    shift: Shift, now: datetime, says: str
) -> None:
    shift.now = now
    found = shift.refusal()
    if not says:
        assert found is None
        return
    assert found is not None
    assert (found.code, found.retryable) == (Code.SERVER_CLOCK, True)
    assert f"The server's clock says {now:%Y-%m-%d %H:%M} UTC, but" in found.message
    assert says in found.message
    assert shift.records is not None
    assert not records_of(shift.records, chip_serial(9))
    shift.now = NOW
    assert shift.refusal() is None, "nothing of it stays"


@pytest.mark.parametrize(("back", "is_refused"), [(0, False), (60, False), (61, True), (7200, True)])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_clock_before_the_newest_record_is_refused_but_for_a_small_step(
    shift: Shift, back: int, is_refused: bool, restarted: bool
) -> None:
    shift.now = NOW.replace(microsecond=0) + timedelta(hours=5)
    shift.certify()
    shift.now -= timedelta(seconds=back)
    if restarted:
        shift.start()
    found = shift.refusal()
    assert (found is not None) == is_refused
    if found is not None:
        assert found.code == Code.SERVER_CLOCK
        assert "newest record is from 2026-11-21 15:30 UTC" in found.message
        assert "--accept-clock REASON" in found.message
        assert (
            any(line.startswith("error: No certificate is issued: the clock") for line in shift.log.lines) == restarted
        )
        assert shift.certify() == shift.certify(), "recorded certificates are still given out"


def test_a_clock_that_is_accepted_is_recorded_and_stays_accepted(shift: Shift, tmp_path: Path) -> None:
    """One record from a wrong year never stops a server permanently."""
    shift.now = NOW + 2 * YEAR
    shift.certify(1)
    shift.now = NOW
    shift.start()
    assert shift.refusal() is not None
    shift.start("clock was two years ahead, the firm's NTP server was wrong")
    assert shift.refusal(2) is None
    assert _accepted(tmp_path) == [
        ClockAccepted(
            NOW.replace(microsecond=0), NOW + 2 * YEAR, "clock was two years ahead, the firm's NTP server was wrong"
        )
    ]
    assert any(line.startswith("warning: The clock was accepted") and "NTP" in line for line in shift.log.lines)
    for days in (0, 1):
        shift.now = NOW + timedelta(days=days)
        shift.start()
        assert shift.refusal(3 + days) is None
    shift.now = NOW + timedelta(hours=23)
    shift.start()
    assert shift.refusal() is not None, "records after the acceptance count as before"


def test_a_clock_that_is_set_back_again_after_it_was_accepted_is_refused(shift: Shift) -> None:
    shift.now = NOW + 2 * YEAR
    shift.certify(1)
    shift.now = NOW + YEAR
    shift.start("first guess")
    shift.now = NOW
    assert shift.refusal() is not None
    shift.start()
    assert shift.refusal() is not None
    shift.start("second")
    assert shift.refusal() is None


def test_an_accepted_clock_still_has_to_fit_the_signer(shift: Shift) -> None:
    shift.certify()
    shift.now = datetime(2020, 1, 1, tzinfo=UTC)
    shift.start("The clock is right.")
    found = shift.refusal()
    assert found is not None
    assert "certificate begins on" in found.message


def test_clock_that_needs_no_acceptance_is_not_recorded(shift: Shift, tmp_path: Path) -> None:
    shift.certify()
    shift.start("just in case")
    assert shift.log.lines[-1] == "info: The clock is not before the newest record: nothing was accepted."
    assert _accepted(tmp_path) == []


def _accepted(data: Path) -> list[ClockAccepted]:
    """Return what the ledger says of accepted clocks."""
    with contextlib.closing(ledger_in(data)) as ledger:
        events = [decode(entry.body.decode()) for entry in ledger.entries(0, 1000)]
    return [event for event in events if isinstance(event, ClockAccepted)]


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_clock_is_accepted_for_a_reason(reason: str) -> None:
    with pytest.raises(UsageError, match="empty"):
        Settings((Path("signer"),), Path("data"), accept_clock=reason)


def _begin(reply: CertificatesReply) -> datetime:
    return x509.load_der_x509_certificate(reply.device_certificate).not_valid_before_utc


def _data_locked(message: CertificatesRequest, *, locked: bool) -> CertificatesRequest:
    zone = bytearray(message.config_zone)
    zone[86] = 0x00 if locked else 0x55
    return dataclasses.replace(message, config_zone=bytes(zone))


@pytest.mark.parametrize("existing_only", [False, True])
def test_a_certificate_of_the_future_that_is_on_no_chip_is_replaced_for_the_same_key(
    shift: Shift, tmp_path: Path, existing_only: bool
) -> None:
    shift.now = NOW + 400 * timedelta(days=1)
    message = _data_locked(request(SIGNER), locked=False)
    wrong = shift.ask(message)
    assert isinstance(wrong, CertificatesReply)
    shift.now = NOW
    shift.start("the clock was 400 days ahead")
    again = dataclasses.replace(message, existing_only=existing_only)
    replies = [shift.ask(again) for _ in range(2)]
    assert isinstance(replies[0], CertificatesReply), replies[0]
    assert replies[0] == replies[1] != wrong
    assert _begin(replies[0]) <= NOW
    assert any("gets a new certificate: the earlier one begins on 2027-12-26" in line for line in shift.log.lines)
    other = shift.ask(_data_locked(request(SIGNER, key=OTHER_KEY), locked=False))
    assert isinstance(other, ErrorReply)
    assert other.code == Code.CHIP_HAS_OTHER_KEY
    shift.start()
    assert shift.ask(again) == replies[0]
    assert len(records_of(ledger_in(tmp_path), chip_serial(1))) == 2


def test_a_certificate_of_the_future_that_may_be_on_the_chip_stays(shift: Shift) -> None:
    """The chip's data zone is locked: its content can no longer be replaced."""
    shift.now = NOW + 400 * timedelta(days=1)
    first = shift.ask(_data_locked(request(SIGNER), locked=False))
    shift.now = NOW
    shift.start("it is right now")
    assert shift.ask(_data_locked(request(SIGNER), locked=True)) == first


@pytest.mark.parametrize(("slot_locks", "is_replaced"), [(b"\xff\xff", True), (b"\xff\xfb", False)])
def test_tflxtls_certificate_in_a_locked_slot_stays(shift: Shift, slot_locks: bytes, is_replaced: bool) -> None:
    """The maker's data lock does not tell whether the certificate is on the chip; the lock of slot 10 does."""
    plain = request(SIGNER)
    zone = plain.config_zone[:12] + b"\x01\0\0\0" + TFLXTLS_TABLE.config[16:]
    message = dataclasses.replace(plain, config_zone=zone)
    shift.now = NOW + 400 * timedelta(days=1)
    first = shift.ask(message)
    shift.now = NOW
    shift.start("it is right now")
    later = dataclasses.replace(message, config_zone=zone[:88] + slot_locks + zone[90:], existing_only=True)
    assert (shift.ask(later) != first) is is_replaced


def test_no_certificate_is_replaced_while_the_clock_is_in_doubt(shift: Shift) -> None:
    first = shift.ask(_data_locked(request(SIGNER), locked=False))
    for now in (datetime(1970, 1, 1, tzinfo=UTC), NOW - timedelta(hours=2)):
        shift.now = now
        assert shift.ask(_data_locked(request(SIGNER), locked=False)) == first


def test_a_clock_that_is_set_back_while_a_module_signs_gives_no_certificate(
    tmp_path: Path,
) -> None:
    slow = SlowSigner()
    with IssuingLine(tmp_path, [slow]) as line:
        waiting = line.ask(request(slow))
        slow.wait_until_it_signs()
        waits = line.ask(request(slow, 2))
        line.flush()
        line.now = NOW - timedelta(days=1)
        slow.go_on.release()
        assert refused(waiting).code == Code.SERVER_CLOCK
        assert refused(waits).code == Code.SERVER_CLOCK
        assert slow.signatures == 1, "the one that waited was not signed"
        assert any("refused, server-clock" in text for text in line.log.lines)
        assert not records_of(line.ledger, chip_serial(1))


def test_the_offer_tells_the_time(shift: Shift) -> None:
    offer = shift.ask(SignerRequest(SIGNER.documents.signer_public_key))
    assert isinstance(offer, SignerReply)
    assert offer.server_time == int(NOW.timestamp())


# From outside: the programs, with a clock that libfaketime sets.

FAKED = {"DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@contextlib.contextmanager
def _server_at(clock: str, *options: object) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server whose clock is set as faketime(1) says, and its port."""
    command = [require_program("faketime"), "-f", clock, program("provisioning-server"), "--port", "0"]
    process = subprocess.Popen(
        [*command, *map(str, options)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env={**server_environment(), **FAKED},
        start_new_session=True,  # faketime runs the program as its child
    )
    assert process.stdout is not None
    with process:
        try:
            said = next(line for line in process.stdout if "Server listening on" in line)
            yield process, int(said.rstrip(".\n").rpartition(":")[2])
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            for path in _shared_by(process.pid):
                path.unlink()


def _shared_by(faketime: int) -> list[Path]:
    """Return what a faketime process shares with its child: killed, it leaves both, and its id comes again one day."""
    names = (f"faketime_shm_{faketime}", f"sem.faketime_sem_{faketime}")
    return [path for path in (Path("/dev/shm", name) for name in names) if path.exists()]


@pytest.mark.slow
def test_killed_faketime_leaves_nothing_for_a_later_one_of_its_id(tmp_path: Path) -> None:
    signer = make_signer_folder(tmp_path)
    with _server_at("+2h", "--signer", signer.path, "--data", tmp_path / "data") as (process, _):
        assert _shared_by(process.pid)
    assert not _shared_by(process.pid)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("clock", "code", "exit_code", "says"),
    [
        ("@1970-01-01 00:05:00", Code.SERVER_CLOCK, 8, "The server's clock says 1970-01-01"),
        ("@2020-06-01 12:00:00", Code.SERVER_CLOCK, 8, "The server's clock says 2020-06-01"),
        ("@2060-01-01 12:00:00", Code.SERVER_CLOCK, 8, "The server's clock says 2060-01-01"),
        ("+2h", Code.CLOCK_WRONG, 7, "this computer's clock"),
        ("+400d", Code.CLOCK_WRONG, 7, "this computer's clock"),
    ],
)
def test_a_client_stops_before_a_chip_is_touched(
    tmp_path: Path, clock: str, code: Code, exit_code: int, says: str
) -> None:
    signer = make_signer_folder(tmp_path)
    url = f"emulator:{tmp_path / 'chip.json'}"
    with Device.open(url) as device:
        before = device.read_config()
    with _server_at(clock, "--signer", signer.path, "--data", tmp_path / "data") as (_, port):
        info = signer.path / "atcaprov_cert_info_0.c"
        done = run("provisioning-client", "--auto", "--certinfo", info, "--port", port, "--device", url)
    assert done.returncode == exit_code, done.stdout + done.stderr
    assert f"[{code}]" in done.stderr
    assert says in " ".join(done.stderr.split())
    with Device.open(url) as device:
        assert device.read_config() == before
    assert not list((tmp_path / "data" / "certs").iterdir())


@pytest.mark.slow
def test_one_wrong_year_does_not_stop_a_server_permanently(tmp_path: Path) -> None:
    """What its message advises is done as it says, in the same data folder."""
    signer = make_signer_folder(tmp_path)
    options = ("--signer", signer.path, "--data", tmp_path / "data")
    client = ("--auto", "--certinfo", signer.path / "atcaprov_cert_info_0.c", "--device", "emulator:")
    with _server_at("+400d", *options) as (_, port), WireClient(ServerAddress("127.0.0.1", port)) as wire:
        message = CertificatesRequest(_open_zone(), CHIP_KEY, signer.public_key)
        wrong = wire.ask(message)
        assert isinstance(wrong, CertificatesReply)
    with server_program(*options) as server:
        done = run("provisioning-client", *client, "--port", server.address().port)
        assert f"[{Code.SERVER_CLOCK}]" in done.stderr
        assert "--accept-clock REASON" in " ".join(done.stderr.split())
        assert server.stop() == 0
    with server_program(*options, "--accept-clock", "the clock was 400 days ahead") as server:
        address = server.address()
        good = run("provisioning-client", *client, "--port", address.port)
        assert good.returncode == 0, good.stdout + good.stderr
        with WireClient(address) as wire:
            right = wire.ask(message)
            assert isinstance(right, CertificatesReply)
            assert _begin(right) <= datetime.now(UTC) < _begin(wrong)
        assert server.stop() == 0
    assert [accepted.reason for accepted in _accepted(tmp_path / "data")] == ["the clock was 400 days ahead"]
    with server_program(*options) as server:
        assert run("provisioning-client", *client, "--port", server.address().port).returncode == 0


def _open_zone() -> bytes:
    zone = bytearray(config_zone(1))
    zone[86] = 0x55
    return bytes(zone)
