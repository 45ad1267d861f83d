"""An error that other code left in OpenSSL's list is not taken for one of a certificate."""

from __future__ import annotations

import _ssl
import ctypes
import ssl
from pathlib import Path

import pytest

from atcaprov.web.tls import trust
from provisioning_server.stations.station_ca import StationCa
from tests.support.in_memory_signer import NOW

_ENGINE = 38
_NO_SUCH_ENGINE = 116


def _leave_error() -> None:
    """Do as a library that looks for an engine of OpenSSL, and does not look at the outcome."""
    openssl = ctypes.CDLL(_ssl.__file__)
    openssl.ERR_new()
    openssl.ERR_set_error(_ENGINE, _NO_SUCH_ENGINE, None)


def test_error_of_other_code_does_not_count(tmp_path: Path) -> None:
    ca = StationCa.open(tmp_path, NOW).certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _leave_error()
    with pytest.raises(ssl.SSLError):
        context.load_verify_locations(cadata=ca)
    _leave_error()
    trust(context, ca)
    assert context.get_ca_certs(binary_form=True) == [ca]


def test_what_is_no_certificate_is_refused() -> None:
    with pytest.raises(ssl.SSLError):
        trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), b"garbage")
