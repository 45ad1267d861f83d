from __future__ import annotations

import dataclasses
from typing import Any

import cbor2
import pytest

from atcaprov import ProtocolError, UsageError
from atcaprov.wire.fields import ReportedStage, SlotWrite
from atcaprov.wire.messages import (
    MESSAGES,
    AnyMessage,
    CertificatesReply,
    CertificatesRequest,
    ErrorReply,
    ReportReply,
    ReportRequest,
    SignerReply,
    SignerRequest,
)
from tests.support.wire_examples import (
    ALL,
    CONFIG_ZONE,
    FAILURE_REPORT,
    PUBLIC_KEY,
    REPLY,
    REPORT,
    REPORT_REPLY,
    REQUEST,
    SIGNER_PUBLIC_KEY,
    SIGNER_REPLY,
    SIGNER_REQUEST,
)


def _fields(message: AnyMessage) -> dict[int, Any]:
    fields: dict[int, Any] = cbor2.loads(message.body())
    return fields


@pytest.mark.parametrize("message", ALL, ids=lambda m: type(m).__name__)
def test_reading_gives_what_was_written(message: AnyMessage) -> None:
    assert type(message).from_body(message.body()) == message


@pytest.mark.parametrize("message", ALL, ids=lambda m: type(m).__name__)
def test_a_body_is_the_canonical_cbor_of_its_fields(message: AnyMessage) -> None:
    assert message.body() == cbor2.dumps(_fields(message), canonical=True)
    keys = [field.key for field in message.FIELDS]
    assert keys == sorted(set(keys))


@pytest.mark.parametrize(
    "added", [{200: 1, 199: 2}, {200: {2: 0, 1: 0}}, {200: [0, {2: 0, 1: 0}]}], ids=["outer", "inner", "in an array"]
)
def test_keys_in_another_order_are_refused(added: dict[int, Any]) -> None:
    body = cbor2.dumps({**_fields(REQUEST), **added})
    assert cbor2.loads(body) == {**_fields(REQUEST), **added}
    with pytest.raises(ProtocolError, match="deterministic"):
        CertificatesRequest.from_body(body)


@pytest.mark.parametrize("message", ALL, ids=lambda m: type(m).__name__)
def test_each_message_is_in_the_table_of_types(message: AnyMessage) -> None:
    assert MESSAGES[message.TYPE] is type(message)


def test_existing_only_is_left_out_unless_it_is_true() -> None:
    assert 4 not in _fields(REQUEST)
    resumed = dataclasses.replace(REQUEST, existing_only=True)
    assert _fields(resumed)[4] is True
    assert CertificatesRequest.from_body(resumed.body()).existing_only


def test_existing_only_may_be_spelled_out_as_false() -> None:
    body = cbor2.dumps({**_fields(REQUEST), 4: False}, canonical=True)
    assert CertificatesRequest.from_body(body) == REQUEST


