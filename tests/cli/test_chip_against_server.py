"""`atcaprov chip cert` and `verify` against a real server: definitions over TCP, and its records."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from time import monotonic

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov import CertInfo, Device, Profile, Provisioner, TcpClient
from atcaprov.cli.main import atcaprov
from tests.support.programs import Ended, run_in_process
from tests.support.server import PATIENCE, running_server
from tests.support.signer_folders import make_signer_folder


def chip(command: str, url: str, *options: object) -> Ended:
    return run_in_process(atcaprov, "chip", command, "--device", url, *map(str, options))


@pytest.mark.slow
def test_chip_is_shown_and_verified_with_what_the_server_knows(tmp_path: Path) -> None:
    signer, data = make_signer_folder(tmp_path), tmp_path / "data"
    url, cert_info = f"emulator:{tmp_path}/chip.json", signer.path / "atcaprov_cert_info_0.c"
    with running_server(signer.path, data) as address:
        with closing(TcpClient(address.host, address.port)) as client, Device.open(url) as device:
            info = CertInfo.parse(cert_info.read_text())
            done = Provisioner(Profile(), info, client).provision(device)
        asked = ("--certinfo", cert_info, "--host", address.host, "--port", address.port)
        shown = chip("cert", url, *asked, "--pem")
        verified = chip("verify", url, *asked, "--server-data", data)
        end = monotonic() + PATIENCE
        while "again 10 seconds after its run" in verified.err and monotonic() < end:
            verified = chip("verify", url, *asked, "--server-data", data)
    assert shown.code == 0, shown.err
    ders = [each.public_bytes(Encoding.DER) for each in x509.load_pem_x509_certificates(shown.out.encode())]
    assert ders == [done.device_certificate, done.signer_certificate]
    assert verified.code == 0, verified.err
    assert "The server's record holds this very certificate." in verified.out
    assert chip("verify", url, *asked).code == 3  # the server has gone
    assert chip("verify", url, "--signer", signer.path, "--server-data", data).code == 0
