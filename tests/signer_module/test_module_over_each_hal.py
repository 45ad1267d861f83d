"""A module is made and used over every way to a chip; the authorization outlives what the way does between commands."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from atcaprov import AtcaProvError, Code, Device, DeviceError
from atcaprov.certs.keys import verify_digest
from signer_module.on_chip.module import SignerModule
from signer_module.on_chip.password_change import change_password
from signer_module.on_files.root_folder import RootFolder
from tests.hal.ways import WAYS, Way, standing
from tests.support.signer_modules import PASSWORD, make, no_pause, order, root_folder

pytestmark = pytest.mark.slow

DIGEST = hashlib.sha256(b"to be signed").digest()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> RootFolder:
    return root_folder(tmp_path_factory.mktemp("root") / "root")


@pytest.fixture
def way(request: pytest.FixtureRequest) -> Iterator[Way]:
    with standing(WAYS[request.param]()) as way:
        yield way


@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_made_used_and_used_up(way: Way, root: RootFolder) -> None:
    with Device(way.open()) as device:
        make(device, root, order(quota=3))
    with SignerModule.on(Device(way.open()), no_pause) as module:
        module.unlock(PASSWORD)
        assert module.prove()
        for _ in range(2):
            assert verify_digest(module.public_key, DIGEST, module.sign(DIGEST))
        change_password(module, PASSWORD, b"battery staple")
    with SignerModule.on(Device(way.open()), no_pause) as module:
        with pytest.raises(AtcaProvError):
            module.unlock(PASSWORD)
        module.unlock(b"battery staple")
        assert module.sign(DIGEST)
        with pytest.raises(DeviceError) as refused:
            module.sign(DIGEST)
        assert refused.value.code == Code.QUOTA_USED_UP