@pytest.mark.parametrize("message", ALL, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("value", [None, -1, "later", b"", [1, {2: False}]])
def test_unknown_keys_are_ignored(message: AnyMessage, value: object) -> None:
    body = cbor2.dumps({**_fields(message), 200: value}, canonical=True)
    assert type(message).from_body(body) == message


@pytest.mark.parametrize("message", ALL, ids=lambda m: type(m).__name__)
def test_a_missing_field_is_named(message: AnyMessage) -> None:
    for field in message.FIELDS:
        if not field.optional:
            fields = _fields(message)
            del fields[field.key]
            with pytest.raises(ProtocolError, match=rf"lacks its field {field.key} \({field.name}\)"):
                type(message).from_body(cbor2.dumps(fields, canonical=True))


@pytest.mark.parametrize("message", ALL, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("value", [None, 7, "", b"", [], [[1, 2]], {}, True, b"x" * 20000, "x" * 20000])
def test_a_field_of_the_wrong_type_or_size_is_named(message: AnyMessage, value: object) -> None:
    for field in message.FIELDS:
        if field.kind.fault(field.kind.from_cbor(value)) is not None:
            body = cbor2.dumps({**_fields(message), field.key: value}, canonical=True)
            with pytest.raises(ProtocolError, match=rf"Field {field.key} \({field.name}\)"):
                type(message).from_body(body)


@pytest.mark.parametrize(
    "write",
    [
        [16, 0, b"x"],
        [-1, 0, b"x"],
        [8, -1, b"x"],
        [8, 416, b"x"],
        [8, 400, bytes(17)],
        [8, 0, b""],
        [8, 0, "x"],
        [True, 0, b"x"],
        [8, None, b"x"],
        [8, 0],
        [8, 0, b"x", 1],
        {1: 8},
        8,
    ],
)
def test_writes_that_no_slot_can_take_are_refused(write: object) -> None:
    body = cbor2.dumps({**_fields(REPLY), 1: [write]}, canonical=True)
    with pytest.raises(ProtocolError, match=r"Field 1 \(writes\)"):
        CertificatesReply.from_body(body)


def test_too_many_writes_are_refused() -> None:
    with pytest.raises(UsageError, match="17 writes"):
        dataclasses.replace(REPLY, writes=(SlotWrite(8, 0, b"x"),) * 17)


@pytest.mark.parametrize("code", ["", "Upper", "with space", "-x", "x-", "x" * 65, "x\n"])
def test_a_code_is_lower_case_words_with_hyphens(code: str) -> None:
    with pytest.raises(UsageError, match="code"):
        ErrorReply(code, "text", False)


@pytest.mark.parametrize("text", ["", "x" * 513, "bell \a", "escape \x1b[2J", "two\nlines"])
def test_message_text_is_printable(text: str) -> None:
    with pytest.raises(UsageError, match="message"):
        ErrorReply("protocol", text, False)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not CBOR"),
        (b"\xff", "not CBOR|not a map"),
        (b"\x80", "not a map"),
        (b"\xf6", "not a map"),
        (bytes.fromhex("a201000100"), "deterministic"),  # key 1 twice
        (bytes.fromhex("a20200 0100"), "deterministic"),  # keys out of order
        (bytes.fromhex("a1180100"), "deterministic"),  # key 1 in two bytes
        (bytes.fromhex("bf0100ff"), "deterministic"),  # indefinite length
        (bytes.fromhex("a1010000"), "deterministic"),  # a byte too many
        (bytes.fromhex("a101c24101"), "deterministic"),  # bignum tag for a small number
        (bytes.fromhex("a101d9d9f700"), "deterministic"),  # tag that means nothing
        (bytes.fromhex("a101c249") + b"\x01" * 9, "64 bits"),
        (bytes.fromhex("a101fb3ff8000000000000"), "does not use"),  # float
        (bytes.fromhex("a101f7"), "does not use"),  # undefined
        (bytes.fromhex("a101d81c81d81d00"), "nested"),  # an array that contains itself
        (bytes.fromhex("a1200 0".replace(" ", "")), "unsigned"),
        (bytes.fromhex("a1617800"), "unsigned"),
        (bytes.fromhex("a1f500"), "unsigned"),
        (bytes.fromhex("a101") + b"\x81" * 5 + b"\x00", "nested"),
        (bytes.fromhex("a101") + b"\x81" * 900 + b"\x00", "not CBOR|nested"),
    ],
)
def test_a_body_that_is_not_one_deterministic_map_is_refused(body: bytes, why: str) -> None:
    for message in MESSAGES.values():
        with pytest.raises(ProtocolError, match=why):
            message.from_body(body)


def test_a_request_can_be_made_from_fixed_parts() -> None:
    """What the documentation tells a microcontroller: constants between the three values."""
    body = b"\xa3\x01\x58\x80" + CONFIG_ZONE + b"\x02\x58\x40" + PUBLIC_KEY + b"\x03\x58\x40" + SIGNER_PUBLIC_KEY
    assert REQUEST.body() == body
    assert len(body) == 266


def test_building_a_wrong_message_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"config_zone.*127 bytes, not 128"):
        CertificatesRequest(bytes(127), PUBLIC_KEY, SIGNER_PUBLIC_KEY)


@pytest.mark.parametrize(("message", "key"), [(REQUEST, 5), (SIGNER_REQUEST, 2)], ids=["certificates", "signer"])
def test_any_of_group_is_a_key_that_older_readers_ignore(
    message: CertificatesRequest | SignerRequest, key: int
) -> None:
    shared = dataclasses.replace(message, any_of_group=True)
    assert cbor2.loads(shared.body()) == {**cbor2.loads(message.body()), key: True}
    assert type(message).from_body(shared.body()).any_of_group
    assert not type(message).from_body(message.body()).any_of_group


