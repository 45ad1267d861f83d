"""Internal errors: a part of the server that fails is reported and stops the server."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

import pytest

from atcaprov.errors import AtcaProvError, Code
from provisioning_server.app import ProvisioningServer, run_all
from provisioning_server.internal_error import internal_error
from provisioning_server.lifecycle import signer_lifecycle as lifecycle
from provisioning_server.program_log import ProgramLog
from provisioning_server.records.data_folder import DataFolder
from provisioning_server.settings import Settings
from provisioning_server.signers.registry import SignerRegistry
from tests.support.in_memory_signer import MemorySigner


def test_the_first_that_fails_ends_the_others() -> None:
    ended: list[str] = []

    async def without_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    async def failing() -> None:
        await asyncio.sleep(0)
        raise KeyError("bug")

    with pytest.raises(KeyError):
        asyncio.run(run_all(without_end(), failing(), without_end()))
    assert ended == ["cancelled"] * 2


def test_internal_error_is_named_and_not_quoted() -> None:
    try:
        raise ValueError("secret")
    except ValueError as error:
        fault = internal_error(error)
    assert (fault.code, fault.exit_code) == (Code.INTERNAL, 1)
    assert "ValueError at test_internal_error.py:" in str(fault)
    assert "secret" not in str(fault)


def test_a_part_that_fails_ends_the_server_with_its_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def failing(*_: object) -> None:
        raise KeyError("bug")

    monkeypatch.setattr(lifecycle, "unlock", failing)
    settings, log = Settings((tmp_path,), tmp_path, port=0), ProgramLog(None, None)
    folder = DataFolder(tmp_path, datetime.now())
    with pytest.raises(AtcaProvError, match="KeyError") as caught:
        asyncio.run(ProvisioningServer(settings, SignerRegistry([MemorySigner()]), folder, log, None).run())
    log.close()
    assert caught.value.exit_code == 1
