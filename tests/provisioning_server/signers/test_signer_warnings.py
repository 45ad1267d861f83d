"""Warnings about a signer's dates when it is plugged in, each logged once."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from datetime import UTC, datetime, timedelta

import pytest

from atcaprov.certs.descriptions.description import default_description
from atcaprov.certs.descriptions.template import device_definition
from provisioning_server.issuing.signing_queue import SigningQueue
from provisioning_server.issuing.signing_thread import SigningThreads
from provisioning_server.lifecycle.signer_lifecycle import SignerLifecycle
from provisioning_server.log_names import label
from provisioning_server.passwords.given_passwords import GivenPasswords
from provisioning_server.passwords.password_choice import PasswordChoice
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.signers.signer_warnings import signer_warnings
from tests.support.in_memory_signer import NOW, MemorySigner
from tests.support.issuing_without_sockets import SlowSigner
from tests.support.server_parts import RememberingLog


def signer_of(signer_years: int, device_years: int) -> MemorySigner:
    """Made at NOW, 2026-11-21."""
    signer = dataclasses.replace(default_description("signer"), expire_years=signer_years)
    device = dataclasses.replace(default_description("device"), expire_years=device_years)
    return MemorySigner(device=device_definition(device, signer=signer, at=NOW), description=signer, made=NOW)


def test_no_warning_for_a_signer_with_valid_dates() -> None:
    assert signer_warnings(signer_of(0, 0), NOW) == []
    assert signer_warnings(signer_of(10, 8), NOW) == []


@pytest.mark.parametrize(
    ("signer_years", "device_years", "now", "says"),
    [
        (0, 0, datetime(2030, 12, 31, tzinfo=UTC), ""),
        (0, 0, datetime(2031, 1, 2, tzinfo=UTC), "can issue only until the end of 2031"),
        (0, 0, datetime(2032, 1, 1, tzinfo=UTC), "can issue nothing: .* for the years 2000 to 2031"),
        (
            2,
            1,
            NOW - timedelta(days=2),
            "can issue nothing: .* valid only from 2026-11-21 .* the clock says 2026-11-19",
        ),
        (2, 0, NOW, "issues certificates that never expire, but its own expires on 2028-11-21"),
        (2, 3, NOW, "issues certificates that are valid until 2029-11-21, but its own expires on 2028-11-21"),
        (2, 1, NOW + timedelta(days=364), ""),
        (1, 1, NOW + timedelta(days=2), "has a certificate that expires on 2027-11-21"),
        (1, 1, NOW + timedelta(days=366), "can issue nothing: .* expired on 2027-11-21, .* says 2027-11-22"),
    ],
)
def test_dates_that_end_soon_are_warned_of(signer_years: int, device_years: int, now: datetime, says: str) -> None:
    found = signer_warnings(signer_of(signer_years, device_years), now)
    if says:
        assert sum(re.match(says, text) is not None for text in found) == 1, found
    else:
        assert found == []


def lifecycle_with(log: RememberingLog) -> SignerLifecycle:
    registry = SignerRegistry()
    threads = SigningThreads(registry, SigningQueue(registry, lambda _: None), log, lambda: NOW)
    return SignerLifecycle(registry, threads, log, lambda: NOW, PasswordChoice(GivenPasswords()))


def test_warning_is_logged_once_even_if_the_signer_is_reconnected() -> None:
    async def run() -> RememberingLog:
        log = RememberingLog()
        lifecycle = lifecycle_with(log)
        for _ in range(3):
            await lifecycle.plug_in(signer)
            await lifecycle.unplug(signer, "unplugged.")
        return log

    signer = signer_of(2, 0)
    log = asyncio.run(run())
    name = label(signer.serial, signer.name)
    assert log.lines[:2] == [
        f"info: {name} ready.",
        f"warning: {name} issues certificates that never expire, but its own expires on 2028-11-21."
        " They become invalid then.",
    ]
    assert sum("never expire" in line for line in log.lines) == 1


def test_low_quota_is_a_warning_once() -> None:
    async def run() -> RememberingLog:
        log = RememberingLog()
        lifecycle = lifecycle_with(log)
        for signer.remaining in (1001, 1000, 999):
            await lifecycle.plug_in(signer)
            await lifecycle.unplug(signer, "unplugged.")
        return log

    signer = SlowSigner()
    lines = [line for line in asyncio.run(run()).lines if "can issue" in line]
    name = label(signer.serial, signer.name)
    levels = (("info", 1001), ("warning", 1000), ("info", 999))
    assert lines == [f"{level}: {name} can issue {left} more." for level, left in levels]


def test_each_signer_has_warnings_of_its_own() -> None:
    async def run() -> RememberingLog:
        log = RememberingLog()
        lifecycle = lifecycle_with(log)
        for signer in signers:
            await lifecycle.plug_in(signer)
            await lifecycle.unplug(signer, "unplugged.")
        return log

    signers = [SlowSigner(), SlowSigner()]
    for signer in signers:
        signer.remaining, signer.password_missing = 1000, True
    warned = [line for line in asyncio.run(run()).lines if line.startswith("warning") and "unplugged" not in line]
    said = ("has no password yet", "can issue 1000 more")
    begun = [f"warning: {label(signer.serial, signer.name)} {text}" for signer in signers for text in said]
    assert len(warned) == len(begun)
    assert all(line.startswith(text) for line, text in zip(warned, begun, strict=True)), warned


@pytest.mark.parametrize(("remaining", "says"), [(None, []), (0, ["warning: {} quota used up."])])
def test_missing_or_used_up_quota_is_not_logged(remaining: int | None, says: list[str]) -> None:
    async def run() -> RememberingLog:
        log = RememberingLog()
        lifecycle = lifecycle_with(log)
        await lifecycle.plug_in(signer)
        await lifecycle.unplug(signer, "unplugged.")
        return log

    signer = SlowSigner()
    signer.remaining = remaining
    name = label(signer.serial, signer.name)
    lines = ["info: {} ready.", *says, "warning: {} unplugged."]
    assert asyncio.run(run()).lines == [line.format(name) for line in lines]


def test_a_module_without_its_first_password_is_a_warning() -> None:
    signer = MemorySigner()
    assert not [text for text in signer_warnings(signer, NOW) if "password" in text]
    signer.password_missing = True
    assert "everyone who reaches the module can sign with it" in signer_warnings(signer, NOW)[0]
