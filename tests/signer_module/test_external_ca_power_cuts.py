"""A module for an external CA, cut at every command of its request and of its import."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from atcaprov import Device
from atcaprov.certs.descriptions.description import default_description
from atcaprov.certs.keys import verify_digest
from signer_module.on_chip.creation.external_ca import ExternalRequest, import_certificate, request_certificate
from signer_module.on_chip.module import SignerModule
from signer_module.on_files.root_folder import RootFolder
from tests.support.external_certificate import certified
from tests.support.power_cuts import at_a_command, commands, cut_and_repeat, cutting
from tests.support.scripted_hal import ScriptedHal
from tests.support.signer_modules import DESCRIPTIONS, PASSWORD, copy_of, no_pause, order, replug, root_folder

pytestmark = pytest.mark.slow

DIGEST = hashlib.sha256(b"to be signed").digest()
ORDER = order(quota=5)


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> RootFolder:
    return root_folder(tmp_path_factory.mktemp("ca") / "ca")


def ask(device: Device, kept: bytes | None = None) -> ExternalRequest:
    description = default_description("signer")
    return request_certificate(
        device, ORDER, description, signer_id=b"\x0a\x0b", wanted=lambda key: key == kept, new_key=kept is None
    )


def finish(device: Device, ca: RootFolder, certificate: bytes) -> None:
    import_certificate(device, ORDER, DESCRIPTIONS, certificate=certificate, root=ca.certificate)


def proved(hal: ScriptedHal, certificate: bytes) -> None:
    with SignerModule.on(Device(hal), no_pause) as module:
        assert module.certificate == certificate
        module.unlock(PASSWORD)
        assert module.prove()
        assert module.remaining == 5
        assert verify_digest(module.public_key, DIGEST, module.sign(DIGEST))


@at_a_command
def test_request_cut_at_any_command_is_made_by_the_same_command(ca: RootFolder, reply_lost: bool) -> None:
    def cut(number: int) -> None:
        requests: list[ExternalRequest] = []
        hal = cut_and_repeat(lambda device: requests.append(ask(device)), number, reply_lost)
        certificate = certified(ca, requests[-1])
        with Device(hal) as device:
            finish(device, ca, certificate)
        replug(hal)
        proved(hal, certificate)

    count = commands(ask)
    assert count > 20
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(cut, range(count)))


@at_a_command
def test_a_request_made_again_and_cut_keeps_the_key_that_the_ca_knows(ca: RootFolder, reply_lost: bool) -> None:
    hal = ScriptedHal()
    with Device(hal) as device:
        first = ask(device)
    certificate = certified(ca, first)
    for number in range(commands(lambda device: ask(device, first.public_key), copy_of(hal))):
        copy = copy_of(hal)
        cut_and_repeat(lambda device: ask(device, first.public_key), number, reply_lost, copy)
        with Device(copy) as device:
            finish(device, ca, certificate)
        replug(copy)
        proved(copy, certificate)


@at_a_command
def test_import_cut_at_any_command_is_finished_by_the_same_command(ca: RootFolder, reply_lost: bool) -> None:
    begun = ScriptedHal()
    with Device(begun) as device:
        certificate = certified(ca, ask(device))

    def run(device: Device) -> None:
        finish(device, ca, certificate)

    def cut(number: int) -> None:
        proved(cut_and_repeat(run, number, reply_lost, copy_of(begun)), certificate)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(cut, range(commands(run, copy_of(begun)))))


def test_after_an_interrupted_import_the_request_can_be_repeated(ca: RootFolder) -> None:
    """Until the data lock the CA may be asked again, more often than the quota allows: it counts from the lock on."""
    hal = ScriptedHal()
    with Device(hal) as device:
        request = ask(device)
        certificate = certified(ca, request)
    hal.answer = cutting(hal, commands(lambda device: finish(device, ca, certificate), copy_of(hal)) - 1, False)
    with Device(hal) as device, pytest.raises(Exception, match="cut"):
        finish(device, ca, certificate)
    hal.answer = None
    replug(hal)
    with Device(hal) as device:
        for _ in range(6):
            assert ask(device, request.public_key).public_key == request.public_key
        finish(device, ca, certificate)
    replug(hal)
    proved(hal, certificate)
