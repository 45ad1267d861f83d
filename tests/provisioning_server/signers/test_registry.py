"""The registry of signers: a removed one does not affect its replacement."""

from __future__ import annotations

import copy

import pytest

from atcaprov.wire.messages import ErrorReply
from provisioning_server import rejections
from provisioning_server.signers.registry import AlreadyConnectedError, SignerRegistry
from tests.support.in_memory_signer import MemorySigner, SigningKey


def test_replaced_signer_excludes_and_removes_no_other() -> None:
    first = MemorySigner()
    second = copy.copy(first)
    registry = SignerRegistry([first])
    with pytest.raises(AlreadyConnectedError):
        registry.add(second)
    assert registry.remove(first)
    registry.add(second)
    changes = registry.changes
    registry.exclude(first, rejections.SIGNER_QUARANTINED)
    assert not registry.remove(first)
    assert registry.usable(second)
    assert (list(registry), registry.changes) == ([second], changes)


def test_every_signer_that_comes_goes_or_is_excluded_is_a_change() -> None:
    signer = MemorySigner()
    registry, seen = SignerRegistry(), []
    for change in (
        lambda: registry.add(signer),
        lambda: registry.exclude(signer, rejections.SIGNER_QUARANTINED),
        lambda: registry.remove(signer),
        lambda: registry.add(signer),
    ):
        seen.append(registry.changes)
        change()
    seen.append(registry.changes)
    assert len(set(seen)) == len(seen)


def test_removed_signer_cannot_be_excluded() -> None:
    signer = MemorySigner()
    registry = SignerRegistry([signer])
    registry.remove(signer)
    registry.exclude(signer, rejections.SIGNER_QUARANTINED)
    assert list(registry) == []


@pytest.mark.parametrize("trouble", [None, rejections.SIGNER_QUARANTINED, rejections.QUOTA_USED_UP])
def test_a_group_waits_for_a_signer_that_is_away_unless_it_is_used_up(trouble: ErrorReply | None) -> None:
    signer = MemorySigner()
    registry = SignerRegistry([signer])
    if trouble is not None:
        registry.exclude(signer, trouble)
    registry.remove(signer)
    another_of_the_group = bytes(64)
    used_up = trouble is rejections.QUOTA_USED_UP
    expected = rejections.SIGNER_UNKNOWN if used_up else rejections.SIGNER_UNPLUGGED
    assert registry.choose(another_of_the_group, signer.documents.group) == expected
    assert registry.choose(signer.documents.signer_public_key) == rejections.SIGNER_UNPLUGGED
    assert registry.choose(another_of_the_group) == rejections.SIGNER_UNKNOWN


def test_of_a_group_the_named_signer_is_the_first() -> None:
    root = SigningKey()
    group = [MemorySigner(root=root, signer_id=bytes((0, number))) for number in range(3)]
    assert len({signer.documents.group for signer in group}) == 1
    registry = SignerRegistry(group)
    first, second, third = group
    for named, expected in ((first, group), (second, [second, first, third]), (third, [third, first, second])):
        assert registry.choose(named.documents.signer_public_key, named.documents.group) == expected
        assert registry.choose(named.documents.signer_public_key) == [named]


def test_while_more_are_expected_only_a_group_waits_for_them() -> None:
    signer = MemorySigner()
    registry = SignerRegistry([signer])
    registry.exclude(signer, rejections.QUOTA_USED_UP)
    key, group = signer.documents.signer_public_key, signer.documents.group
    registry.expect_more()
    assert registry.choose(key, group) == rejections.SIGNERS_EXPECTED
    assert registry.choose(key) == rejections.QUOTA_USED_UP, "no other signer can serve"
    assert registry.choose(bytes(64)) == rejections.SIGNERS_EXPECTED
    registry.expect_no_more()
    assert registry.choose(key, group) == rejections.QUOTA_USED_UP
    assert registry.choose(bytes(64)) == rejections.SIGNER_UNKNOWN
