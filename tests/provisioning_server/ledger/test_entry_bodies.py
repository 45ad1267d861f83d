from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning_server.ledger.changes import Event, Issued
from provisioning_server.ledger.entry_bodies import KINDS, decode, encode
from tests.provisioning_server.ledger.events import ONE_OF_EACH, issued


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: type(event).__name__)
def test_body_is_canonical_json_and_can_be_read_again(event: Event) -> None:
    body = encode(event)
    fields = json.loads(body)
    assert body == json.dumps(fields, sort_keys=True, separators=(",", ":"))
    assert fields["kind"] == KINDS[type(event)]
    assert decode(body) == event


def test_every_kind_has_an_example() -> None:
    assert {type(event) for event in ONE_OF_EACH} == set(KINDS)


@pytest.mark.slow
@given(
    st.text(max_size=40),
    st.text(max_size=40),
    st.binary(max_size=32),
    st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1)),
)
def test_any_certificate_is_canonical_json(name: str, client: str, some: bytes, time: datetime) -> None:
    record = replace(
        issued(1).record,
        signer_name=name,
        client=client,
        certificate=some,
        config_revision=some,
        time=time.replace(microsecond=0, tzinfo=UTC),
    )
    event = Issued(record, some)
    body = encode(event)
    assert body.isascii()
    assert body == json.dumps(json.loads(body), sort_keys=True, separators=(",", ":"))
    assert decode(body) == event


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: type(event).__name__)
def test_every_cut_and_every_changed_byte_is_refused_or_read_as_it_stands(event: Event) -> None:
    body = encode(event)
    for end in range(len(body)):
        with pytest.raises(ValueError, match="entry"):
            decode(body[:end])
    for place in range(len(body)):
        changed = f"{body[:place]}{chr(ord(body[place]) ^ 1)}{body[place + 1 :]}"
        try:
            found = decode(changed)
        except ValueError:
            continue
        assert encode(found) == changed


@pytest.mark.slow
@given(st.text(max_size=200) | st.recursive(st.none() | st.text(), lambda each: st.lists(each)).map(json.dumps))
def test_garbage_is_refused(body: str) -> None:
    with pytest.raises(ValueError, match="entry"):
        decode(body)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"missing":12', '"missing":true'),
        ('"missing":12', '"missing":12.0'),
        ('"missing":12', '"missing":"12"'),
        ('"reason":"restored from last night\'s backup"', '"reason":null'),
        ('"kind":"rollback-accepted"', '"kind":"rollback"'),
        ('"kind":"rollback-accepted",', ""),
        ('"missing":12', '"missing": 12'),
        ('"missing":12', '"missing":12,"more":1'),
        ("2026-11-21T10:15:40Z", "2026-11-21T10:15:40+00:00"),
        ("2026-11-21T10:15:40Z", "2026-11-21T10:15:40"),
    ],
)
def test_other_fields_and_other_forms_are_refused(old: str, new: str) -> None:
    body = next(encode(event) for event in ONE_OF_EACH if KINDS[type(event)] == "rollback-accepted")
    assert old in body
    with pytest.raises(ValueError, match="entry"):
        decode(body.replace(old, new))
