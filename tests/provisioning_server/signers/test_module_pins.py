"""A forged module does not get the password of the one that it claims to be."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from atcaprov import CertificateError, Code, Device, UsageError
from provisioning_server.signers.module import PluggedModule
from provisioning_server.signers.module_pins import ModulePins
from signer_module.on_chip.module import SignerModule
from signer_module.on_chip.password_keys import LEAST_COST, CostRule, PasswordScheme
from signer_module.on_chip.public_contents import ModuleContents
from tests.support.signer_modules import PASSWORD, make, order, root_folder

WRONG = b"not the password"


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"emulator:{tmp_path / 'chip.json'}"
    with Device.open(url) as device:
        make(device, root_folder(tmp_path / "root"), order())
    return url


def facts_of(url: str) -> ModuleContents:
    with SignerModule.open(url) as module:
        return module.contents


@pytest.mark.slow
def test_module_is_pinned_when_its_password_was_right(url: str, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "modules"
    module = PluggedModule.open(url, ModulePins(folder))
    with pytest.raises(UsageError):
        module.unlock(WRONG)
    assert not folder.exists()
    module.unlock(PASSWORD)
    module.close()
    facts = facts_of(url)
    (path,) = folder.iterdir()
    assert path.name == f"{facts.serial.hex().upper()}.txt"
    assert path.read_text() == f"{facts.scheme.salt.hex()}\t{facts.scheme.cost}\t{facts.public_key.hex()}\n"
    again = PluggedModule.open(url, ModulePins(folder))
    again.unlock(PASSWORD)
    again.close()


@pytest.mark.slow
@pytest.mark.parametrize("change", ["salt", "cost", "key"])
def test_changed_module_is_refused_before_it_gets_the_password(url: str, tmp_path: Path, change: str) -> None:
    known = ModulePins(tmp_path)
    facts = facts_of(url)
    forged = {
        "salt": dataclasses.replace(facts, scheme=PasswordScheme(bytes(16), facts.scheme.cost)),
        "cost": dataclasses.replace(facts, scheme=PasswordScheme(facts.scheme.salt, facts.scheme.cost + 1)),
        "key": dataclasses.replace(facts, public_key=bytes(64)),
    }[change]
    known.remember(forged)
    with pytest.raises(CertificateError) as refused:
        PluggedModule.open(url, known)
    assert refused.value.code == Code.MODULE_CHANGED
    path = tmp_path / f"{facts.serial.hex().upper()}.txt"
    assert str(path) in refused.value.advice
    path.unlink()
    PluggedModule.open(url, known).close()


def test_module_with_cheap_scrypt_cost_is_refused_at_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CostRule, "least", LEAST_COST)
    with pytest.raises(UsageError) as refused:
        PluggedModule.open(url)
    assert refused.value.code == Code.PASSWORD_SCHEME


def test_unusable_data_folder_is_refused(url: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    module = PluggedModule.open(url)
    module.close()
    facts = facts_of(url)
    with pytest.raises(UsageError) as refused:
        ModulePins(tmp_path / "file").remember(facts)
    assert refused.value.code == Code.FILE_UNWRITABLE
    (tmp_path / f"{facts.serial.hex().upper()}.txt").mkdir()
    with pytest.raises(UsageError) as refused:
        ModulePins(tmp_path).require_same(facts)
    assert refused.value.code == Code.FILE_UNREADABLE
