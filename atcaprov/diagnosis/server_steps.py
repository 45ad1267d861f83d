"""The server, its signer and the clocks: what a run checks before stage 1, and whether a server is there at all."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from atcaprov.certs.cert_info import CertInfo
from atcaprov.certs.dates import require_possible_clock
from atcaprov.diagnosis.examination import Examination, NotChecked, StepBlockedError, StepLeftOutError
from atcaprov.diagnosis.finding import DiagnosticFinding, FindingCode, Weight, finding, of_error
from atcaprov.errors import AtcaProvError, Code, ProtocolError, ServerRejected
from atcaprov.inspection.certificates.defined import IssuerDefinitions
from atcaprov.provisioning.checks import CheckFinding, Outcome, chip_checks, findings
from atcaprov.provisioning.preflight import Preflight
from atcaprov.provisioning.profile import Profile
from atcaprov.provisioning.server_access import ServerAccess
from atcaprov.provisioning.server_exchange import ask
from atcaprov.provisioning.station_checks import STATION_CHECKS, Check
from atcaprov.provisioning.tcp_client import TcpClient
from atcaprov.wire.messages import SignerReply, SignerRequest

_NOBODYS_KEY: Final = bytes.fromhex(
    "6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296"
    "4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5"
)
"""The base point of P-256 (SEC 2, 2.4.2), X||Y: the public key of the private key 1, which no signer has."""
_NOT_ADMITTED: Final = frozenset({Code.TLS_REQUIRED, Code.STATION_UNKNOWN, Code.STATION_REMOVED, Code.STATION_EXPIRED})
"""Refusals of whoever asks, whatever is asked for."""
_OF_OTHER_STEPS: Final = frozenset({"part", "configuration"})


class ExaminingClient(TcpClient):
    """Asks the server, and keeps what the checks warn of."""

    def __init__(self, access: ServerAccess) -> None:
        super().__init__(servers=access.servers, station=access.station)
        self.warnings: list[AtcaProvError] = []

    def warning(self, warning: AtcaProvError) -> None:
        """Keep the warning."""
        self.warnings.append(warning)


def check_clock(examination: Examination) -> None:
    """Check that this computer's clock can be right."""
    now = datetime.now(UTC)
    require_possible_clock(now, advice="Set the clock. Until then certificates count as not valid yet.")
    examination.good.append(f"This computer's clock says {now:%Y-%m-%d %H:%M} UTC.")


def check_server(examination: Examination) -> None:
    """Connect to each server, and see from its answer to one harmless request that it is a Provisioning Server."""
    client = _client(examination)
    failed = []
    try:
        for server in client.servers:
            client.use_server(server)
            found = _asked(examination, client)
            if found is None:
                station = f", for the station {client.station}" if client.station else ""
                examination.good.append(f"A Provisioning Server answers at {server}{station}.")
            else:
                failed.append(found)
    finally:
        client.close()
    if len(failed) == len(client.servers):
        examination.findings += failed[1:]
        raise StepBlockedError(failed[0])
    examination.findings += failed


def _asked(examination: Examination, client: ExaminingClient) -> DiagnosticFinding | None:
    """Ask the server in use; return what is wrong with it."""
    cert_info = examination.subject.cert_info
    key = _NOBODYS_KEY if cert_info is None else cert_info.signer_public_key
    try:
        client.connect()
        ask(client, SignerRequest(key), SignerReply)
    except ServerRejected as error:
        return of_error(error) if error.code in _NOT_ADMITTED else None  # the next step judges any other refusal
    except ProtocolError as error:
        return finding(FindingCode.NOT_A_SERVER, reason=error.what, host=client.host, port=client.port)
    except AtcaProvError as error:
        return of_error(error)
    return None


def check_signer(examination: Examination) -> None:
    """Make the checks that a run makes before stage 1: of the signer, and of the chip if it was reached."""
    cert_info = examination.subject.cert_info
    if cert_info is None:
        raise StepLeftOutError("no cert info file was named: give --certinfo FILE")
    client = _client(examination)
    try:
        _make_checks(examination, cert_info, client)
    finally:
        client.close()


def _make_checks(examination: Examination, cert_info: CertInfo, client: ExaminingClient) -> None:
    flight = Preflight(examination.subject.profile or Profile(), cert_info, client)
    checks: tuple[Check, ...] = STATION_CHECKS
    if examination.snapshot is not None:
        flight.device = examination.device
        checks += chip_checks(flight.profile)
    passed: set[str] = set()
    for result in findings(flight, checks):
        _add(examination, result, passed)
    if flight.has_offer:
        offer, keys = flight.offer, (cert_info.root_public_key, cert_info.signer_public_key)
        examination.definitions = IssuerDefinitions(offer.device_definition, offer.signer_definition, *keys)
    shown = {found.code for found in examination.findings}
    warnings = [warning for warning in client.warnings if warning.code not in shown]
    examination.findings += [of_error(warning, weight=Weight.NOTE) for warning in warnings]


def _add(examination: Examination, result: CheckFinding, passed: set[str]) -> None:
    check = result.check
    if result.outcome is Outcome.PASSED:
        passed.add(check.name)
        if check.name not in _OF_OTHER_STEPS:
            examination.good.append(f"Checked before stage 1: {check.looks_at}.")
    elif result.error is not None:
        if all(found.code != result.error.code for found in examination.findings):
            examination.findings.append(of_error(result.error))
    elif result.outcome is Outcome.NOT_CHECKED:
        reason = f"it needs what did not pass: {', '.join(need for need in check.needs if need not in passed)}"
        examination.not_checked.append(NotChecked(check.name, check.looks_at, reason))


def _client(examination: Examination) -> ExaminingClient:
    access = examination.subject.access
    if access is None:
        raise StepLeftOutError("no server was named: give --server HOST, or --certinfo FILE")
    return ExaminingClient(access)
