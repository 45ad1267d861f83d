"""Compare this computer's clock with the server's and with certificates, before a chip is touched.

Otherwise a certificate that is not valid yet would be refused after the chip's configuration was locked.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509

from atcaprov.certs.dates import CLOCK_TOLERANCE
from atcaprov.errors import CertificateError, Code

BEHIND_MAX: Final = timedelta(days=1)
"""How far the server's clock may be behind; its certificates are then valid earlier, which does no harm."""
_FORM: Final = "%Y-%m-%d %H:%M UTC"


def require_agreeing(server_time: int) -> None:
    """Check the server's clock (seconds since 1970 in UTC; 0: unknown).

    Raises CertificateError (clock-wrong), whichever of the two clocks is wrong.
    """
    now = datetime.now(UTC)
    server = datetime.fromtimestamp(server_time, UTC)
    if server_time and not now - BEHIND_MAX <= server <= now + CLOCK_TOLERANCE:
        raise CertificateError(
            f"The server's clock says {server.strftime(_FORM)}, this computer's clock {now.strftime(_FORM)}.",
            advice="No chip was touched. Correct the clock that is wrong, then start again.",
            code=Code.CLOCK_WRONG,
        )


def require_valid_now(certificate: bytes, role: str) -> None:
    """Check that a certificate (DER) of a trusted issuer is valid by this computer's clock.

    Raises CertificateError (clock-wrong; chain-invalid for a certificate that cannot be read).
    """
    try:
        parsed = x509.load_der_x509_certificate(certificate)
        begin, end = parsed.not_valid_before_utc, parsed.not_valid_after_utc
    except ValueError as error:
        raise CertificateError(f"The {role} certificate is not usable: {error}.", code=Code.CHAIN_INVALID) from error
    now = datetime.now(UTC)
    if not begin - CLOCK_TOLERANCE <= now <= end:
        raise CertificateError(
            f"This computer's clock says {now.strftime(_FORM)}, but the {role} certificate is valid from"
            f" {begin.strftime(_FORM)} to {end.strftime(_FORM)}.",
            advice="Nothing was written. Correct this computer's clock or the server's, then try again.",
            code=Code.CLOCK_WRONG,
        )
