"""The MQTT broker mosquitto with the signer's list as its crlfile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from atcaprov.certs.descriptions.description import default_text
from tests.certs.test_distribution_points import URIS, listed
from tests.provisioning_server.revocation.test_crl import (
    certificate_of,
    crl_of,
    files_of,
    serial_of,
    signer_of,
    written,
)
from tests.support.certificates import DEVICE
from tests.support.crl_judges import ChainFiles
from tests.support.mqtt_broker import broker, connects, write_key


def shown_by_client(files: ChainFiles) -> tuple[Path, Path]:
    """Return what a client shows: its certificate with that of its signer, and its key."""
    chain = files.folder / "client.pem"
    chain.write_text(files.device.read_text() + files.signer.read_text())
    return chain, write_key(files.folder / "client.key", DEVICE.private)


@pytest.mark.slow
@pytest.mark.parametrize("text", [default_text("device"), listed(default_text("device"), *URIS)], ids=["plain", "with"])
def test_mosquitto_refuses_revoked_devices_and_old_lists(tmp_path: Path, text: str) -> None:
    signer, today = signer_of(text), datetime.now(UTC)
    certificate = certificate_of(signer)
    files = files_of(tmp_path, signer, certificate)
    chain, key = shown_by_client(files)
    lists = [
        (crl_of(signer, b"\x40\x01", at=today), True),
        (crl_of(signer, serial_of(certificate), at=today), False),
        (crl_of(signer, at=today - timedelta(days=8)), False),
        (crl_of(signer_of(text), at=today), False),
    ]
    for crl, accepted in lists:
        with broker(tmp_path, root=files.root, crl=written(tmp_path, crl)) as port:
            assert connects(port, chain, key) is accepted