@pytest.mark.parametrize(
    ("message", "keys"),
    [
        (REPLY, {"challenge": 10}),
        (SIGNER_REQUEST, {"checkpoint": 6}),
        (SIGNER_REPLY, {"checkpoint": 9}),
        (SIGNER_REPLY, {"log_key": 10}),
        (REPORT_REPLY, {"checkpoint": 2}),
        (REPORT, {"signature": 4, "contents_sha256": 5}),
        (FAILURE_REPORT, {"code": 7}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_empty_value_is_left_out_and_never_sent(message: AnyMessage, keys: dict[str, int]) -> None:
    for name, key in keys.items():
        nothing = "" if name == "code" else b""
        without = dataclasses.replace(message, **{name: nothing})  # type: ignore[arg-type]
        assert key not in _fields(without)
        assert type(message).from_body(without.body()) == without
        with pytest.raises(ProtocolError, match=rf"Field {key} \({name}\)"):
            type(message).from_body(cbor2.dumps({**_fields(without), key: nothing}, canonical=True))


@pytest.mark.parametrize(
    "stages",
    [
        [[0, "done", 1]],
        [[11, "done", 1]],
        [[True, "done", 1]],
        [[10, "", 1]],
        [[10, "Done", 1]],
        [[10, "x" * 33, 1]],
        [[10, b"done", 1]],
        [[10, "done", -1]],
        [[10, "done", 1 << 32]],
        [[10, "done", False]],
        [[10, "done"]],
        [[10, "done", 1, 1]],
        [[10, ["done"], 1]],
        [{1: 10}],
        [[1, "done", 1], [1, "done", 1]],
        [[2, "done", 1], [1, "done", 1]],
        [[stage, "done", 1] for stage in range(1, 12)],
        {1: [10, "done", 1]},
    ],
)
def test_stages_that_no_run_has_are_refused(stages: object) -> None:
    body = cbor2.dumps({**_fields(REPORT), 8: stages}, canonical=True)
    with pytest.raises(ProtocolError, match=r"Field 8 \(stages\)"):
        ReportRequest.from_body(body)


@pytest.mark.parametrize(("word", "fits"), [("good", True), ("x" * 32, True), ("x" * 33, False), ("GOOD", False)])
def test_a_fate_is_a_word(word: str, fits: bool) -> None:
    body = cbor2.dumps({**_fields(REPORT), 6: word}, canonical=True)
    if fits:
        assert ReportRequest.from_body(body).fate == word
    else:
        with pytest.raises(ProtocolError, match=r"Field 6 \(fate\)"):
            ReportRequest.from_body(body)


def test_the_largest_of_each_new_message_fits() -> None:
    stages = tuple(ReportedStage(stage, "x" * 32, 0xFFFFFFFF) for stage in range(1, 11))
    report = dataclasses.replace(
        REPORT, fate="x" * 32, code="x" * 64, stages=stages, finished=253402300799, request_number=0xFFFFFFFF
    )
    assert len(report.body()) <= ReportRequest.BODY_MAX
    note = b"x" * 1024
    assert len(ReportReply(True, note, 0xFFFFFFFF).body()) <= ReportReply.BODY_MAX
    signer_request = SignerRequest(SIGNER_PUBLIC_KEY, True, 0xFFFFFFFF, CONFIG_ZONE, bytes(9), note)
    assert len(signer_request.body()) <= SignerRequest.BODY_MAX
    signer_reply = SignerReply(
        bytes(2048), bytes(2048), bytes(4096), bytes(4096), 0xFFFFFFFF, 253402300799, 0xFFFFFFFF, True, note
    )
    assert len(signer_reply.body()) <= SignerReply.BODY_MAX
    writes = tuple(SlotWrite(8, 0, bytes(416)) for _ in range(16))
    reply = CertificatesReply(
        bytes(2048), bytes(2048), bytes(2048), bytes(4096), bytes(4096), bytes(72), bytes(72), writes,
        0xFFFFFFFF, bytes(32),
    )  # fmt: skip
    assert len(reply.body()) <= CertificatesReply.BODY_MAX
