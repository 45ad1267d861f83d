"""Entries and documents with right ids and hashes and any contents, as a forger makes them: findings, never a crash."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atcaprov import Code, UsageError
from provisioning_server.audit.entry_check import EntryCheck
from provisioning_server.audit.findings import AuditReport
from provisioning_server.ledger.changes import Event, Issued, Reported
from provisioning_server.ledger.entry_bodies import encode
from provisioning_server.records.signer_documents import SignerDocuments
from tests.provisioning_server.audit.true_ledger import SIGNER, certificate, report

pytestmark = pytest.mark.slow

ONE: Final = certificate(1)
BYTES_OF_RECORD: Final = ("certificate", "compressed", "public_key", "chip_serial", "certificate_serial", "signer_id")
DOCUMENT_FIELDS: Final = tuple(field.name for field in fields(SignerDocuments))


@st.composite
def changed(draw: st.DrawFn, whole: bytes) -> bytes:
    """Return bytes that are cut, have one bit flipped, or a part replaced."""
    start = draw(st.integers(0, len(whole)))
    kind = draw(st.sampled_from(["cut", "flipped", "replaced", "garbage"]))
    if kind == "cut":
        return whole[:start]
    if kind == "garbage":
        return draw(st.binary(max_size=len(whole) + 8))
    new = bytearray(whole)
    if kind == "flipped" and start < len(whole):
        new[start] ^= 1 << draw(st.integers(0, 7))
    else:
        new[start : start + draw(st.integers(0, 8))] = draw(st.binary(max_size=8))
    return bytes(new)


def audited(issued: Issued, documents: SignerDocuments, *reports: Reported) -> AuditReport:
    found = AuditReport()
    events: list[Event] = [issued, *reports]
    bodies = [encode(event).encode() for event in events]

    def read_documents(name: str) -> SignerDocuments:
        if name != documents.document_id:
            raise UsageError("missing", code=Code.LOG_INVALID)
        return documents

    check = EntryCheck(found, read_documents, bodies.__getitem__)
    for index, body in enumerate(bodies):
        check.take(index, body)
    return found


@settings(max_examples=400)
@given(st.sampled_from(BYTES_OF_RECORD), st.data())
def test_any_field_of_a_certificate(name: str, data: st.DataObject) -> None:
    value = data.draw(changed(getattr(ONE.record, name)))
    changes: dict[str, Any] = {name: value}
    issued = replace(ONE, record=replace(ONE.record, **changes))
    found = audited(issued, SIGNER.documents)
    assert bool(found.findings) == (value != getattr(ONE.record, name))


@settings(max_examples=400)
@given(st.sampled_from(DOCUMENT_FIELDS), st.data())
def test_any_documents(name: str, data: st.DataObject) -> None:
    documents = replace(SIGNER.documents, **{name: data.draw(changed(getattr(SIGNER.documents, name)))})
    audited(replace(ONE, record=replace(ONE.record, documents=documents.document_id)), documents)


@settings(max_examples=200)
@given(st.sampled_from(["challenge", "signature", "contents", "chip_serial"]), st.data())
def test_any_report(name: str, data: st.DataObject) -> None:
    true = report(0, ONE, 1)
    value = data.draw(changed(getattr(true, name)))
    changes: dict[str, Any] = {name: value}
    found = audited(ONE, SIGNER.documents, replace(true, **changes))
    counted = found.counts["proofs of possession"] == 1
    assert counted == (value == getattr(true, name))
