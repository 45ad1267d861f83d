"""Lists that are signed by a signer module on a software chip, and by a key in an HSM."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from provisioning_server.revocation.crl import crl_pem
from provisioning_server.signers.hsm import HsmSigner
from provisioning_server.signers.module import PluggedModule
from provisioning_server.signers.signer import Signer
from tests.support.crl_judges import ChainFiles, openssl_verdict
from tests.support.crl_server import CrlServer
from tests.support.signer_modules import PASSWORD, order, root_folder, signer_module
from tests.support.soft_hsm import PIN, make_hsm_signer, make_soft_hsm

pytestmark = pytest.mark.slow


def published(folder: Path, signer: Signer, server: CrlServer) -> None:
    """Certify two chips, revoke one of them, and let OpenSSL judge both by the list."""
    good, bad = server.certify(signer, 1), server.certify(signer, 2)
    server.revoke(bad, reason="keyCompromise")
    path = folder / "signer.crl.pem"
    path.write_bytes(crl_pem(server.publish(signer).crl))
    root, own = signer.documents.root_certificate, signer.documents.signer_certificate
    for stored, verdict in ((good, "OK"), (bad, "certificate revoked")):
        files = ChainFiles.write(folder, root, own, stored.record.certificate)
        assert openssl_verdict(files, [path], datetime.now(UTC)).endswith(verdict)


def test_a_signer_module_pays_one_signature_for_a_list(tmp_path: Path) -> None:
    with signer_module(root_folder(tmp_path / "root"), order(quota=40)) as module:
        signer = PluggedModule(module)
        signer.unlock(PASSWORD)
        for start in (1, 2):
            server = CrlServer(tmp_path / "data", signer, now=datetime.now(UTC))
            with closing(server.ledger):
                if start == 1:
                    published(tmp_path, signer, server)
                    assert signer.remaining == 37
                server.publish(signer)
                module.read_quota()
                server.check_tally(signer)
        assert signer.remaining == 35


def test_a_key_in_an_hsm_signs_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hsm = make_soft_hsm(tmp_path / "hsm", monkeypatch)
    hsm.make_token("line 1")
    signer = HsmSigner.open(make_hsm_signer(tmp_path / "a", hsm, "line 1").path)
    with closing(signer):
        signer.unlock(PIN)
        server = CrlServer(tmp_path / "data", signer, now=datetime.now(UTC))
        with closing(server.ledger):
            published(tmp_path, signer, server)
